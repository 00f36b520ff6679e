"""Applying patches to snapshots: pure functions, nothing on disk.

`apply` needs the very snapshot that the patch names as its base. `rebase` moves a patch to another snapshot: when every
operation still fits exactly it is kept as it is, otherwise the skills that both sides changed are merged file by file
from the common base. A misfit is always a `PatchConflict` that lists all of them, never a silent skip.
"""

from dataclasses import dataclass
from typing import Literal

from prowess.core.errors import PatchConflict
from prowess.core.patch import (
    AddSection,
    AppendToSection,
    CreateSkill,
    DeleteFile,
    DeleteSection,
    DeleteSkill,
    Insert,
    Operation,
    Patch,
    RenameSkill,
    Replace,
    SetDescription,
    WriteFile,
)
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File
from prowess.library import sections
from prowess.library.merging import Conflict, Merge, merge3, unified
from prowess.library.sections import Misfit
from prowess.library.skillmd import canonical, parse, render, validate

__all__ = ["Conflict", "Merge", "Rebased", "apply", "diff", "inverse", "merge3", "merge_skills", "rebase", "touched"]


@dataclass(frozen=True, slots=True)
class Rebased:
    """A patch that fits another snapshot, and how it was made to."""

    patch: Patch
    how: Literal["same base", "operations fit", "merged"]


def apply(patch: Patch, snapshot: Snapshot) -> Snapshot:
    """The snapshot after `patch`. Nothing is changed; equal arguments give equal results.

    Raises:
        PatchConflict: the base is another snapshot, an operation does not fit, or a result is not a valid skill.
    """
    if patch.base != snapshot.digest:
        raise PatchConflict(
            [f"the patch was made against snapshot {patch.base[:12]}, the library is at {snapshot.digest[:12]}"]
        )
    return _perform(patch.operations, snapshot)


def rebase(patch: Patch, snapshot: Snapshot, base: Snapshot | None) -> Rebased:
    """`patch` made to fit `snapshot`.

    Args:
        patch: Made against `base`.
        snapshot: What it shall fit.
        base: The snapshot that the patch names; None when it is no longer known, then operations must fit exactly.

    Raises:
        PatchConflict: it does not fit and cannot be merged; both reasons are listed.
    """
    if patch.base == snapshot.digest:
        return Rebased(patch, "same base")
    moved = patch.model_copy(update={"base": snapshot.digest})
    try:
        apply(moved, snapshot)
        if base is None or not _would_lose(patch, base, snapshot):
            return Rebased(moved, "operations fit")
        misfits: list[str] = []
    except PatchConflict as error:
        if base is None:
            unknown = f"its base {patch.base[:12]} is not known, so it cannot be merged"
            raise PatchConflict([*error.conflicts, unknown]) from error
        misfits = error.conflicts
    wanted = apply(patch, base)
    operations: list[Operation] = []
    for name in touched(patch):
        before, here, there = base.get(name), snapshot.get(name), wanted.get(name)
        try:
            merged = merge_skills(before, here, there)
        except PatchConflict as error:
            raise PatchConflict([*misfits, *error.conflicts]) from error
        if merged != here:
            operations += [DeleteSkill(name=name)] if here else []
            operations += [CreateSkill(skill=merged)] if merged else []
    moved = moved.model_copy(update={"operations": tuple(operations)})
    apply(moved, snapshot)
    return Rebased(moved, "merged")


def _would_lose(patch: Patch, base: Snapshot, snapshot: Snapshot) -> bool:
    """Whether it deletes or replaces a skill that somebody has changed since: that fits, and loses their change."""
    deleted = {op.name for op in patch.operations if isinstance(op, DeleteSkill)}
    return any(base.get(name) != snapshot.get(name) for name in deleted)


def touched(patch: Patch) -> tuple[str, ...]:
    """Names of all skills that the patch creates, changes or deletes, sorted."""
    names: set[str] = set()
    for op in patch.operations:
        names |= {op.skill.name} if isinstance(op, CreateSkill) else {op.name}
        if isinstance(op, RenameSkill):
            names.add(op.new_name)
    return tuple(sorted(names))


def inverse(patch: Patch, snapshot: Snapshot) -> Patch:
    """The patch that takes the result of `patch` on `snapshot` back to `snapshot`."""
    after = apply(patch, snapshot)
    return Patch(
        base=after.digest,
        operations=difference(after, snapshot),
        reason=f"reverts {patch.id}",
        lessons=patch.lessons,
        author=patch.author,
    )


