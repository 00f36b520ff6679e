"""From entries to evidence: every recipe against no skills, and against its ablations, paired on task and seed."""

from collections.abc import Sequence
from itertools import groupby
from typing import get_args

from prowess.core.evidence import Evidence, Trial
from prowess.evolve.bench.record import BenchPlan, Entry, Gain, Group
from prowess.evolve.recipes import BASELINES, method
from prowess.measure.compare import compare
from prowess.measure.stats.multiple import holm

NONE = "none"


def gains_of(plan: BenchPlan, entries: Sequence[Entry]) -> tuple[Gain, ...]:
    """All comparisons that the entries allow, in the order of the plan."""
    found: list[Gain] = []
    for part in range(len(plan.parts)):
        for built in plan.models:
            for used in plan.models:
                here = [e for e in entries if (e.part, e.built_with, e.used_with) == (part, built, used)]
                for group in get_args(Group):
                    found += _gains(here, group)
    return tuple(found)


def _gains(entries: Sequence[Entry], group: Group) -> list[Gain]:
    """Of one part and pair of models."""
    by_recipe = {name: list(own) for name, own in groupby(entries, key=lambda e: e.recipe)}
    against_none: list[Gain] = []
    others: list[Gain] = []
    for name, own in by_recipe.items():
        if name != NONE and (e := _evidence(own, own, NONE, group)) is not None:
            against_none.append(_gain(own[0], NONE, group, e))
        whole, _, left_out = name.partition(".")
        if left_out and whole in by_recipe and (e := _evidence(by_recipe[whole], own, name, group)) is not None:
            others.append(_gain(by_recipe[whole][0], name, group, e))
        base = baseline(name)
        if base not in (NONE, name) and base in by_recipe:
            e = _evidence(own, by_recipe[base], base, group)
            others += [_gain(own[0], base, group, e)] if e is not None else []
    published = [gain for gain in against_none if not is_control(gain.recipe) and "." not in gain.recipe]
    adjusted = dict(zip((g.recipe for g in published), holm([g.evidence.p for g in published]), strict=True))
    known = [gain.model_copy(update={"adjusted": adjusted.get(gain.recipe)}) for gain in against_none]
    return [*known, *others]


def is_control(name: str) -> bool:
    """Whether an arm is only there to compare with: no skills, a person's, a given library's, right answers."""
    return name in (*BASELINES, "seed", "oracle")


def baseline(name: str) -> str:
    """What a recipe's gain is measured against; `none` for arms that are no recipes."""
    return NONE if is_control(name) or "." in name else method(name).baseline


def _evidence(new: Sequence[Entry], old: Sequence[Entry], arm: str, group: Group) -> Evidence | None:
    """The arms of `new` against the arm `arm` in `old`; None where they share no task."""
    name = new[0].recipe
    theirs = [_plain(t) for entry in old for t in entry.trials.get(group, ()) if t.arm == arm]
    mine = [_plain(t) for entry in new for t in entry.trials.get(group, ()) if t.arm == name]
    known = {(t.task_id, t.seed) for t in mine} & {(t.task_id, t.seed) for t in theirs}
    if not known:
        return None
    found = compare([t for t in (*theirs, *mine) if (t.task_id, t.seed) in known], arm, name)
    return found.model_copy(update={"trials": ()})


def _plain(trial: Trial) -> Trial:
    """Without the agent's name: what a method puts around the executor belongs to the method that is compared."""
    return trial.model_copy(update={"conditions": trial.conditions.partition(":")[0]})


def _gain(entry: Entry, against: str, group: Group, evidence: Evidence) -> Gain:
    return Gain(
        part=entry.part, recipe=entry.recipe, against=against, group=group, built_with=entry.built_with,
        used_with=entry.used_with, evidence=evidence,
    )  # fmt: skip
