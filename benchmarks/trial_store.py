"""How long a verdict takes over many stored trials, and how much memory: the model is out of it, all is found.

A store is filled with trials of many tasks in two arms, as large as those of the code agent; then each question is put
in a process of its own, from opening the store to the answer.

    python benchmarks/trial_store.py                    # 100,000 trials: about a minute
    python benchmarks/trial_store.py --trials 10000     # seconds

Targets at 100,000 stored trials: any verdict in 2 s and 500 MB.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from prowess.core.cost import Cost
from prowess.core.evidence import Trial
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Split, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.evolve.run import machine
from prowess.measure.calibration import known_noise
from prowess.measure.compare import compare, compare_values
from prowess.measure.libraries import per_skill
from prowess.measure.trials import Arm, Bench, run_trials, trial_key
from prowess.trajectories.runstore import RunStore

SKILLS = 50
"""In the library; each task is shown one of them."""
SUITE = "drawn"


@dataclass(frozen=True)
class Drawn:
    """The name of a suite; every trial is found, so nothing is ever run or checked."""

    name: str = SUITE
    families: tuple[str, ...] = ("f",)


@dataclass(frozen=True)
class Absent:
    """An agent that must not be asked."""

    name: str = "code/1 attempts=2 tokens=500 temperature=0.0 texts=00000000 model=none"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        raise AssertionError(f"{task.id} was not found in the store")


LIBRARY = Snapshot.of(
    [Skill(name=f"skill-{i:02d}", description=f"Does thing {i}.", body="A rule.\n" * 80) for i in range(SKILLS)]
)


def tasks(count: int) -> tuple[Task, ...]:
    split: Split = "test"
    return tuple(
        Task(id=f"f/base/{i}", suite=SUITE, family="f", split=split, seed=i, prompt=f"Do thing {i % SKILLS} on {i}.")
        for i in range(count)
    )


def arms() -> tuple[Arm, Arm]:
    views = [View(snapshot=LIBRARY.digest, skills=(skill,)) for skill in LIBRARY.skills]
    return Arm.without(), Arm("with", lambda task: views[task.seed % SKILLS])


def fill(path: Path, count: int) -> float:
    """Stores `count` finished trials of two arms; seconds for one."""
    draw, agent, store, both = random.Random(7), Absent(), RunStore(path), arms()
    step = Step(source="agent", message="print('a program of the usual length')\n" * 60)
    outputs = (File(path="out.csv", data=b"account;total\n" * 40),)
    began = time.perf_counter()
    for task in tasks(count // 2):
        for arm in both:
            view = arm.view_for(task)
            key = trial_key(task, view, agent.name, 0)
            passed_checks = sum(draw.random() < (0.6 if view.skills else 0.5) for _ in range(5))
            checks = tuple(Check(name=f"check {i}", passed=i < passed_checks) for i in range(5))
            score = Score(
                value=passed_checks / 5, passed=passed_checks == 5, checks=checks, verifier="suite:drawn", trusted=True
            )
            cost = Cost(calls=2, prompt_tokens=1400 + draw.randrange(200), completion_tokens=300, seconds=9.0)
            run = Trajectory(
                id=key, task_id=task.id, agent="code/1", model="none", snapshot=view.snapshot, steps=(step,),
                outputs=outputs, score=score, cost=cost,
            )  # fmt: skip
            store.put("trajectory", key, run.model_dump_json().encode(), cost)
            trial = Trial(
                task_id=task.id, arm="", seed=0, passed=score.passed, value=score.value, trajectory=key,
                judged_by=score.verifier, conditions=f"{SUITE}: {agent.name}", cost=cost,
            )  # fmt: skip
            store.index(trial, task=task.digest, view=view.digest)
    store.close()
    return (time.perf_counter() - began) / count


def found(path: Path, asked: Sequence[Task]) -> tuple[Trial, ...]:
    bench = Bench(Absent(), Drawn(), RunStore(path))  # pyright: ignore[reportArgumentType]

    async def main() -> tuple[Trial, ...]:
        return await run_trials(asked, arms(), (0,), bench)

    return anyio.run(main)


def shown(trials: Sequence[Trial]) -> dict[str, tuple[str, ...]]:
    return {t.task_id: (f"skill-{int(t.task_id.rpartition('/')[2]) % SKILLS:02d}",) for t in trials}


QUESTIONS: dict[str, Callable[[Path, Sequence[Task]], Any]] = {
    "a verdict on 400 of the trials": lambda path, asked: compare(found(path, asked[:200]), "without", "with").outcome,
    "a verdict on all trials": lambda path, asked: compare(found(path, asked), "without", "with").outcome,
    "the same by graded scores": lambda path, asked: compare_values(found(path, asked), "without", "with").outcome,
    f"a verdict for each of {SKILLS} skills, Holm": lambda path, asked: len(
        per_skill(trials := found(path, asked), shown(trials), "without", "with")
    ),
    "the noise under all conditions": lambda path, asked: known_noise(RunStore(path), f"{SUITE}: {Absent().name}"),
}


def ask(question: str, path: Path, count: int) -> dict[str, Any]:
    """Puts one question in a fresh process: seconds from the tasks to the answer, and the memory of it all."""
    command = [sys.executable, __file__, "--ask", question, "--store", str(path), "--trials", str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def answer(question: str, path: Path, count: int) -> dict[str, Any]:
    asked = tasks(count // 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    QUESTIONS[question](path, asked)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "question": question,
        "seconds": round(seconds, 2),
        "processor": round(cpu, 2),
        "mb": round(peak / 1024),
        "mb_before": round(before / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Verdicts over many stored trials: time and memory.")
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each question; the fastest counts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(answer(options.ask, options.store, options.trials)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.db"
        each = fill(path, options.trials)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        rows = [
            min((ask(question, path, options.trials) for _ in range(options.repeats)), key=lambda row: row["seconds"])
            for question in QUESTIONS
        ]
    if options.json:
        print(json.dumps({"trials": options.trials, "machine": machine(), "rows": rows}, indent=1))
        return
    print(f"{options.trials:,} trials, {size / 1e6:.0f} MB on disk, {1000 * each:.2f} ms to store one; {machine()}\n")
    print("| question | seconds | of them processor | memory |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['question']} | {row['seconds']:.2f} | {row['processor']:.2f} | {row['mb']} MB |")


if __name__ == "__main__":
    main()
