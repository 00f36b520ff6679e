"""From a line to its reasons, and from a trajectory to its lines.

`why` answers for a skill, a file of it or a range of lines: which changes wrote them, who applied those, and the
lessons and verdicts behind each. `trace` answers for a trajectory: the lessons that refer to it, every edit that they
justified, and where the lines of those edits are now. Both read the ledger; neither needs the trajectories themselves.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, Literal

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.library.blame import NOW, Recorded, State, blame, split_lines
from prowess.library.index import Index
from prowess.library.library import Library
from prowess.library.patching import touched
from prowess.library.records import Change, Proposal, Refusal
from prowess.library.store import Store

_SAID: Final = 12
"""Characters from which on a line is taken for one of a lesson's program, or a lesson's text for part of a line."""
Fate = Literal["applied", "taken back", "waiting", "rejected", "refused by a gate"]


class Line(Frozen):
    number: int
    """As an editor counts, from 1."""
    text: str
    change: str | None
    """Id of the change that wrote it; None for an edit by hand that no change has followed yet."""
    lessons: tuple[str, ...] = ()
    """Ids of the lessons that this very line states; empty where only its change as a whole has lessons."""


class Reason(Frozen):
    """A change behind some lines, and what stands behind the change."""

    change: str | None
    lines: tuple[tuple[int, int], ...]
    """First and last of each stretch of lines, inclusive."""
    when: str = ""
    kind: Literal["apply", "undo", "external"] = "external"
    by: str = ""
    """Who applied it."""
    author: str = ""
    """Who wrote the patch; empty for an edit by hand."""
    reason: str = ""
    rebased: str = "same base"
    lessons: dict[str, Lesson] = {}
    """By id."""
    verdicts: tuple[Verdict, ...] = ()


class Why(Frozen):
    skill: str
    file: str
    lines: tuple[Line, ...]
    reasons: tuple[Reason, ...]
    """In the order in which their lines come."""


class Place(Frozen):
    """Where lines are now."""

    skill: str
    file: str
    first: int
    last: int


class Edit(Frozen):
    """A patch that a trajectory had a part in, and what became of it."""

    patch: str
    fate: Fate
    reason: str
    author: str = ""
    skills: tuple[str, ...]
    lessons: tuple[str, ...]
    """Ids of those of its lessons that refer to the trajectory."""
    change: str | None = None
    when: str = ""
    by: str = ""
    note: str = ""
    """Why it was rejected or refused."""
    verdicts: tuple[Verdict, ...] = ()
    places: tuple[Place, ...] = ()
    """What is left of it in the library; empty when later changes replaced every line."""


class Trace(Frozen):
    trajectory: str
    lessons: dict[str, Lesson]
    """By id."""
    edits: tuple[Edit, ...]


def why(library: Library, skill: str, file: str = "SKILL.md", span: tuple[int, int] | None = None) -> Why:
    """The reasons of a file's lines, or of lines `span` (first and last, from 1).

    Raises:
        UserError: no such skill, file or line; the text says which there are.
    """
    with library.ledger() as (index, store):
        files = _files(store, skill)
        if not files:
            raise UserError(f"the library has no skill {skill!r}", _whither(index, skill))
        if file not in files:
            raise UserError(f"skill {skill!r} has no file {file!r}", f"it has {', '.join(sorted(files))}")
        text = split_lines(files[file])
        entries = blame(Recorded(index, store, files, file), State(skill, NOW))
        first, last = span or (1, len(text))
        if span and not 1 <= first <= last <= len(text):
            which = f"line {first}" if first == last else f"lines {first} to {last}"
            raise UserError(f"{skill}/{file} has no {which}", f"it has lines 1 to {len(text)}")
        reasons: dict[int, Reason] = {}
        lines: list[Line] = []
        for number, (said, entry) in enumerate(zip(text, entries, strict=True), 1):
            if first <= number <= last:
                if entry not in reasons:
                    reasons[entry] = _reason(index, entry)
                behind = reasons[entry]
                own = tuple(id for id, lesson in behind.lessons.items() if states(said, lesson))
                lines.append(Line(number=number, text=said, change=behind.change, lessons=own))
        spans = {
            entry: tuple(_spans(line.number for line in lines if line.change == r.change))
            for entry, r in reasons.items()
        }
    found = tuple(reason.model_copy(update={"lines": spans[entry]}) for entry, reason in reasons.items())
    return Why(skill=skill, file=file, lines=tuple(lines), reasons=found)


def trace(library: Library, trajectory: str) -> Trace:
    """Everything that the trajectory whose id begins so brought about.

    Raises:
        UserError: no lesson refers to such a trajectory, or several begin so.
    """
    with library.ledger() as (index, store):
        id = _only(index, trajectory)
        lessons = {lesson.id: lesson for lesson in index.lessons_from(id)}
        changes = {c.number: c for lesson in lessons for c in index.changes(lesson=lesson)}
        proposals = {p.number: (p, no) for lesson in lessons for p, no in index.proposals_for(lesson)}
        refusals = {r.number: r for lesson in lessons for r in index.refusals_for(lesson)}
        places = _places(index, store, list(changes.values()))
        edits = {n: _applied(c, index.is_in_force(c.id), lessons, places[n]) for n, c in changes.items() if c.patch}
    edits |= {n: _proposed(proposal, no, lessons) for n, (proposal, no) in proposals.items()}
    edits |= {n: _refused(refusal, lessons) for n, refusal in refusals.items()}
    return Trace(trajectory=id, lessons=lessons, edits=tuple(edits[n] for n in sorted(edits)))


def states(line: str, lesson: Lesson) -> bool:
    """Whether a line of a skill says what the lesson says, and so rests on it rather than on its whole change.

    Three ways are known: the line ends with the mark `[3/4 1a2b3c4d]` that `prowess learn` leaves, the lesson's text
    stands in it, or it is a line of the lesson's program.
    """
    if mark := re.search(r"\[\d+/\d+ ([0-9a-f]{8})\]\s*$", line):
        return lesson.id.startswith(mark.group(1))
    said, told = _bare(line), _bare(lesson.text)
    if said and (said == told or (len(told) >= _SAID and told in said)):
        return True
    return len(said) >= _SAID and said in {_bare(row) for row in lesson.payload.splitlines()}


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _files(store: Store, skill: str) -> Mapping[str, bytes]:
    """The files of a skill as they lie now; none where that is no skill."""
    folder = store.folder(skill)
    return folder.files if folder is not None and "SKILL.md" in folder.files else {}


def _whither(index: Index, skill: str) -> str:
    """What to do about a skill that is not there: it may have been renamed, merged or deleted."""
    last = index.last_state(skill, NOW)
    if last is None:
        return "`prowess show` lists its skills"
    change = index.change_at(last[0])
    id = change.id[:8] if change else ""
    others = [name for name in index.touched_with(skill, last[0]) if index.tree_at(name, last[0])]
    return (
        f"change {id} took it away" + (f" and wrote {', '.join(others)}" if others else "") + f"; `prowess show {id}`"
    )


def _reason(index: Index, entry: int) -> Reason:
    change = index.change_at(entry) if entry != NOW else None
    if change is None:
        return Reason(change=None, lines=(), reason="edited by hand since the last change")
    return Reason(
        change=change.id,
        lines=(),
        when=change.when,
        kind=change.kind,
        by=change.by,
        author=change.patch.author if change.patch else "",
        reason=change.patch.reason if change.patch else "edited by hand" if change.kind == "external" else "undo",
        rebased=change.rebased,
        lessons=_lessons(index, change),
        verdicts=change.verdicts,
    )


def _lessons(index: Index, change: Change) -> dict[str, Lesson]:
    """Those that the change carries, then those that its patch only names, where another entry carries them."""
    carried = {lesson.id: lesson for lesson in change.lessons}
    named = [id for id in (change.patch.lessons if change.patch else ()) if id not in carried]
    return carried | {id: lesson for id in named if (lesson := index.lesson(id)) is not None}


def _only(index: Index, prefix: str) -> str:
    prefix = prefix.encode("utf-8", "replace").decode()
    found = set(index.trajectories(prefix)) if prefix else set[str]()
    if prefix in found:
        return prefix
    if len(found) > 1:
        raise UserError(f"several trajectories begin with {prefix!r}", "write more of the id")
    if not found:
        raise UserError(
            f"no lesson in this library refers to a trajectory {prefix!r}",
            "`prowess why SKILL` names the trajectories behind a skill; --library names another library",
        )
    return found.pop()


def _applied(change: Change, in_force: bool, lessons: Mapping[str, Lesson], places: tuple[Place, ...]) -> Edit:
    assert change.patch is not None
    return Edit(
        patch=change.patch_id or change.patch.id,
        fate="applied" if in_force else "taken back",
        reason=change.patch.reason,
        author=change.patch.author,
        skills=tuple(change.trees),
        lessons=_own(change.lessons, change.patch.lessons, lessons),
        change=change.id,
        when=change.when,
        by=change.by,
        verdicts=change.verdicts,
        places=places,
    )


def _proposed(proposal: Proposal, rejected: str | None, lessons: Mapping[str, Lesson]) -> Edit:
    return Edit(
        patch=proposal.id,
        fate="waiting" if rejected is None else "rejected",
        reason=proposal.patch.reason,
        author=proposal.patch.author,
        skills=touched(proposal.patch),
        lessons=_own(proposal.lessons, proposal.patch.lessons, lessons),
        when=proposal.when,
        by=proposal.by,
        note=rejected or "",
        verdicts=proposal.verdicts,
    )


def _refused(refusal: Refusal, lessons: Mapping[str, Lesson]) -> Edit:
    failed = next((v for v in reversed(refusal.verdicts) if v.status == "fail"), None)
    return Edit(
        patch=refusal.patch.id,
        fate="refused by a gate",
        reason=refusal.patch.reason,
        author=refusal.patch.author,
        skills=touched(refusal.patch),
        lessons=_own(refusal.lessons, refusal.patch.lessons, lessons),
        when=refusal.when,
        by=refusal.by,
        note=f"{failed.gate}: {failed.note}" if failed is not None else "",
        verdicts=refusal.verdicts,
    )


def _own(carried: Iterable[Lesson], named: Iterable[str], wanted: Mapping[str, Lesson]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id for id in (*(lesson.id for lesson in carried), *named) if id in wanted))


def _places(index: Index, store: Store, changes: Sequence[Change]) -> dict[int, tuple[Place, ...]]:
    """For each change, by its number, the stretches of lines that it wrote and that are still there."""
    found: dict[int, list[Place]] = {change.number: [] for change in changes}
    for name in _heirs(index, changes):
        files = _files(store, name)
        for file in sorted(files):
            if b"\0" in files[file]:
                continue
            entries = blame(Recorded(index, store, files, file), State(name, NOW))
            for number, places in found.items():
                lines = (i for i, entry in enumerate(entries, 1) if entry == number)
                places += [Place(skill=name, file=file, first=a, last=b) for a, b in _spans(lines)]
    return {number: tuple(places) for number, places in found.items()}


def _heirs(index: Index, changes: Sequence[Change]) -> list[str]:
    """Every skill that lines of these changes may stand in now."""
    since: dict[str, int] = {}
    waiting = [(name, change.number) for change in changes for name in change.trees]
    while waiting:
        name, number = waiting.pop()
        if number < since.get(name, NOW):
            since[name] = number
            waiting += [(heir, number) for heir in index.touched_later(name, number)]
    return sorted(since)


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers as (first, last)."""
    runs = [list(run) for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    return [(run[0][1], run[-1][1]) for run in runs]
