"""What the loop itself costs, beside the model: with a model that answers at once, everything that is left is ours.

Two agents do the same work: `direct` hands over its answer without a sandbox, `code` is the real one, which runs a
program per task. A skill is learned, tried in pairs against none, and compared on held-out tasks.

    python benchmarks/loop.py                        # about two minutes
    python benchmarks/loop.py --profile 15           # where the time goes

Targets: 200 trajectories per second with the direct agent, 1 ms of our time per step, 10,000 stored trajectories in
500 MB and opened lazily, the command line up in 0.3 s.
"""

import argparse
import cProfile
import io
import json
import os
import platform
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from pretend import SUITE, PretendModel

from prowess.agents.base import Agent
from prowess.agents.code import CodeAgent
from prowess.agents.models.cache import Cached
from prowess.agents.models.meter import Budget, Metered
from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost, total
from prowess.core.model import Message, Model, Request
from prowess.core.skill import Snapshot
from prowess.core.task import File, Split, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.upkeep import KeptTask
from prowess.core.view import View
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.curate import Transcript
from prowess.evolve.loop import evolve
from prowess.evolve.protocols import Context, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes.human import Given
from prowess.evolve.record import Decision
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.library import Library
from prowess.measure.compare import compare
from prowess.measure.gates import FormatGate, ScanGate, TrialsGate
from prowess.measure.stats.design import Design
from prowess.measure.trials import Arm, Bench, run_trials
from prowess.sandbox import find_sandbox
from prowess.trajectories.runstore import RunStore

FAMILY = "ledger-totals"
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
GATE = 20
"""Pairs at most; a skill that always helps takes six."""


@dataclass(frozen=True)
class Direct:
    """The smallest agent: hands the model's last answer over as the output file, no program run."""

    model: Model
    turns: int = 1
    """How often the model is asked, each time with all that was said before."""

    @property
    def name(self) -> str:
        return f"direct/1 turns={self.turns}"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        system = "\n".join(skill.body for skill in view.skills)
        messages = (Message(role="system", content=system), Message(role="user", content=task.prompt))
        steps = [Step(source="user", message=task.prompt)]
        for _ in range(self.turns):
            response = await self.model.complete(Request(messages=messages, seed=seed))
            steps.append(Step(source="agent", message=response.text, cost=response.cost))
            again = (Message(role="assistant", content=response.text), Message(role="user", content="Look again."))
            messages = (*messages, *again)
        names = tuple(skill.name for skill in view.skills)
        answer = File(path=task.outputs[0], data=steps[-1].message.encode())
        return Trajectory(
            id="",
            task_id=task.id,
            agent=self.name,
            model=self.model.name,
            seed=seed,
            snapshot=view.snapshot,
            offered=names,
            loaded=names,
            steps=tuple(steps),
            outputs=(answer,),
            cost=total([step.cost for step in steps if step.cost]),
        )


def answering(tasks: int) -> Model:
    """A model for `Direct`: the right output file with a skill in the prompt, one with wrong separators without."""
    drawn = (task for split in SPLITS for task in SUITE.tasks(FAMILY, split, tasks))
    right = {task.prompt: SUITE.oracle(task)[0].text for task in drawn}

    def answer(request: Request) -> str:
        system, user = request.messages[:2]
        return right[user.content] if system.content else right[user.content].replace(";", ",")

    return ScriptedModel(answer)


async def whole_loop(make: Callable[[Model], Agent], model: Model, out: Path, tasks: int, concurrency: int) -> int:
    """Evidence, lessons, a gated skill, the held-out comparison; the number of trajectories made."""
    model = Cached(Metered(model, Budget()), out / "answers.db", as_paid=True)
    store, library = RunStore(out / "run.db"), Library.open(out / "library", create=True)
    agent, provider = make(model), BestMatches()
    source = Given((SUITE.human_skill(FAMILY),))
    recipe = Recipe(
        name="benchmark",
        source=Stream(SUITE.tasks(FAMILY, "evidence", tasks), per_round=tasks),
        provider=provider,
        analyst=Transcript(),
        proposer=source,
        consolidator=Unmerged(),
        gates=(FormatGate(), ScanGate(), TrialsGate(SUITE.tasks(FAMILY, "gate", GATE), provider, design=Design(GATE))),
        selector=Last(),
    )
    context = Context(SUITE, agent, model, store, concurrency=concurrency)

    def settle(d: Decision, kept: tuple[KeptTask, ...]) -> str:
        return library.apply(d.patch, verdicts=d.verdicts, lessons=d.lessons, kept=kept).id

    evolved = await evolve(recipe, Snapshot(), context, settle)
    assert evolved.decisions[0].accepted
    arms = (
        Arm("without", lambda task: provider.view(task, Snapshot())),
        Arm("with", lambda task: provider.view(task, evolved.snapshot)),
    )
    trials = await run_trials(SUITE.tasks(FAMILY, "test", tasks), arms, (0,), Bench.of(context))
    assert compare(trials, "without", "with").outcome == "better"
    return len(list(store.keys("trajectory")))


def measure(make: Callable[[Model], Agent], model: Model, tasks: int, concurrency: int) -> dict[str, Any]:
    """Trajectories per second, and the processor time of this process per trajectory and per answer of the model.

    Programs run in processes of their own, so their time counts for the first figure only.
    """
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        made = anyio.run(whole_loop, make, model, Path(folder), tasks, concurrency)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        store = RunStore(Path(folder) / "run.db")
        values = (store.get("trajectory", key) for key in store.keys("trajectory"))
        runs = [Trajectory.model_validate_json(value) for value in values if value]
        answers = sum(step.source == "agent" for run in runs for step in run.steps)
    return {
        "trajectories": made,
        "answers": answers,
        "per_second": round(made / wall, 1),
        "our_ms_per_trajectory": round(1000 * cpu / made, 2),
        "our_ms_per_step": round(1000 * cpu / answers, 2),
    }


