"""How many skills can be told apart? Accuracy of selection against library size and look-alikes (arXiv 2601.04748).

For each size libraries are drawn from a pool; each holds the skills that its requests ask for. A selector chooses from
names and descriptions. Every way of choosing sees the same requests, and where only the way differs the same libraries,
so that ways are compared in pairs. With look-alikes, each skill asked for brings its nearest neighbours along.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prowess.core.cost import Cost, total
from prowess.core.errors import ModelError, UserError
from prowess.core.skill import Skill
from prowess.measure.pool import for_each
from prowess.measure.scaling import Curve, Group, fit
from prowess.measure.selection import Selector
from prowess.measure.stats.paired import mcnemar_exact, tango_interval
from prowess.measure.stats.proportions import wilson
from prowess.search.likeness import about, cosines, lexical


@dataclass(frozen=True, slots=True)
class Case:
    """A request and the skills that answer it, any of which counts."""

    query: str
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Way:
    """One way of choosing, under one condition."""

    name: str
    selector: Selector
    look_alikes: int = 0
    """Nearest neighbours that each skill asked for brings into the library."""


@dataclass(frozen=True, slots=True)
class Choosing:
    """One choice that was made, or is missing."""

    way: str
    size: int
    library: int
    """Number of the library among those of its size."""
    query: str
    gold: str
    """The skill that was put into the library for this request."""
    chosen: str | None
    right: bool | None
    """None when the model gave no answer: that says nothing about the library."""
    cost: Cost


@dataclass(frozen=True, slots=True)
class Difference:
    """Two ways on the same requests at one size."""

    size: int
    wins: int
    losses: int
    n: int
    low: float
    high: float
    """95 % interval of the difference of accuracies (Tango)."""
    p: float
    """Exact McNemar, two-sided."""

    @property
    def effect(self) -> float:
        return (self.wins - self.losses) / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """Accuracy of one way at one size."""

    size: int
    right: int
    asked: int
    missing: int
    low: float
    high: float
    """95 % interval (Wilson), as if all choices were independent."""

    @property
    def accuracy(self) -> float:
        return self.right / self.asked if self.asked else 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """One way over all sizes."""

    way: str
    points: tuple[Point, ...]
    curve: Curve | None
    """None where fewer than three sizes were measured."""
    cost: Cost


async def probe(
    cases: Sequence[Case],
    pool: Sequence[Skill],
    ways: Sequence[Way],
    *,
    sizes: Sequence[int],
    libraries: int = 8,
    queries: int = 5,
    seed: int = 0,
    concurrency: int = 1,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[Choosing, ...]:
    """Every choice, in order of size, library, request and way.

    Args:
        pool: All skills, those of the cases and any that only fill up; names are unique.
        sizes: Library sizes, each at most that of the pool.
        libraries: Libraries drawn for each size.
        queries: Requests asked of each library; fewer where it is too small to hold their skills and look-alikes.

    Raises:
        UserError: no case can be asked of this pool, or a size does not fit it.
        BudgetExceeded: a limit was reached.
    """
    by_name = {s.name: s for s in pool}
    usable = [c for c in cases if c.query.strip() and c.gold & by_name.keys()]
    _check(usable, by_name, sizes)
    near = _Neighbours(pool)
    jobs: list[tuple[Way, int, int, Case, str, tuple[Skill, ...]]] = []
    most = max(way.look_alikes for way in ways)
    for size in sorted(set(sizes)):
        for number in range(libraries):
            draw = random.Random(f"{seed}/{size}/{number}")
            asked = _asked(usable, by_name, draw, min(queries, max(1, size // (1 + most))))
            golds = [gold for _, gold in asked]
            banned = {name for case, gold in asked for name in case.gold if name != gold}
            for look_alikes in sorted({way.look_alikes for way in ways}):
                names = _draw(golds, banned, size, look_alikes, near, random.Random(f"{seed}/{size}/{number}/fill"))
                library = tuple(by_name[name] for name in sorted(names))
                jobs += [
                    (way, size, number, case, gold, library)
                    for case, gold in asked
                    for way in ways
                    if way.look_alikes == look_alikes
                ]
    done: dict[int, Choosing] = {}

    async def run(index: int) -> None:
        way, size, number, case, gold, library = jobs[index]
        try:
            choice = await way.selector.choose(case.query, library)
            made = Choosing(
                way.name, size, number, case.query, gold, choice.skill, choice.skill in case.gold, choice.cost
            )
        except ModelError:
            made = Choosing(way.name, size, number, case.query, gold, None, None, Cost())
        done[index] = made
        if on_done is not None:
            on_done(len(done), len(jobs))

    await for_each(range(len(jobs)), run, concurrency)
    return tuple(done[i] for i in range(len(jobs)))


def groups(choices: Sequence[Choosing], way: str) -> list[Group]:
    """Choices of one way by library, as the curve is fitted to them."""
    found: dict[tuple[int, int], list[bool]] = {}
    for c in choices:
        if c.way == way and c.right is not None:
            found.setdefault((c.size, c.library), []).append(c.right)
    return [Group(size, sum(rights), len(rights)) for (size, _), rights in sorted(found.items())]


def line(choices: Sequence[Choosing], way: str, seed: int = 0) -> Line:
    """The points and the fitted curve of one way."""
    mine = [c for c in choices if c.way == way]
    points: list[Point] = []
    for size in sorted({c.size for c in mine}):
        rights = [c.right for c in mine if c.size == size]
        right, asked = sum(r is True for r in rights), sum(r is not None for r in rights)
        points.append(Point(size, right, asked, len(rights) - asked, *wilson(right, asked)))
    fitted = groups(mine, way)
    curve = fit(fitted, seed=seed) if len({g.size for g in fitted}) >= 3 else None
    return Line(way, tuple(points), curve, total([c.cost for c in mine]))


def compare_ways(choices: Sequence[Choosing], baseline: str, treatment: str) -> list[Difference]:
    """Two ways at each size, paired on library and request; pairs with a missing side are left out."""
    sides: dict[tuple[int, int, str], dict[str, bool | None]] = {}
    for c in choices:
        sides.setdefault((c.size, c.library, c.query), {})[c.way] = c.right
    found: list[Difference] = []
    for size in sorted({key[0] for key in sides}):
        pairs = [
            (old, new)
            for key, side in sides.items()
            if key[0] == size and (old := side.get(baseline)) is not None and (new := side.get(treatment)) is not None
        ]
        wins, losses = sum(new and not old for old, new in pairs), sum(old and not new for old, new in pairs)
        low, high = tango_interval(wins, losses, len(pairs))
        found.append(Difference(size, wins, losses, len(pairs), low, high, mcnemar_exact(wins, losses)))
    return found


class _Neighbours:
    """The pool, and for each skill the others by how alike their descriptions are."""

    def __init__(self, pool: Sequence[Skill]) -> None:
        self.names = sorted(s.name for s in pool)
        by_name = {s.name: s for s in pool}
        self._rows = lexical([about(by_name[name]) for name in self.names])
        self._place = {name: i for i, name in enumerate(self.names)}
        self._known: dict[str, list[str]] = {}

    def of(self, name: str) -> list[str]:
        if name not in self._known:
            near = cosines(self._rows, self._rows[self._place[name]])
            order: list[int] = np.argsort(-near, kind="stable").tolist()
            self._known[name] = [self.names[i] for i in order if self.names[i] != name][:20]
        return self._known[name]


def _asked(cases: Sequence[Case], known: Mapping[str, Any], draw: random.Random, most: int) -> list[tuple[Case, str]]:
    """Requests for different skills, each with one of its skills; none also answers another's request."""
    found: list[tuple[Case, str]] = []
    taken: set[str] = set()
    for case in draw.sample(list(cases), len(cases)):
        if len(found) == most:
            break
        if not case.gold & taken:
            found.append((case, draw.choice(sorted(case.gold & known.keys()))))
            taken |= case.gold
    return found


def _draw(
    golds: Sequence[str], banned: set[str], size: int, look_alikes: int, near: _Neighbours, draw: random.Random
) -> set[str]:
    """A library: what is asked for, its neighbours, then any others; never a second skill that would be right too."""
    names = set(golds[:size])
    for gold in golds:
        close = [n for n in near.of(gold) if n not in names and n not in banned]
        names |= set(close[: min(look_alikes, max(0, size - len(names)))])
    rest = [n for n in near.names if n not in names and n not in banned]
    return names | set(draw.sample(rest, min(len(rest), size - len(names))))


def _check(cases: Sequence[Case], by_name: Mapping[str, Skill], sizes: Sequence[int]) -> None:
    if not cases:
        raise UserError(
            "no request names a skill of the library", "give requests, or skills with headings in their text"
        )
    wrong = [size for size in sizes if not 1 <= size <= len(by_name)]
    if wrong or not sizes:
        raise UserError(
            f"a library of {wrong[0] if wrong else 0} skills out of {len(by_name)}",
            f"choose sizes from 1 to {len(by_name)}, or add skills to draw from",
        )
