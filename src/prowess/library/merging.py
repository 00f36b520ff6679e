"""Three-way merge and diff of text, line by line. Pure; knows nothing of skills.

Built on the standard library's matcher (decision 0012): after the common head and tail are cut off, the middle is
matched; regions that both sides match to the base are kept, what lies between them belongs to the side that changed it,
and to nobody when both did, which is a conflict.
"""

import difflib
from dataclasses import dataclass
from typing import Final

from prowess.core.text import shorten

_WORK_CAP: Final = 4_000_000
"""Most line pairs that are matched; beyond it the whole middle counts as one changed block, so that time is bounded."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A stretch that both sides changed, differently."""

    line: int
    """First line of the stretch in the base, from 1."""
    base: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"line {self.line}: {_short(self.base)} became {_short(self.ours)} here and {_short(self.theirs)} there"


@dataclass(frozen=True, slots=True)
class Merge:
    """The merged text, or None where conflicts remain."""

    text: str | None
    conflicts: tuple[Conflict, ...] = ()


def merge3(base: str, ours: str, theirs: str) -> Merge:
    """Both sides' changes to `base` together. Changes that touch each other are conflicts unless they are equal."""
    if theirs in (ours, base):
        return Merge(ours)
    if ours == base:
        return Merge(theirs)
    b, o, t = (text.splitlines(keepends=True) for text in (base, ours, theirs))
    out: list[str] = []
    conflicts: list[Conflict] = []
    at_b = at_o = at_t = 0
    for start, in_o, in_t, length in [*_common(b, o, t), (len(b), len(o), len(t), 0)]:
        mine, other, origin = o[at_o:in_o], t[at_t:in_t], b[at_b:start]
        if other in (mine, origin):
            out += mine
        elif mine == origin:
            out += other
        else:
            conflicts.append(Conflict(at_b + 1, "".join(origin), "".join(mine), "".join(other)))
        out += b[start : start + length]
        at_b, at_o, at_t = start + length, in_o + length, in_t + length
    return Merge(None, tuple(conflicts)) if conflicts else Merge("".join(out))


def unified(old: str, new: str, old_name: str, new_name: str) -> str:
    """A unified diff with three lines of context; empty when equal."""
    lines: list[str] = []
    for line in difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), old_name, new_name, n=3
    ):
        lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(lines)


def _common(b: list[str], o: list[str], t: list[str]) -> list[tuple[int, int, int, int]]:
    """Stretches of the base that both sides kept: (start in base, in ours, in theirs, length), none of length 0."""
    left, right = matches(b, o), matches(b, t)
    found: list[tuple[int, int, int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        (b1, o1, n1), (b2, t2, n2) = left[i], right[j]
        start, end = max(b1, b2), min(b1 + n1, b2 + n2)
        if start < end:
            found.append((start, o1 + start - b1, t2 + start - b2, end - start))
        if b1 + n1 < b2 + n2:
            i += 1
        else:
            j += 1
    return found


def matches(a: list[str], b: list[str]) -> list[tuple[int, int, int]]:
    """Stretches that two lists of lines share, in order: (start in a, start in b, length), none of length 0."""
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    middle_a, middle_b = a[head : len(a) - tail], b[head : len(b) - tail]
    blocks = [(0, 0, head)]
    if len(middle_a) * len(middle_b) <= _WORK_CAP:
        matcher = difflib.SequenceMatcher(None, middle_a, middle_b, autojunk=False)
        blocks += [(m.a + head, m.b + head, m.size) for m in matcher.get_matching_blocks()]
    blocks.append((len(a) - tail, len(b) - tail, tail))
    return [block for block in blocks if block[2]]


def _short(text: str) -> str:
    return repr(shorten(text.strip(), 80)) if text.strip() else "nothing"
