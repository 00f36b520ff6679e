"""Whose is the gain? Shapley values of the parts of a library, from trials of coalitions of them.

Each block (a task and a seed) is a game of its own: a coalition achieves 1 when the agent passes with those parts of
the library alone, else 0. With few parts all coalitions of a block are tried; with many, those along one random order
and its reverse. Coalitions that show the agent the same view share one trial, so a library of which a search shows one
skill costs a few trials a block and not two for each part. The values of the blocks are independent draws from -1 to 1,
so their mean has an interval that may be looked at after every batch (`prowess.measure.stats.bounded`).
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.evidence import Trial
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.view import View
from prowess.measure.attribution import Attribution, look_alike
from prowess.measure.parts import Part, without
from prowess.measure.sequential import blocks_in_order
from prowess.measure.stats.bounded import mean_interval
from prowess.measure.stats.design import Worth
from prowess.measure.stats.shapley import along, antithetic, exact, prefixes
from prowess.measure.trials import Arm, run_blocks

FEW = 4
"""Parts up to which all coalitions of a block are tried: 16 trials where an order and its reverse ask for 8."""


class Share(Frozen):
    """One part's share of what all of them add."""

    part: str
    value: float
    """Of the success rate on all tasks on which the parts matter."""
    error: float
    """Standard error; 0 for fewer than two blocks."""
    low: float
    high: float
    worth: Worth | None
    """`helps` or `harms` where the interval leaves zero out."""


class Shares(Frozen):
    """The division of a gain. The values of the shares add up to `total`."""

    shares: tuple[Share, ...]
    total: float
    """Success rate with all parts minus that with none of them."""
    blocks: int
    missing: int
    """Blocks of which some trial is missing."""
    shown: int
    """Tasks that show the agent something else without all parts."""
    tasks: int
    level: float
    all_coalitions: bool
    """Whether every coalition of each block was tried, so that no error comes from the choice of orders."""
    settled: bool
    """Whether each share's sign is known, or that the share is smaller than the margin."""
    trials: int
    """Different trials behind it, those found in the store included."""
    cost: Cost


@dataclass(slots=True)
class _Game:
    """Coalitions of parts as views, each snapshot made once."""

    within: Attribution
    parts: tuple[Part, ...]
    snapshots: dict[int, Snapshot] = field(default_factory=dict[int, Snapshot])

    def arm(self, coalition: int) -> Arm:
        return Arm(str(coalition), lambda task: self.view(task, coalition))

    def view(self, task: Task, coalition: int) -> View:
        if coalition not in self.snapshots:
            gone = [part for i, part in enumerate(self.parts) if not coalition >> i & 1]
            self.snapshots[coalition] = without(self.within.library, gone) if gone else self.within.library
        return self.within.provider.view(task, self.snapshots[coalition])


async def shapley(within: Attribution, parts: Sequence[Part], *, all_coalitions: bool | None = None) -> Shares:
    """Divide what `parts` add to the library, until every share is settled or `design.max_pairs` blocks are used.

    A share is settled when its interval leaves zero out, or lies within the margin on either side of it.

    Args:
        within: Library, tasks, bench and the design, of which margin, alpha, batch and most blocks count here.
        parts: The players; what is no part stays in the library throughout.
        all_coalitions: Try every coalition of each block; by default up to `FEW` parts.

    Raises:
        PatchConflict: some parts cannot be taken out together.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    game, design = _Game(within, tuple(parts)), within.design
    n, everything = len(parts), (1 << len(parts)) - 1
    complete = n <= FEW if all_coalitions is None else all_coalitions
    draw = random.Random(within.order_seed)
    shown = [t for t in within.tasks if not look_alike(game.view(t, 0), game.view(t, everything))]
    blocks = blocks_in_order(shown, within.seeds, within.order_seed)[: design.max_pairs]
    samples: list[tuple[float, ...]] = []
    seen: dict[str, Trial] = {}
    missing = 0
    for number, block in enumerate(blocks, 1):
        orders = antithetic(n, draw)
        wanted = range(1 << n) if complete else sorted({c for order in orders for c in prefixes(order)})
        trials = await run_blocks([block], [game.arm(c) for c in wanted], within.bench, within.order_seed + number)
        seen |= {trial.trajectory: trial for trial in trials}
        passed = {int(trial.arm): trial.passed for trial in trials}
        if None in passed.values():
            missing += 1
            continue
        value = {coalition: float(bool(result)) for coalition, result in passed.items()}.__getitem__
        samples.append(exact(n, value) if complete else along(orders, value))
        if len(samples) % design.batch == 0 and _settled(_shares(parts, samples, design.alpha), design.margin):
            break
    shares = _shares(parts, samples, design.alpha)
    return Shares(
        shares=shares,
        total=math.fsum(map(math.fsum, samples)) / len(samples) if samples else 0.0,
        blocks=len(samples),
        missing=missing,
        shown=len(shown),
        tasks=len(within.tasks),
        level=1 - design.alpha,
        all_coalitions=complete,
        settled=_settled(shares, design.margin),
        trials=len(seen),
        cost=sum((trial.cost for trial in seen.values()), Cost()),
    )


def _settled(shares: Sequence[Share], margin: float) -> bool:
    return all(s.worth is not None or -margin < s.low <= s.high < margin for s in shares)


def _shares(parts: Sequence[Part], samples: Sequence[tuple[float, ...]], alpha: float) -> tuple[Share, ...]:
    found: list[Share] = []
    for i, part in enumerate(parts):
        # Exact shares are sums of fractions: what float makes of them must not leave the bounds or split equal values.
        values = [max(-1.0, min(1.0, round(sample[i], 12))) for sample in samples]
        low, high = mean_interval(values, 1 - alpha)
        found.append(
            Share(
                part=part.name,
                value=fmean(values) if values else 0.0,
                error=stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0,
                low=low,
                high=high,
                worth="helps" if low > 0 else "harms" if high < 0 else None,
            )
        )
    return tuple(found)