def difference(old: Snapshot, new: Snapshot) -> tuple[Operation, ...]:
    """Operations that turn `old` into `new`, skill by skill as a whole."""
    operations: list[Operation] = []
    for name in sorted({*old.names, *new.names}):
        was, becomes = old.get(name), new.get(name)
        if was != becomes:
            operations += [DeleteSkill(name=name)] if was else []
            operations += [CreateSkill(skill=becomes)] if becomes else []
    return tuple(operations)


def merge_skills(base: Skill | None, ours: Skill | None, theirs: Skill | None) -> Skill | None:
    """One skill from two changed copies; None where it ends deleted.

    Raises:
        PatchConflict: both sides changed the same lines, a binary file, or one deleted what the other changed.
    """
    if theirs in (ours, base):
        return ours
    if ours == base:
        return theirs
    name = next(s.name for s in (base, ours, theirs) if s is not None)
    if ours is None or theirs is None:
        raise PatchConflict([f"{name}: one side deleted the skill, the other changed it"])
    merged, conflicts = merge_files(
        {} if base is None else _as_files(base), _as_files(ours), _as_files(theirs), f"{name}/"
    )
    if conflicts:
        raise PatchConflict(conflicts)
    skill = parse(merged.pop("SKILL.md").decode(), name, strict=False)
    files = tuple(File(path=path, data=data) for path, data in sorted(merged.items()))
    skill = skill.model_copy(update={"files": files})
    if problems := validate(skill):
        raise PatchConflict([f"{name}: the merge is not a valid skill: {p}" for p in problems])
    return skill


def merge_files(
    base: dict[str, bytes], ours: dict[str, bytes], theirs: dict[str, bytes], prefix: str
) -> tuple[dict[str, bytes], list[str]]:
    """Three-way merge of whole folders; the second result lists the conflicts, each path begun with `prefix`."""
    merged: dict[str, bytes] = {}
    conflicts: list[str] = []
    for path in sorted(base.keys() | ours.keys() | theirs.keys()):
        was, here, there = base.get(path), ours.get(path), theirs.get(path)
        result = here
        if here == was:
            result = there
        elif there not in (was, here):
            result = None
            try:
                texts = [data.decode() for data in (was or b"", here or b"", there or b"")]
            except UnicodeDecodeError:
                conflicts.append(f"{prefix}{path}: both sides changed a binary file")
                continue
            if here is None or there is None:
                conflicts.append(f"{prefix}{path}: one side deleted the file, the other changed it")
                continue
            merge = merge3(*texts)
            conflicts += [f"{prefix}{path} {conflict}" for conflict in merge.conflicts]
            result = merge.text.encode() if merge.text is not None else None
        if result is not None:
            merged[path] = result
    return merged, conflicts


