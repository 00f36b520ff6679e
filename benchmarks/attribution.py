"""What attribution costs, how often it errs, and how long it takes on a large library.

    python benchmarks/attribution.py decisions --libraries 2000   # simulated: the table in docs/attribution.md
    python benchmarks/attribution.py speed                        # a large library and a large store
    python benchmarks/attribution.py example                      # what the page shows, with a model that is played

Simulated libraries have four parts whose truth is known: one does nothing, one adds 10 points, one adds 30, one takes
15. A task has its own chance of success, drawn so that an A/A run flips in the given share of pairs; a trial is one
draw at that chance, moved by the parts that are there.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt

from prowess.core.base import canonical_json, digest
from prowess.core.cost import Cost
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Split, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.library import Change, Library
from prowess.library.index import Index
from prowess.library.provenance import trace, why
from prowess.library.store import Store
from prowess.library.trees import tree_of
from prowess.measure.attribution import WORTH, Attribution
from prowess.measure.contribution import Standing
from prowess.measure.parts import skills_of
from prowess.measure.stats.bounded import mean_interval
from prowess.measure.stats.design import Design, answer, is_futile
from prowess.measure.stats.paired import mcnemar_exact, tango_interval
from prowess.measure.stats.shapley import along, antithetic, prefixes
from prowess.measure.trials import Bench
from prowess.trajectories.runstore import RunStore

SHIFTS = {"useless": 0.0, "+10": 0.10, "+30": 0.30, "-15": -0.15}
PARTS = len(SHIFTS)
ALL = (1 << PARTS) - 1
Answers = tuple[list[str | None], int]
"""The answer for each part, and the trials spent."""


@dataclass(frozen=True)
class World:
    """One library: the chance of success of each task with each coalition of its parts."""

    chances: npt.NDArray[np.float64]
    rng: np.random.Generator

    def passes(self, block: int, coalition: int) -> bool:
        return bool(self.rng.random() < self.chances[block, coalition])


def world(flip_rate: float, blocks: int, rng: np.random.Generator, mean: float = 0.4) -> World:
    """Chances of tasks are Beta(mean·k, (1-mean)·k), with k such that `flip_rate` of equal pairs differ."""
    k = flip_rate / (2 * mean * (1 - mean) - flip_rate)
    base = rng.beta(mean * k, (1 - mean) * k, blocks)
    shift = np.array([sum(s for i, s in enumerate(SHIFTS.values()) if c >> i & 1) for c in range(ALL + 1)])
    return World(np.clip(base[:, None] + shift[None, :], 0, 1), rng)


Rule = Callable[[World], Answers]


def sequential(design: Design) -> Rule:
    """Ours: pairs for each part until its answer is known; the whole library's trials are shared."""

    def rule(w: World) -> Answers:
        whole = [w.passes(block, ALL) for block in range(design.max_pairs)]
        answers: list[str | None] = []
        pairs: list[int] = []
        for part in range(PARTS):
            wins = losses = n = 0
            known = None
            while n < design.max_pairs and known is None and not (n and is_futile(design, n, wins, losses)):
                for _ in range(design.batch):
                    without = w.passes(n, ALL & ~(1 << part))
                    wins, losses, n = wins + (whole[n] and not without), losses + (without and not whole[n]), n + 1
                known = answer(design, n, wins, losses)
            answers.append(known)
            pairs.append(n)
        return answers, sum(pairs) + max(pairs)

    return rule


def fixed(n: int, margin: float) -> Rule:
    """The same question at a size fixed beforehand: exact McNemar test, Tango's interval."""

    def rule(w: World) -> Answers:
        answers: list[str | None] = []
        whole = [w.passes(block, ALL) for block in range(n)]
        for part in range(PARTS):
            without = [w.passes(block, ALL & ~(1 << part)) for block in range(n)]
            wins = sum(a and not b for a, b in zip(whole, without, strict=True))
            losses = sum(b and not a for a, b in zip(whole, without, strict=True))
            shown = mcnemar_exact(wins, losses) <= 0.05
            below = tango_interval(wins, losses, n)[1] < margin
            answers.append(("helps" if wins > losses else "harms") if shown else "no help" if below else None)
        return answers, n * (PARTS + 1)

    return rule


