"""Comparisons that stop as soon as the answer is known: better, worse, or no longer worth the money.

Pairs are added in batches. After each batch the test of `prowess.measure.stats.sequential` is looked at; it keeps its
error however often one looks. The comparison ends as *better* or *worse* at the first look with p <= alpha, as *futile*
when the pairs left are unlikely to show "better" any more, or as *spent* when none are left.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prowess.core.evidence import Evidence, Trial
from prowess.core.task import Task
from prowess.measure.compare import Pairs, describe, pair
from prowess.measure.stats.design import Design, Stop, stop
from prowess.measure.stats.sequential import anytime_interval, anytime_p, log_e_value
from prowess.measure.trials import Arm, Bench, run_blocks

TEST = "betting e-process on discordant pairs, two-sided, valid at any time"
Ending = Stop | Literal["spent"]


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
        log_e_max = max(log_e_max, log_e_value(pairs.wins, pairs.losses))
        reason = stop(design, len(pairs.complete), pairs.wins, pairs.losses)
        if reason is not None:
            ending = reason
            break
    evidence = sequential_evidence(pairs, baseline.name, treatment.name, log_e_max, design.alpha)
    return Decided(ending, evidence, looks)


def sequential_evidence(pairs: Pairs, baseline: str, treatment: str, log_e_max: float, alpha: float) -> Evidence:
    """Evidence with the p-value and the interval that hold at any stopping time; the interval's level is 1 - alpha."""
    return describe(
        pairs,
        baseline,
        treatment,
        p=anytime_p(log_e_max),
        alpha=alpha,
        interval=anytime_interval(pairs.wins, pairs.losses, len(pairs.complete), 1 - alpha),
        level=1 - alpha,
        test=TEST,
    )