def diff(old: Snapshot, new: Snapshot) -> str:
    """A unified diff of all texts; of binary files only that they differ. Empty when nothing changed."""
    parts: list[str] = []
    for name in sorted({*old.names, *new.names}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        was = _as_files(before) if before else {}
        now = _as_files(after) if after else {}
        parts += [diff_file(f"{name}/{path}", was.get(path), now.get(path)) for path in sorted({*was, *now})]
    return "".join(parts)


def diff_file(path: str, old: bytes | None, new: bytes | None) -> str:
    """A unified diff of one file; None stands for a file that is not there."""
    if old == new:
        return ""
    names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
    try:
        return unified((old or b"").decode(), (new or b"").decode(), *names)
    except UnicodeDecodeError:
        return f"Binary files {names[0]} ({len(old or b'')} bytes) and {names[1]} ({len(new or b'')} bytes) differ\n"


def _perform(operations: tuple[Operation, ...], snapshot: Snapshot) -> Snapshot:
    skills = {skill.name: skill for skill in snapshot.skills}
    conflicts: list[str] = []
    changed: set[str] = set()
    written: set[tuple[str, str]] = set()
    for number, op in enumerate(operations, 1):
        try:
            changed |= _one(op, skills, written)
        except Misfit as misfit:
            conflicts.append(f"operation {number} ({op.op}): {misfit}")
    for name in sorted(changed & skills.keys()):
        skill = skills[name] = canonical(skills[name])
        was = snapshot.get(name)
        conflicts += [f"{name}: {problem}" for problem in validate(skill)]
        conflicts += [f"{name}: {problem}" for problem in _misplaced(skill, was, written)]
    if conflicts:
        raise PatchConflict(conflicts)
    return Snapshot.of(list(skills.values()))


def _one(op: Operation, skills: dict[str, Skill], written: set[tuple[str, str]]) -> set[str]:
    """Performs `op` on `skills`; returns the names it changed. Notes files that it wrote in `written`."""
    if isinstance(op, CreateSkill):
        if op.skill.name in skills:
            raise Misfit(f"skill {op.skill.name!r} exists already")
        skills[op.skill.name] = op.skill
        return {op.skill.name}
    skill = skills.get(op.name)
    if skill is None:
        raise Misfit(f"there is no skill {op.name!r}")
    if isinstance(op, DeleteSkill):
        del skills[op.name]
    elif isinstance(op, RenameSkill):
        if op.new_name in skills:
            raise Misfit(f"skill {op.new_name!r} exists already")
        del skills[op.name]
        skills[op.new_name] = skill.model_copy(update={"name": op.new_name})
        written |= {(op.new_name, path) for name, path in written if name == op.name}
        return {op.name, op.new_name}
    elif isinstance(op, SetDescription):
        skills[op.name] = skill.model_copy(update={"description": op.description})
    elif isinstance(op, WriteFile):
        skills[op.name] = _with_file(skill, op.file, op.content.encode("utf-8", "replace"))
        written.add((op.name, op.file))
    elif isinstance(op, DeleteFile):
        if skill.file(op.file) is None:
            raise Misfit(f"{op.name!r} has no file {op.file!r}")
        skills[op.name] = _with_file(skill, op.file, None)
        written.discard((op.name, op.file))
    else:
        skills[op.name] = _edit(skill, op)
    return {op.name}


def _edit(skill: Skill, op: Replace | Insert | AppendToSection | AddSection | DeleteSection) -> Skill:
    if op.file == "SKILL.md":
        text = skill.body
    else:
        file = skill.file(op.file)
        if file is None:
            raise Misfit(f"{op.name!r} has no file {op.file!r}")
        try:
            text = file.data.decode()
        except UnicodeDecodeError as error:
            raise Misfit(f"{op.file!r} is not text") from error
    try:
        new = _edited(text, op)
    except Misfit as misfit:
        raise Misfit(f"in {op.name}/{op.file}, {misfit}") from misfit
    if op.file == "SKILL.md":
        return skill.model_copy(update={"body": new})
    return _with_file(skill, op.file, new.encode("utf-8", "replace"))


def _edited(text: str, op: Replace | Insert | AppendToSection | AddSection | DeleteSection) -> str:
    if isinstance(op, Replace):
        return sections.replace(text, op.old, op.new)
    if isinstance(op, Insert):
        return sections.insert(text, op.anchor, op.content, op.where == "before")
    if isinstance(op, AppendToSection):
        return sections.append_to_section(text, op.section, op.content)
    if isinstance(op, AddSection):
        return sections.add_section(text, op.section, op.content, op.after)
    return sections.delete_section(text, op.section)


def _misplaced(skill: Skill, was: Skill | None, written: set[tuple[str, str]]) -> list[str]:
    """What this patch made hard to find: files that nothing points to or that lie too deep, and broken links."""
    problems = [
        f"SKILL.md does not mention the new file {path!r}"
        for name, path in sorted(written)
        if name == skill.name and not sections.mentions(skill.body, path)
    ]
    old = {file.path for file in was.files} if was else set[str]()
    problems += [
        f"file {file.path!r} lies more than one folder deep"
        for file in skill.files
        if file.path.count("/") > 1 and file.path not in old
    ]
    missing = _dangling(skill) - (_dangling(was) if was else set())
    return problems + [f"SKILL.md links to {path!r}, which does not exist" for path in sorted(missing)]


def _dangling(skill: Skill) -> set[str]:
    paths = {file.path for file in skill.files}
    folders = {path[:i] for path in paths for i, char in enumerate(path) if char == "/"}
    return {link for link in sections.links(skill.body) if link.rstrip("/") not in paths | folders | {"SKILL.md"}}


def _with_file(skill: Skill, path: str, data: bytes | None) -> Skill:
    files = [file for file in skill.files if file.path != path]
    if data is not None:
        files.append(File(path=path, data=data))
    return skill.model_copy(update={"files": tuple(sorted(files, key=lambda f: f.path))})


def _as_files(skill: Skill) -> dict[str, bytes]:
    return {"SKILL.md": render(skill).encode("utf-8", "replace"), **{f.path: f.data for f in skill.files}}