def audits(rounds: int, size: int) -> Rule:
    """The moving average, streak and exposure rules of 2605.10923, at their published constants."""

    def rule(w: World) -> Answers:
        names = {"keep": "helps", "retire": "no help", "watch": None, "unmeasured": None}
        followed = [Standing() for _ in range(PARTS)]
        for number in range(rounds):
            at = range(number * size, (number + 1) * size)
            whole = sum(w.passes(block, ALL) for block in at) / size
            for part in range(PARTS):
                rate = sum(w.passes(block, ALL & ~(1 << part)) for block in at) / size
                followed[part] = followed[part].after(whole - rate, size)
        return [names[one.stage()] for one in followed], rounds * size * (PARTS + 1)

    return rule


def sampled(design: Design) -> Rule:
    """Shapley values along a random order and its reverse for each block, until every share is settled."""

    def rule(w: World) -> Answers:
        draw = random.Random(int(w.rng.integers(2**31)))
        samples: list[Sequence[float]] = []
        trials = 0
        answers: list[str | None] = [None] * PARTS
        for block in range(design.max_pairs):
            orders = antithetic(PARTS, draw)
            value = {c: float(w.passes(block, c)) for c in sorted({c for order in orders for c in prefixes(order)})}
            trials += len(value)
            samples.append(along(orders, value.__getitem__))
            if (block + 1) % 12 == 0:
                intervals = [mean_interval([s[i] for s in samples]) for i in range(PARTS)]
                answers = [_said(low, high, design.margin) for low, high in intervals]
                if None not in answers:
                    break
        return answers, trials

    return rule


def _said(low: float, high: float, margin: float) -> str | None:
    return "helps" if low > 0 else "harms" if high < 0 else "no help" if high < margin else None


RULES: dict[str, Rule] = {
    "leave one out, up to 60 pairs, margin 10": sequential(WORTH),
    "leave one out, up to 60 pairs, margin 20": sequential(replace(WORTH, margin=0.2)),
    "leave one out, up to 120 pairs, margin 20": sequential(replace(WORTH, margin=0.2, max_pairs=120)),
    "fixed 60 pairs, margin 10": fixed(60, 0.1),
    "fixed 60 pairs, margin 20": fixed(60, 0.2),
    "3 audits of 20 tasks, moving average": audits(3, 20),
    "Shapley, up to 60 blocks, margin 20": sampled(replace(WORTH, margin=0.2)),
}


def decisions(libraries: int, flip_rate: float, seed: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, (name, rule) in enumerate(RULES.items()):
        rng = np.random.default_rng([seed, number])
        some = libraries // 10 if name.startswith("Shapley") else libraries
        found = [rule(world(flip_rate, 120, rng)) for _ in range(some)]
        row: dict[str, Any] = {"rule": name, "libraries": some, "trials": float(np.mean([spent for _, spent in found]))}
        for i, kind in enumerate(SHIFTS):
            answers = [answer[i] for answer, _ in found]
            row[kind] = {said: answers.count(said) / some for said in ("helps", "harms", "no help", None)}
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]], flip_rate: float) -> None:
    """Right answers and errors: `goes` is harms or no help. Chances end at 0 and 1, so that parts add less together."""
    chances = world(flip_rate, 100_000, np.random.default_rng(0)).chances
    effects = (100 * float((chances[:, ALL] - chances[:, ALL & ~(1 << i)]).mean()) for i in range(PARTS))
    true = ", ".join(f"{kind} {effect:+.1f}" for kind, effect in zip(SHIFTS, effects, strict=True))
    print(
        f"\nA/A flip rate {flip_rate:.0%}; {rows[0]['libraries']} libraries (Shapley: {rows[-1]['libraries']}); "
        f"true points: {true}\n"
    )
    print(
        "| rule | useless goes | useless helps | +10 helps | +10 goes | +30 helps | +30 goes | −15 goes "
        "| −15 helps | trials |"
    )
    print("|---" * 10 + "|")
    for row in rows:
        shares: list[str] = []
        for kind in ("useless", "+10", "+30", "-15"):
            goes, helps = row[kind]["harms"] + row[kind]["no help"], row[kind]["helps"]
            shares += [f"{goes:.1%}", f"{helps:.1%}"] if kind in ("useless", "-15") else [f"{helps:.1%}", f"{goes:.1%}"]
        print(f"| {row['rule']} | {' | '.join(shares)} | {row['trials']:.0f} |")


