"""What the sessions of a group share, as lines that each lead back to the steps where they were said or done."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from prowess.core.lesson import Lesson, Reference
from prowess.evolve.logs.groups import Group
from prowess.evolve.logs.sayings import LINE, Saying
from prowess.evolve.logs.text import general, line, prose
from prowess.evolve.logs.words import cluster, rarity, vector, words
from prowess.guard.taint import imperative

Section = Literal["wish", "step", "note", "pitfall", "command", "check"]
SAME = 0.4
"""Lines whose words have this cosine or more say the same. Chosen on half of the families of the benchmark."""
ENOUGH = 2
"""Independent sessions that a line needs. What the user corrected needs one."""
MOST: dict[Section, int] = {"wish": 8, "step": 12, "note": 16, "pitfall": 8, "command": 6, "check": 6}
"""Lines of each section at most: a skill is read whole, so it must stay short."""
REFERENCES = 12
_FIRST = {"wish": 0, "pitfall": 1}
"""Of two lines that say the same, the one of such a section stays: it says why."""
_FIX = re.compile(r" (?:This worked instead: |It worked after )")
_CORRECTED = re.compile(r"The user (?:corrected|refused [^:]{0,200}): ?")
_LONG = re.compile(r"<<|\s-[ce]\s|\n|…$")
_SPECIFIC = re.compile(r"(?<=[\s(\"'`$])(?:\$?\d[\w.,:-]*\w|(?<![.:] )(?<!^ )[A-Z][a-z]+|[A-Z]{2,}[\w-]*)")
_ALONE = 0.2
"""How much a word that only one session says takes from a line, against what a shared word adds."""
SAID, SAID_ELSEWHERE = 0.6, 0.85
"""A line goes when a better one of its own section, or of another, has this share of its words."""


@dataclass(frozen=True, slots=True)
class Point:
    """One line of a skill and what is behind it."""

    section: Section
    text: str
    sessions: frozenset[str]
    references: tuple[Reference, ...]
    """One of each session, as far as there is room."""
    weight: float
    """How much it says: the rarity of the words that its sessions share."""
    at: float = 0.0
    """Where in the work it stands on average, from 0 to 1."""

    def lesson(self, family: str) -> Lesson:
        kinds = {"wish": "cause", "pitfall": "cause"}
        kind = kinds.get(self.section, "success")
        return Lesson.model_validate({"kind": kind, "text": self.text, "family": family, "references": self.references})


def points(group: Group) -> list[Point]:
    """The lines of a group, section by section, the best supported first and no two that say the same."""
    found = [*_wishes(group), *_pitfalls(group), *_commands(group), *_said(group)]
    found = [p for p in found if group.believes(p.sessions, 1 if p.section == "wish" else ENOUGH)]
    chosen: list[Point] = []
    said: list[tuple[str, set[str]]] = []
    room = Counter(MOST)
    for point in sorted(found, key=lambda p: (_FIRST.get(p.section, 2), -_value(p), p.text)):
        own = set(words(point.text))
        if (
            room[point.section] <= 0
            or not own
            or any(
                _share(other, own) >= (SAID if section == point.section else SAID_ELSEWHERE) for section, other in said
            )
        ):
            continue
        room[point.section] -= 1
        chosen.append(point)
        said.append((point.section, own))
    order = list(MOST)
    by_place = {"step", "check"}
    return sorted(
        chosen,
        key=lambda p: (order.index(p.section), p.at if p.section in by_place else 0.0, -_value(p), p.text),
    )


def _value(point: Point) -> float:
    return len(point.sessions) * point.weight


def _share(other: set[str], own: set[str]) -> float:
    """How much of a line another one says too; a much shorter one cannot say it all."""
    return len(own & other) / min(len(own), len(other) + 2)


def _said(group: Group) -> Iterable[Point]:
    """Sentences, names of actions and comments that several sessions have alike."""
    sayings = [(work.session, saying) for work in group.works for saying in work.sayings]
    for pool in ([s for s in sayings if s[1].kind == "check"], [s for s in sayings if s[1].kind != "check"]):
        for members in _alike([saying.words for _, saying in pool]):
            own = _without_specifics([pool[i] for i in members])
            sessions = frozenset(pool[i][0] for i in members)
            if len(sessions) < ENOUGH or not own:
                continue
            best, weight = _spokesman([(session, s.words, s.text) for session, s in own], group.rarity)
            spoken = own[best][1]
            at = sum(saying.at for _, saying in own) / len(own)
            quotes = [(session, saying.reference) for session, saying in own]
            quotes += [(pool[i][0], pool[i][1].reference) for i in members]
            yield Point(spoken.kind, spoken.text, sessions, _one_each(quotes, best), weight, at)


def _without_specifics(own: list[tuple[str, Saying]]) -> list[tuple[str, Saying]]:
    """Those that hold no figure and no name that only one session knows: these belong to one task."""
    holders: dict[str, set[str]] = {}
    names = [set(_SPECIFIC.findall(f" {saying.text}")) for _, saying in own]
    for (session, _), found in zip(own, names, strict=True):
        for name in found:
            holders.setdefault(name, set()).add(session)
    return [pair for pair, found in zip(own, names, strict=True) if all(len(holders[n]) >= ENOUGH for n in found)]


def _wishes(group: Group) -> Iterable[Point]:
    """What users corrected or refused, in their own words."""
    found = [
        (work.session, lesson, prose(line(general(_CORRECTED.sub("", lesson.text)), LINE)))
        for work in group.works
        for lesson in work.lessons
        if _CORRECTED.match(lesson.text)
    ]
    for members in _alike([words(text) for _, _, text in found]):
        own = [found[i] for i in members]
        best, weight = _spokesman([(session, words(text), text) for session, _, text in own], group.rarity)
        quotes = [(session, lesson.references[0]) for session, lesson, _ in own]
        sessions = frozenset(session for session, _, _ in own)
        yield Point("wish", own[best][2], sessions, _one_each(quotes, best), max(weight, 1.0))


def _pitfalls(group: Group) -> Iterable[Point]:
    """Errors that several sessions ran into, and what mended them. Slips of one agent and outages are left out."""
    found = [
        (work.session, lesson, *_error_and_fix(lesson.text))
        for work in group.works
        for lesson in work.lessons
        if lesson.kind in ("cause", "memory") and lesson.blame == "skill" and _FIX.search(lesson.text)
        if not _orders(lesson.text)
    ]
    for members in _alike([words(error) for _, _, error, _ in found]):
        own = [found[i] for i in members]
        sessions = frozenset(session for session, *_ in own)
        if len(sessions) < ENOUGH:
            continue
        fixes = [(session, words(fix) or ["?"], fix) for session, _, _, fix in own]
        best, _ = _spokesman(fixes, group.rarity)
        _, weight = _spokesman([(session, words(error), error) for session, _, error, _ in own], group.rarity)
        session, lesson, error, fix = own[best]
        quotes = [(s, reference) for s, other, *_ in own for reference in other.references[:1]]
        references = (*lesson.references[:3], *(r for s, r in dict(quotes).items() if s != session))
        yield Point("pitfall", f"{error}: {fix}", sessions, references[:REFERENCES], max(weight, 1.0))


def _orders(text: str) -> bool:
    """Whether the error tells the reader what to do: it is a tool's word, which may come from anywhere."""
    error, _ = _error_and_fix(text)
    return any(imperative(part) for part in re.split(r"[.:;!`]\s+|[`\n]", error))


