"""Comparisons that stop as soon as the answer is known: better, worse, or no longer worth the money.

Pairs are added in batches. After each batch the test of `prowess.measure.stats.sequential` is looked at; it keeps its
error however often one looks. The comparison ends as *better* or *worse* at the first look with p <= alpha (or, where
the design asks for it, as *no loss*), as *futile* when the pairs left are unlikely to show what is asked any more, or
as *spent* when none are left. If not one pair of the first two batches is complete, something is broken, and it ends
as *missing* instead of paying for the rest.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prowess.core.evidence import Evidence, Trial
from prowess.core.task import Task
from prowess.measure.compare import Pairs, Tested, evidence_of, pair
from prowess.measure.stats.design import Design, Stop, detectable_effect, expect, stop
from prowess.measure.stats.sequential import anytime_interval, anytime_p, log_e_value
from prowess.measure.trials import Arm, Bench, run_blocks

TEST = "betting e-process on discordant pairs, two-sided, valid at any time"
Ending = Stop | Literal["spent", "missing"]


@dataclass(frozen=True, slots=True)
class Decided:
    """How a sequential comparison ended. `evidence.p` is 1 over the largest e-value seen at any look."""

    ending: Ending
    evidence: Evidence
    looks: int


def blocks_in_order(tasks: Sequence[Task], seeds: Sequence[int], order_seed: int) -> list[tuple[Task, int]]:
    """Every task once, in random order, before any task is repeated under the next seed.

    Breadth first, because a second seed on one task says less about a family than a first seed on another.
    """
    draw = random.Random(order_seed)
    return [(task, seed) for seed in seeds for task in draw.sample(list(tasks), len(tasks))]


async def run_until_decided(
    tasks: Sequence[Task],
    seeds: Sequence[int],
    baseline: Arm,
    treatment: Arm,
    bench: Bench,
    *,
    design: Design,
    order_seed: int = 0,
) -> Decided:
    """Add pairs, `design.batch` at a time, until the test stops or tasks x seeds or `design.max_pairs` run out.

    Pairs that are missing cost a block but do not count. Trials that the store has cost nothing.

    Raises:
        UserError: fewer than six pairs can be had, which could never decide.
        BudgetExceeded: a limit was reached; what is finished is stored, and the same call resumes.
    """
    blocks = blocks_in_order(tasks, seeds, order_seed)
    design = design.limited_to(len(blocks))
    trials: list[Trial] = []
    log_e_max, looks, ending = 0.0, 0, "spent"
    pairs = Pairs((), 0)
    while blocks and len(pairs.complete) < design.max_pairs:
        size = min(design.batch, design.max_pairs - len(pairs.complete))
        batch, blocks = blocks[:size], blocks[size:]
        trials += await run_blocks(batch, (baseline, treatment), bench, order_seed + looks)
        pairs = pair(trials, baseline.name, treatment.name)
        looks += 1
        if looks >= 2 and not pairs.complete:
            ending = "missing"
            break
        log_e_max = max(log_e_max, log_e_value(pairs.wins, pairs.losses))
        reason = stop(design, len(pairs.complete), pairs.wins, pairs.losses)
        if reason is not None:
            ending = reason
            break
    evidence = sequential_evidence(pairs, baseline.name, treatment.name, log_e_max, design.alpha)
    return Decided(ending, evidence, looks)


def sequential_evidence(pairs: Pairs, baseline: str, treatment: str, log_e_max: float, alpha: float) -> Evidence:
    """Evidence with the p-value and the interval that hold at any stopping time; the interval's level is 1 - alpha."""
    interval = anytime_interval(pairs.wins, pairs.losses, len(pairs.complete), 1 - alpha)
    tested = Tested(anytime_p(log_e_max), interval, 1 - alpha, TEST)
    return evidence_of(pairs, baseline, treatment, tested, alpha)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a sequential comparison could see, known before anything is spent."""

    max_pairs: int
    power: float
    effect: float | None
    """Smallest gain in success rate shown with chance `power`; None when no gain could be."""
    pairs_if_so: float | None
    """Expected pairs when the gain is that large."""
    pairs_if_none: float
    """Expected pairs when the arms are alike."""
    false_verdicts: float
    """Chance of any verdict, better or worse, when the arms are alike; exact, and at most the design's alpha."""

    def __str__(self) -> str:
        none = f"about {self.pairs_if_none:.0f} pairs if there is no gain"
        if self.effect is None or self.pairs_if_so is None:
            return f"up to {self.max_pairs} pairs can show no gain with {self.power:.0%} chance; {none}"
        return (
            f"up to {self.max_pairs} pairs show a gain of {100 * self.effect:.0f} points with {self.power:.0%} chance "
            f"(about {self.pairs_if_so:.0f} pairs then, {none})"
        )


def plan(design: Design, flip_rate: float = 0.0, power: float = 0.8) -> Forecast:
    """Say before it spends what a comparison could see, given the share of pairs that flip in an A/A run."""
    loss = flip_rate / 2
    effect = detectable_effect(design, loss, power)
    alike = expect(design, loss, loss)
    return Forecast(
        max_pairs=design.max_pairs,
        power=power,
        effect=effect,
        pairs_if_so=None if effect is None else expect(design, effect + loss, loss).pairs,
        pairs_if_none=alike.pairs,
        false_verdicts=alike.better + alike.worse,
    )