# Speed


@dataclass(frozen=True)
class Numbered:
    """A suite of tasks without files; nothing is ever checked, since every trial is stored."""

    name: str = "numbered"
    families: tuple[str, ...] = ("all",)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        numbers = range(start, start + n)
        return tuple(
            Task(id=f"all/base/{i}", suite=self.name, family="all", split=split, seed=i, prompt=f"number {i}")
            for i in numbers
        )

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        raise AssertionError("a stored trial was run again")

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return None

    def human_skill(self, family: str) -> Skill | None:
        return None


@dataclass(frozen=True)
class Absent:
    """An agent that must not be asked."""

    name: str = "absent/1"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        raise AssertionError("a stored trial was run again")


class ShowAll:
    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot="", skills=library.skills)


def _library(skills: int) -> Snapshot:
    body = "# Skill {0}\n\n## Rules\n\n" + "".join(
        f"- Rule {i} of skill {{0}} for its kind of work.\n" for i in range(20)
    )
    made = [Skill(name=f"skill-{i:02}", description=f"Does work {i}.", body=body.format(i)) for i in range(skills)]
    return Snapshot.of(made)


def stored_trials(count: int, skills: int = 24) -> dict[str, Any]:
    """Attribution of every skill of a library whose `count` trials lie in the store."""
    library, suite = _library(skills), Numbered()
    arms = [library, *(library.without(name) for name in library.names)]
    tasks = suite.tasks("all", "gate", count // (len(arms) * 2))
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "trials.db")
        steps = tuple(Step(source="agent", message=hashlib.sha256(bytes([i])).hexdigest() * 12) for i in range(4))
        written, began = 0, time.perf_counter()
        for arm, snapshot in enumerate(arms):
            view = ShowAll().view(tasks[0], snapshot).digest
            for task in tasks:
                for seed in (0, 1):
                    good = bool(rng.random() < (0.4 if arm == 1 else 0.7))
                    score = Score(
                        value=float(good),
                        passed=good,
                        checks=(Check(name="a", passed=good),),
                        verifier="v",
                        trusted=True,
                    )
                    key = digest([task.digest, view, Absent().name, seed])
                    run = Trajectory(
                        id=key, task_id=task.id, agent=Absent().name, model="m", seed=seed, steps=steps, score=score
                    )
                    store.put("trajectory", key, run.model_dump_json().encode(), Cost(calls=1))
                    written += 1
        print(f"{written:,} trials written in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        child = os.fork()
        if child == 0:  # memory is that of the attribution, not of writing
            _attribute(library, tasks, Path(folder) / "trials.db", Path(folder) / "found.json")
            os._exit(0)
        os.waitpid(child, 0)
        return {"stored": written, "skills": skills, **json.loads((Path(folder) / "found.json").read_text())}


def _attribute(library: Snapshot, tasks: tuple[Task, ...], store: Path, out: Path) -> None:
    bench = Bench(Absent(), Numbered(), RunStore(store))
    asked = Attribution(library, tasks, ShowAll(), bench, WORTH, seeds=(0, 1))
    parts = skills_of(library)
    answer(asked.design, 1, 0, 0)  # the tables are made once a process; timed apart below
    wall, cpu = time.perf_counter(), time.process_time()
    found = anyio.run(asked.leave_one_out, parts)
    times = {"s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}
    read = sum(c.evidence.n for c in found) + max(c.evidence.n for c in found)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out.write_text(json.dumps({"leave_one_out": times, "trials_read": read, "peak_mb": round(memory)}))


def versions(count: int) -> dict[str, Any]:
    """`why` on a skill of 120 lines with `count` versions, each of which changed a line at random."""
    draw = random.Random(3)
    lines = [f"- Rule {i}: begin." for i in range(120)]
    with tempfile.TemporaryDirectory() as folder:
        with _filled(Path(folder)) as filling:
            for number in range(1, count + 1):
                at = draw.randrange(len(lines))
                lines[at] = f"- Rule {at}: version {number}."
                body = "# Much edited\n\n" + "\n".join(lines) + "\n"
                skill = Skill(name="much-edited", description="Much edited.", body=body)
                filling.change(number, skill.name, filling.store.put(tree_of(skill, None)))
            filling.end(skill)
        found, whole = _timed(lambda: why(filling.library, "much-edited"))
        _, one = _timed(lambda: why(filling.library, "much-edited", span=(60, 60)))
    return {"versions": count, "changes_named": len(found.reasons), "why_whole": whole, "why_line": one}


def entries(count: int, skills: int = 2000) -> dict[str, Any]:
    """`why` and `trace` where the ledger has `count` entries, each with two lessons of three references."""
    with tempfile.TemporaryDirectory() as folder:
        with _filled(Path(folder)) as filling:
            skill = Skill(name="real", description="Real.", body="# Real\n\n- A rule of this skill.\n")
            tree = filling.store.put(tree_of(skill, None))
            for number in range(1, count + 1):
                lessons = tuple(_lesson(number, k) for k in range(2))
                filling.change(number, "real" if number == count // 3 else f"skill-{number % skills}", tree, lessons)
            filling.end(skill)
        size = filling.store.database.stat().st_size / 1e6
        _, asked = _timed(lambda: why(filling.library, "real"))
        _, traced = _timed(lambda: trace(filling.library, f"{count // 3:08x}10"))
    return {"entries": count, "index_mb": round(size), "why": asked, "trace": traced}


def _lesson(number: int, k: int) -> Lesson:
    references = tuple(Reference(trajectory=f"{number:08x}{k}{r}", quote="what was said " * 8) for r in range(3))
    return Lesson(kind="cause", text=f"Lesson {number}.{k}", references=references)


@dataclass
class Filling:
    """A library whose history is put straight into its index; only the last entry is written to the ledger.

    So does a library look after any use. Writing 100,000 entries one by one, each safe against power cuts, would only
    take long.
    """

    library: Library
    index: Index
    store: Store
    last: tuple[int, str, bytes] = (0, "", b"")

    def change(self, number: int, name: str, tree: str, lessons: tuple[Lesson, ...] = ()) -> None:
        patch = Patch(
            base="", operations=(), reason=f"change {number}", lessons=tuple(x.id for x in lessons), author="a"
        )
        change = Change(
            number=number, id=f"{number:016x}", when="2026-01-01T00:00:00Z", kind="apply", before="", after="",
            trees={name: (None, tree)}, patch=patch, patch_id=patch.id, lessons=lessons, by="a",
        )  # fmt: skip
        body = canonical_json(change) + b"\n"
        sha = hashlib.sha256(body).hexdigest()
        self.index.add(change, sha)
        self.last = number, sha, body

    def end(self, skill: Skill) -> None:
        number, sha, body = self.last
        (self.store.ledger / f"{number:08d}.json").write_bytes(sha.encode() + b"\n" + body)
        (self.library.path / skill.name).mkdir()
        (self.library.path / skill.name / "SKILL.md").write_bytes(tree_of(skill, None)["SKILL.md"])


@contextmanager
def _filled(folder: Path) -> Generator[Filling]:
    fsync, os.fsync = os.fsync, lambda fd: None  # type: ignore[assignment]
    try:
        library = Library.open(folder / "library", create=True)
        with library.ledger() as (index, store):
            yield Filling(library, index, store)
    finally:
        os.fsync = fsync


def _timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What `call` gives, and the best of three times: seconds by the clock, and of this process alone."""
    clocks: list[tuple[float, float]] = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        found = call()
        clocks.append((time.perf_counter() - wall, time.process_time() - cpu))
    return found, {"s": round(min(w for w, _ in clocks), 3), "cpu_s": round(min(c for _, c in clocks), 3)}


# The example of the page


def example(folder: Path) -> None:
    """Two skills learned by the loop, one that repeats another and one that does nothing; then every verb on them."""
    from pretend import PretendModel
    from typer.testing import CliRunner

    from prowess.agents import models
    from prowess.cli.main import app
    from prowess.evolve.run import Plan, run_plan

    families = ("ledger-totals", "timesheet-hours")
    model = PretendModel(families, 240)
    models.open_model = lambda spec: model  # type: ignore[assignment]
    for name, value in {"PROWESS_DATA": "data", "PROWESS_CONFIG": "none.toml", "COLUMNS": "118"}.items():
        os.environ[name] = str(folder / value) if name != "COLUMNS" else value
    (folder / "none.toml").touch()
    os.chdir(folder)
    library = Library.open(folder / "demo" / "library", create=True)

    async def learn() -> None:
        plan = Plan("trace2skill", families=families, gate=12, test=6, samples=6, calibrate=False, human=False)
        record = await run_plan(
            plan, model=model, out=folder / "demo", library=library, concurrency=2, report=lambda event: None
        )
        (folder / "demo" / "record.json").write_text(record.model_dump_json())

    anyio.run(learn)
    idle = Skill(name="tidy-tables", description="Keeps tables of totals tidy.", body="# Tidy tables\n\n- Be tidy.\n")
    patch = Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=idle),), reason="added by hand")
    library.apply(patch, by="user")

    def prowess(*arguments: str) -> str:
        print(f"\n$ prowess {' '.join(arguments)} --library demo/library")
        done = CliRunner().invoke(app, [*arguments, "--library", "demo/library"])
        print(done.stdout or done.output)
        return done.stdout

    found = why(library, "ledger-totals")
    line = next(line for line in found.lines if "VOID" in line.text)
    prowess("why", f"ledger-totals:{line.number}")
    trajectory = found.reasons[0].lessons[line.lessons[0]].references[0].trajectory
    prowess("trace", trajectory[:12])
    options = ("-f", families[0], "-f", families[1], "--tasks", "20")
    prowess("attribute", *options)
    prowess("attribute", "--shapley", *options)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["decisions", "speed", "example"])
    parser.add_argument("--libraries", type=int, default=1000, help="simulated libraries; a tenth for Shapley (1000)")
    parser.add_argument("--flip-rates", type=float, nargs="+", default=[0.05, 0.27], help="A/A flip rates, below 0.48")
    parser.add_argument("--stored", type=int, default=100_000, help="stored trials (100000)")
    parser.add_argument("--versions", type=int, default=1000, help="versions of one skill (1000)")
    parser.add_argument("--entries", type=int, default=100_000, help="entries of one ledger (100000)")
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args()
    if options.what == "decisions":
        for rate in options.flip_rates:
            show(decisions(options.libraries, rate, options.seed), rate)
    elif options.what == "speed":
        began = time.perf_counter()
        answer(WORTH, 1, 0, 0)
        print(json.dumps({"tables_s": round(time.perf_counter() - began, 2)}))
        print(json.dumps(versions(options.versions)), flush=True)
        print(json.dumps(entries(options.entries)), flush=True)
        print(json.dumps(stored_trials(options.stored)), flush=True)
    else:
        with tempfile.TemporaryDirectory() as folder:
            example(Path(folder))


if __name__ == "__main__":
    main()