def _error_and_fix(text: str) -> tuple[str, str]:
    error, _, fix = text.partition(" failed with: ")[2].partition(". ")
    after = "This worked instead: " not in fix
    fix = _FIX.sub("", f" {fix}").strip(" .")
    if fix == "a second try":
        return f"`{_code(error, 120)}`", "a second try worked"
    how = "with" if not after else "after a change of" if re.fullmatch(r"`?[^\s`]+`?", fix) else "after"
    return f"`{_code(error, 120)}`", f"it worked {how} `{_code(fix, 140)}`"


def _commands(group: Group) -> Iterable[Point]:
    """Command lines that worked in several sessions; what differs from one to the next is left open."""
    found: list[tuple[str, Reference, str]] = []
    for work in group.works:
        for lesson in work.lessons:
            if lesson.text.startswith("Commands that worked"):
                for reference in lesson.references:
                    if not _LONG.search(reference.quote) and len(reference.quote) <= 180:
                        found.append((work.session, reference, general(reference.quote)))
    for members in _alike([_arguments(command) for _, _, command in found]):
        own = [found[i] for i in members]
        sessions = frozenset(session for session, _, _ in own)
        if len(sessions) < ENOUGH:
            continue
        bags = [(session, _arguments(command), command) for session, _, command in own]
        best, weight = _spokesman(bags, group.rarity)
        holders = Counter(word for word, _ in {(w, s) for s, bag, _ in bags for w in bag})
        shown = [w if holders[w] >= ENOUGH else "…" for w in _arguments(own[best][2])]
        text = re.sub(r"…(?: …)+", "…", " ".join(shown))
        if len(words(text)) < 2:
            continue
        quotes = [(session, reference) for session, reference, _ in own]
        yield Point("command", f"`{_code(text, 180)}`", sessions, _one_each(quotes, best), weight)


def _arguments(command: str) -> list[str]:
    return re.sub(r"\s+", " ", re.sub(r"2>&1|\|\s*(?:head|tail)\b[^|;&]*", "", command)).split()


def _code(text: str, limit: int) -> str:
    """Text that stands between two backticks."""
    return line(general(text.replace("`", "")), limit).strip()


def _spokesman(members: Sequence[tuple[str, Iterable[str], str]], rare: dict[str, float]) -> tuple[int, float]:
    """Which member says most of what other sessions say too and least that only it says; the weight of the former.

    Members are (session, words, text); of equals the shortest text speaks.
    """
    bags = [set(own) for _, own, _ in members]
    holders: dict[str, set[str]] = {}
    for (session, _, _), bag in zip(members, bags, strict=True):
        for word in bag:
            holders.setdefault(word, set()).add(session)
    rarest = max(rare.values(), default=1.0)
    enough = min(ENOUGH, len({session for session, _, _ in members}))

    def worth(i: int) -> tuple[float, float]:
        shared = sum(rare.get(w, rarest) for w in bags[i] if len(holders[w]) >= enough)
        alone = sum(rare.get(w, rarest) for w in bags[i] if len(holders[w]) < enough)
        return shared - _ALONE * alone, shared

    best = max(range(len(bags)), key=lambda i: (worth(i)[0], -len(members[i][2]), members[i][2]))
    return best, worth(best)[1]


def _one_each(quotes: Sequence[tuple[str, Reference]], first: int) -> tuple[Reference, ...]:
    """The reference at `first`, then one of each other session."""
    by_session = dict([quotes[first]])
    for session, reference in quotes:
        by_session.setdefault(session, reference)
    return tuple(by_session.values())[:REFERENCES]


def _alike(bags: Sequence[Iterable[str]]) -> list[list[int]]:
    lists = [list(bag) for bag in bags]
    weights = rarity(lists)
    return cluster([vector(Counter(bag), weights) for bag in lists], SAME)
