"""A small world in which skills causally matter: the agent rolls a seeded die, and skills load it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prowess.core.cost import Cost
from prowess.core.errors import ModelError
from prowess.core.evidence import Trial
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Split, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.measure.trials import Bench, Store
from prowess.trajectories.runstore import Repeats

RIGHT = File(path="answer.txt", data=b"right")
FREE = Cost()
WRONG = File(path="answer.txt", data=b"wrong")


class MemoryStore:
    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes] = {}
        self.paid = Cost()
        self.rows: dict[str, Trial] = {}
        self.tried: dict[tuple[str, str, str], dict[int, bool]] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self.values.get((kind, key))

    def put(self, kind: str, key: str, value: bytes, cost: Cost = FREE) -> None:
        if (kind, key) not in self.values:  # the first writer wins, as in the store on disk
            self.values[kind, key] = value
            self.paid += cost

    def index(self, trial: Trial, *, task: str, view: str) -> None:
        self.rows[trial.trajectory] = trial
        if trial.passed is not None and trial.conditions:
            self.tried.setdefault((trial.conditions, task, view), {})[trial.seed] = trial.passed

    def trials(self, arms: Mapping[str, str]) -> dict[str, Trial]:
        return {k: self.rows[k].model_copy(update={"arm": arm}) for k, arm in arms.items() if k in self.rows}

    def repeats(self) -> dict[str, Repeats]:
        found: dict[str, Repeats] = {}
        for (conditions, _, _), by_seed in self.tried.items():
            if len(by_seed) >= 2:
                first, second = (by_seed[seed] for seed in sorted(by_seed)[:2])
                n, flips = found.get(conditions, Repeats(0, 0))
                found[conditions] = Repeats(n + 1, flips + (first != second))
        return found


def skill(name: str, power: int) -> Skill:
    """A skill whose body says by how many points it moves the chance of success."""
    return Skill(name=name, description=f"Adds {power} points.", body=f"{power}\n")


def task(number: int, split: Split = "gate", family: str = "dice") -> Task:
    return Task(
        id=f"{family}/base/{number}", suite="dice", family=family, split=split, seed=number, prompt=f"n {number}"
    )


def tasks(count: int, split: Split = "gate", start: int = 0) -> tuple[Task, ...]:
    return tuple(task(start + i, split) for i in range(count))


@dataclass
class DiceAgent:
    """Right with a chance of `base` points plus the powers of the skills shown; the draw is per task, view and seed."""

    base: int = 20
    name: str = "dice/1 model=die"
    model: str = "die"
    fails: Callable[[Task, View, int], bool] = lambda task, view, seed: False
    runs: list[tuple[str, int, int]] = field(default_factory=list)

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        power = sum(int(s.body) for s in view.skills)
        self.runs.append((task.id, power, seed))
        if self.fails(task, view, seed):
            raise ModelError("the provider is down", retryable=True)
        points = random.Random(f"{task.id} {view.digest} {seed}").uniform(0, 100)
        return Trajectory(
            id="agent's own",
            agent=self.name,
            model=self.model,
            snapshot=view.snapshot,
            steps=(Step(source="agent", message="done"),),
            outputs=(RIGHT if points < self.base + power else WRONG,),
            cost=Cost(calls=1, completion_tokens=10),
        )


@dataclass(frozen=True)
class DiceSuite:
    name: str = "dice"
    families: tuple[str, ...] = ("dice",)
    trusted: bool = True

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return tasks(n, split, start)

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        good = outputs == (RIGHT,)
        return Score(
            value=float(good),
            passed=good,
            checks=(Check(name="answer", passed=good),),
            verifier="suite:dice",
            trusted=self.trusted,
        )

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return (RIGHT,)

    def human_skill(self, family: str) -> Skill | None:
        return skill("human", 75)


def bench(agent: DiceAgent | None = None, store: Store | None = None, **more: Any) -> Bench:
    return Bench(
        **{
            "agent": agent or DiceAgent(),
            "suite": DiceSuite(),
            "store": store or MemoryStore(),
            "concurrency": 3,
            **more,
        }
    )


class ShowAll:
    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot=library.digest, skills=library.skills)


def trial(number: int, arm: str, passed: bool | None, seed: int = 0, value: float | None = None) -> Trial:
    return Trial(
        task_id=f"t{number}",
        arm=arm,
        seed=seed,
        passed=passed,
        value=value,
        trajectory=f"{arm}-{number}-{seed}",
        judged_by="suite:dice" if passed is not None else "",
        cost=Cost(calls=1),
    )


def paired(wins: int, losses: int, passed: int = 0, failed: int = 0) -> list[Trial]:
    """Trials of the arms `old` and `new` with these counts of each kind of pair."""
    kinds = [(False, True)] * wins + [(True, False)] * losses + [(True, True)] * passed + [(False, False)] * failed
    return [t for i, (old, new) in enumerate(kinds) for t in (trial(i, "old", old), trial(i, "new", new))]
