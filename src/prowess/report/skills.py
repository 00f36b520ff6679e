"""What a run changed in the library: each skill with its diff, and the decisions that led there."""

import difflib
from dataclasses import dataclass
from typing import Literal

from prowess.core.patch import CreateSkill, Operation, RenameSkill
from prowess.core.skill import Skill
from prowess.core.text import cut
from prowess.evolve.record import Decision, RunRecord

LINES = 400
"""Most diff lines shown of one file."""
WIDTH = 600
"""Most characters shown of one line."""


@dataclass(frozen=True, slots=True)
class Line:
    mark: Literal["+", "-", " ", "@"]
    text: str


@dataclass(frozen=True, slots=True)
class FileDiff:
    path: str
    lines: tuple[Line, ...]
    whole: Literal["+", "-", ""]
    """The whole file is new, or gone; empty for a difference."""
    left_out: int
    """Lines of the diff that are not shown."""


@dataclass(frozen=True, slots=True)
class SkillChange:
    """One skill that is not as it was before the run."""

    name: str
    kind: Literal["new", "changed", "removed"]
    description: str
    files: tuple[FileDiff, ...]
    decisions: tuple[Decision, ...]
    """Accepted ones that touched it, oldest first."""


def changes(record: RunRecord) -> tuple[SkillChange, ...]:
    """Every skill that differs between the snapshots before and after, by name."""
    found: list[SkillChange] = []
    for name in sorted({*record.before.names, *record.after.names}):
        old, new = record.before.get(name), record.after.get(name)
        if old is not None and new is not None and old.digest == new.digest:
            continue
        shown = new or old
        assert shown is not None  # the name comes from one of the two snapshots
        found.append(
            SkillChange(
                name=name,
                kind="new" if old is None else "removed" if new is None else "changed",
                description=shown.description,
                files=diff_skills(old, new),
                decisions=tuple(d for d in record.decisions if d.accepted and _touches(d, name)),
            )
        )
    return tuple(found)


def diff_skills(old: Skill | None, new: Skill | None) -> tuple[FileDiff, ...]:
    """The files of a skill that differ, SKILL.md first."""
    before, after = _texts(old), _texts(new)
    paths = sorted({*before, *after}, key=lambda p: (p != "SKILL.md", p))
    return tuple(_file(p, before.get(p, ""), after.get(p, "")) for p in paths if before.get(p) != after.get(p))


def says(operation: Operation) -> str:
    """An operation in a few words: `create_skill ledger-totals`."""
    name = operation.skill.name if isinstance(operation, CreateSkill) else operation.name
    if isinstance(operation, RenameSkill):
        return f"rename skill {name} to {operation.new_name}"
    file = getattr(operation, "file", "SKILL.md")
    words = operation.op.replace("_", " ")
    where = "" if file == "SKILL.md" else f" · {file}"
    section = getattr(operation, "section", None)
    return f"{words} {name}{where}" if section is None else f"{words} “{section}” · {name}{where}"


def content(operation: Operation) -> str:
    """The text that an operation brings in, takes out or looks for."""
    if isinstance(operation, CreateSkill):
        return _texts(operation.skill)["SKILL.md"]
    fields = operation.model_dump(exclude={"op", "name", "file"}, exclude_none=True)
    return "\n".join(f"{key}: {value}" for key, value in fields.items()) or "(no text)"


def _texts(skill: Skill | None) -> dict[str, str]:
    if skill is None:
        return {}
    from prowess.library.skillmd import render

    texts = {"SKILL.md": render(skill)}
    for file in skill.files:
        texts[file.path] = "(binary)" if b"\0" in file.data else file.text
    return texts


def _file(path: str, old: str, new: str) -> FileDiff:
    whole: Literal["+", "-", ""] = "+" if not old else "-" if not new else ""
    if whole:  # every line, without hunk headers
        lines = [Line(whole, text) for text in (new or old).splitlines()]
    else:
        hunks = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3))[2:]
        lines = [_line(text) for text in hunks]
    shown = tuple(Line(line.mark, cut(line.text, WIDTH)) for line in lines[:LINES])
    return FileDiff(path, shown, whole, max(0, len(lines) - LINES))


def _line(text: str) -> Line:
    if text.startswith("@@"):
        return Line("@", text)
    mark = text[:1]
    return Line("+" if mark == "+" else "-" if mark == "-" else " ", text[1:])


def _touches(decision: Decision, name: str) -> bool:
    for operation in decision.patch.operations:
        touched = operation.skill.name if isinstance(operation, CreateSkill) else operation.name
        if name == touched or (isinstance(operation, RenameSkill) and name == operation.new_name):
            return True
    return False
