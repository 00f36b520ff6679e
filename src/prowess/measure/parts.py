"""What can be taken out of a library: a whole skill, or one block of a skill's text.

A part is the operations that take it out, so that the very patch that was measured can be proposed. A block is a list
item with what is indented below it, a paragraph, or a fenced piece of code: what one edit usually adds. Headings are no
parts, and a block that stands twice word for word is left alone, since a patch could not say which one it means.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prowess.core.patch import DeleteSkill, Operation, Patch, Replace
from prowess.core.skill import Skill, Snapshot
from prowess.library.patching import apply

_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    """The skill's name, or `skill:12-14` for lines of its SKILL.md; `prowess why` takes both."""
    operations: tuple[Operation, ...]
    """What takes it out."""
    text: str = ""
    """For a block, what it says."""


def without(library: Snapshot, parts: Iterable[Part]) -> Snapshot:
    """The library with `parts` taken out.

    Raises:
        PatchConflict: what would be left is no valid library.
    """
    return apply(removal(library, parts), library)


def removal(library: Snapshot, parts: Iterable[Part], reason: str = "") -> Patch:
    """The patch that takes `parts` out."""
    operations = tuple(operation for part in parts for operation in part.operations)
    return Patch(base=library.digest, operations=operations, reason=reason, author="attribution")


def skills_of(library: Snapshot) -> tuple[Part, ...]:
    return tuple(Part(name, (DeleteSkill(name=name),)) for name in library.names)


def blocks_of(skill: Skill, text: str) -> tuple[Part, ...]:
    """The blocks of a skill; `text` is its SKILL.md as it lies on disk, by whose lines they are named."""
    lines = skill.body.removesuffix("\n").split("\n")
    offset = len(text.removesuffix("\n").split("\n")) - len(lines)
    found: list[Part] = []
    for first, last in _blocks(lines):
        said = "\n".join(lines[first : last + 1])
        old = f"\n{said}\n" if first else f"{said}\n"
        at = skill.body.find(old)
        if at < 0 or skill.body.find(old, at + 1) >= 0:
            continue
        where = str(first + 1 + offset) if first == last else f"{first + 1 + offset}-{last + 1 + offset}"
        operation = Replace(name=skill.name, old=old, new="\n" if first else "")
        found.append(Part(f"{skill.name}:{where}", (operation,), said))
    return tuple(found)


def _blocks(lines: Sequence[str]) -> list[tuple[int, int]]:
    """First and last line of each block, from 0."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(lines):
        line, end = lines[at], at
        if fence := _FENCE.match(line):
            closing = (n for n in range(at + 1, len(lines)) if lines[n].strip().startswith(fence.group(1)))
            end = next(closing, len(lines) - 1)
        elif line.strip() and not _HEADING.match(line):
            while end + 1 < len(lines) and _goes_on(lines[end + 1]):
                end += 1
        else:
            at += 1
            continue
        found.append((at, end))
        at = end + 1
    return found


def _goes_on(line: str) -> bool:
    return bool(line.strip()) and not any(p.match(line) for p in (_ITEM, _HEADING, _FENCE))