def storage(count: int) -> dict[str, Any]:
    """Size of `count` trajectories of the code agent, and what opening the store and reading one costs."""
    sandbox = find_sandbox()
    samples: list[Trajectory] = []

    async def collect() -> None:
        families = SUITE.families[:4]
        model = PretendModel(families, 4)
        agent = CodeAgent(model, sandbox)
        for family in families:
            for skill in (None, SUITE.human_skill(family)):
                snapshot = Snapshot.of([skill] if skill else [])
                view = View(snapshot=snapshot.digest, skills=snapshot.skills)
                for task in SUITE.tasks(family, "test", 2):
                    run = await agent.run(task, view, 0)
                    samples.append(run.model_copy(update={"score": SUITE.check(task, run.outputs)}))

    anyio.run(collect)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.db"
        store = RunStore(path)
        began = time.perf_counter()
        for number in range(count):
            id = f"{number:064x}"
            value = samples[number % len(samples)].model_copy(update={"id": id}).model_dump_json().encode()
            store.put("trajectory", id, value, Cost(calls=1))
        writing = time.perf_counter() - began
        store.close()
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        store = RunStore(path)
        opened = time.perf_counter() - began
        Trajectory.model_validate_json(store.get("trajectory", f"{count // 2:064x}") or b"")
        one = time.perf_counter() - began - opened
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "trajectories": count,
        "mb": round(size / 1e6, 1),
        "write_ms_each": round(1000 * writing / count, 2),
        "open_ms": round(1000 * opened, 2),
        "read_one_ms": round(1000 * one, 2),
        "memory_grown_kb": grown,
    }


def start(runs: int) -> dict[str, Any]:
    """How long `prowess --help` and `prowess --version` take, from process to exit."""
    found: dict[str, Any] = {}
    for argument in ("--help", "--version"):
        times: list[float] = []
        for _ in range(runs):
            command = [sys.executable, "-c", "from prowess.cli.main import run; run()", argument]
            began = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True, timeout=60)
            times.append(time.perf_counter() - began)
        found[argument] = {"median_s": round(statistics.median(times), 3), "fastest_s": round(min(times), 3)}
    return found


def profile(tasks: int, lines: int, by: str = "tottime") -> str:
    """Where the direct loop spends its time, by functions' own time."""
    profiler, model = cProfile.Profile(), answering(max(tasks, GATE))
    with tempfile.TemporaryDirectory() as folder:
        profiler.enable()
        anyio.run(whole_loop, Direct, model, Path(folder), tasks, 1)
        profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats(by).print_stats(lines)
    return "\n".join(line for line in text.getvalue().splitlines() if line.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description="The loop's own speed and size, with a model that answers at once.")
    parser.add_argument("--tasks", type=int, default=300, help="evidence and held-out tasks of the direct agent (300)")
    parser.add_argument("--code-tasks", type=int, default=20, help="the same for the code agent (20)")
    parser.add_argument("--stored", type=int, default=10_000, help="trajectories stored (10000)")
    parser.add_argument("--concurrency", type=int, default=2, help="trials in flight (2)")
    parser.add_argument("--profile", type=int, default=0, metavar="LINES", help="print the costliest functions, only")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    if options.profile:
        print(profile(options.tasks, options.profile))
        return
    import numpy as np  # imported by the gate at its first look; not the loop's own time

    sandbox, most = find_sandbox(), max(options.tasks, GATE)
    figures = {
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        "sandbox": sandbox.name,
        "direct": measure(Direct, answering(most), options.tasks, options.concurrency),
        "ten_turns": measure(lambda m: Direct(m, 10), answering(most), options.tasks, options.concurrency),
        "code": measure(
            lambda m: CodeAgent(m, sandbox), PretendModel((FAMILY,), most), options.code_tasks, options.concurrency
        ),
        "store": storage(options.stored),
        "start": start(5),
    }
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    show(figures)


def show(figures: dict[str, Any]) -> None:
    direct, ten, code = figures["direct"], figures["ten_turns"], figures["code"]
    store, begin = figures["store"], figures["start"]
    rows = [
        ("trajectories per second, direct agent, one turn", direct["per_second"], ">= 200"),
        ("  our ms per trajectory", direct["our_ms_per_trajectory"], ""),
        ("trajectories per second, direct agent, ten turns", ten["per_second"], ""),
        ("  our ms per step (an answer of the model)", ten["our_ms_per_step"], "<= 1"),
        ("trajectories per second, code agent in the sandbox", code["per_second"], ""),
        ("  our ms per trajectory", code["our_ms_per_trajectory"], ""),
        (f"MB for {store['trajectories']} stored trajectories", store["mb"], "<= 500"),
        ("  ms to store one", store["write_ms_each"], ""),
        ("  ms to open the store", store["open_ms"], "lazily"),
        ("  ms to read one of them", store["read_one_ms"], ""),
        ("  KB of memory grown by that", store["memory_grown_kb"], ""),
        ("prowess --version, seconds (median)", begin["--version"]["median_s"], "<= 0.3"),
        ("prowess --help, seconds (median)", begin["--help"]["median_s"], "<= 0.3"),
    ]
    print(f"{figures['machine']}, {figures['sandbox']}\n")
    for name, value, target in rows:
        print(f"{name:52} {value:>10} {target:>8}")


if __name__ == "__main__":
    main()
