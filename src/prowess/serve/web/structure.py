"""How two versions of a skill differ in structure: what a reader wants to know before the lines."""

from dataclasses import dataclass

from prowess.core.skill import Skill
from prowess.library.sections import sections


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was added, removed or changed."""

    how: str
    """`added`, `removed` or `changed`."""
    what: str


def differences(old: Skill | None, new: Skill | None) -> tuple[Difference, ...]:
    """Description, sections by their headings, and files."""
    found: list[Difference] = []
    if old is not None and new is not None and old.description != new.description:
        found.append(Difference("changed", "description"))
    for kind, before, after in (("section", _sections(old), _sections(new)), ("file", _files(old), _files(new))):
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                how = "added" if name not in before else "removed" if name not in after else "changed"
                found.append(Difference(how, f"{kind} {name}"))
    return tuple(found)


def _sections(skill: Skill | None) -> dict[str, str]:
    """The own text of each section, by its heading; what stands before the first is `(beginning)`."""
    if skill is None:
        return {}
    found = sections(skill.body)
    parts = {"(beginning)": skill.body[: found[0].start if found else len(skill.body)].strip()}
    for section in found:
        parts[section.title] = parts.get(section.title, "") + skill.body[section.body : section.own_end].strip()
    return {name: text for name, text in parts.items() if text or name != "(beginning)"}


def _files(skill: Skill | None) -> dict[str, str]:
    return {} if skill is None else {file.path: file.sha256 for file in skill.files}
