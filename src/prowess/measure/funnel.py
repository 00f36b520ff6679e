"""Offered, loaded, used, helped: four different things, counted apart for each skill.

The first three are read off every stored trajectory. Whether a skill *helped* cannot be seen from a trajectory: it
takes a pair of trials on the same task with the same seed, one of which had no skills.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, cast

from pydantic_core import from_json

from prowess.core.base import Frozen
from prowess.measure.stats.paired import mcnemar_exact, tango_interval
from prowess.measure.stats.proportions import wilson
from prowess.trajectories.runstore import RunStore
from prowess.trajectories.store import Use

_Key = tuple[str, str, str, int]
"""Task, agent, model, seed."""


class Step(Frozen):
    """How many of those that came to the step before took this one."""

    k: int
    of: int
    low: float
    high: float
    """Wilson interval of k/of at 95 %."""

    @property
    def share(self) -> float | None:
        return self.k / self.of if self.of else None


class Helped(Frozen):
    """Pairs of trials, one with skills and one without, where the run with skills used this one."""

    wins: int
    """Passed with, failed without."""
    ties: int
    losses: int
    effect: float
    low: float
    high: float
    """Difference of success rates, with its interval at 95 %."""
    p: float
    """Two-sided exact McNemar."""

    @property
    def pairs(self) -> int:
        return self.wins + self.ties + self.losses


class SkillFunnel(Frozen):
    """One skill's way from the catalogue to the result."""

    skill: str
    offered: Step
    """Of all sessions."""
    loaded: Step
    """Of those that were offered it."""
    used: Step
    """Of those that loaded it. A lower bound: an agent may follow a skill and never name it."""
    helped: Helped | None = None
    """None where no pair of trials shows it. All skills that a run used share its win or loss."""


class Funnel(Frozen):
    sessions: int
    missing: int
    """Runs that failed from outside; they count nowhere."""
    skills: tuple[SkillFunnel, ...]
    """Those offered most come first."""


def funnel(sessions: Iterable[Use]) -> Funnel:
    """The funnel of every skill that was ever offered.

    A pair is a judged run that was offered skills and a judged run of the same task, agent, model and seed that was
    offered none. Several runs with skills share the one without.
    """
    catalogues: Counter[tuple[str, ...]] = Counter()  # few catalogues make up most sessions
    unlisted: Counter[str] = Counter()
    loaded: Counter[str] = Counter()
    used: Counter[str] = Counter()
    judged: list[tuple[_Key, tuple[str, ...], bool]] = []
    without: dict[_Key, bool] = {}
    total = missing = 0
    for s in sessions:
        total += 1
        if s.status == "missing":
            missing += 1
            continue
        catalogues[s.offered] += 1
        # Who used a skill had loaded it, and who loaded it had it, whatever the session's own lists say.
        for name in dict.fromkeys((*s.loaded, *s.used)):
            loaded[name] += 1
            if name not in s.offered:
                unlisted[name] += 1
        used.update(set(s.used))
        if s.task_id is not None and s.passed is not None:
            key = (s.task_id, s.agent, s.model, s.seed)
            if not s.offered:
                without[key] = s.passed
            elif s.used:
                judged.append((key, s.used, s.passed))
    offered = Counter(unlisted)
    for names, n in catalogues.items():
        for name in set(names):
            offered[name] += n
    pairs = _pairs(judged, without)
    rows = [
        SkillFunnel(
            skill=name,
            offered=_step(n, total - missing),
            loaded=_step(loaded[name], n),
            used=_step(used[name], loaded[name]),
            helped=_helped(pairs[name]) if name in pairs else None,
        )
        for name, n in offered.items()
    ]
    rows.sort(key=lambda r: (-r.offered.k, -r.loaded.k, r.skill))
    return Funnel(sessions=total, missing=missing, skills=tuple(rows))


def of_trials(store: RunStore) -> Iterator[Use]:
    """What the trials in a run store tell; each is opened, unlike the rows of a trajectory store."""
    for key in store.keys("trajectory"):
        data = store.get("trajectory", key)
        if data is None:
            continue
        run = cast("dict[str, Any]", from_json(data))
        score: dict[str, Any] = run.get("score") or {}
        yield Use(
            task_id=run.get("task_id"),
            agent=run["agent"],
            model=run["model"],
            seed=run["seed"],
            status=run["status"],
            passed=bool(score["passed"]) if score.get("trusted") and run["status"] != "missing" else None,
            offered=tuple(run["offered"]),
            loaded=tuple(run["loaded"]),
            used=tuple(run["used"]),
        )


def _pairs(judged: Iterable[tuple[_Key, tuple[str, ...], bool]], without: dict[_Key, bool]) -> dict[str, Counter[int]]:
    """For each skill, how many pairs were won (1), tied (0) and lost (-1)."""
    pairs: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for key, used, passed in judged:
        if key in without:
            for name in set(used):
                pairs[name][passed - without[key]] += 1
    return pairs


def _step(k: int, of: int) -> Step:
    low, high = wilson(k, of)
    return Step(k=k, of=of, low=low, high=high)


def _helped(pairs: Counter[int]) -> Helped:
    wins, ties, losses = pairs[1], pairs[0], pairs[-1]
    n = wins + ties + losses
    low, high = tango_interval(wins, losses, n)
    return Helped(
        wins=wins,
        ties=ties,
        losses=losses,
        effect=(wins - losses) / n,
        low=low,
        high=high,
        p=mcnemar_exact(wins, losses),
    )
