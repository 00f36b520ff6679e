"""Runs a comparison of recipes, cell by cell: part, seed, recipe, and the model that builds.

A finished cell lies in `<out>/bench.db` and is not run again; an unfinished one goes on where it was, by the stores of
its own learning and by `<out>/tests.db`, which holds the trials of all. Answers of models lie in `<out>/answers.db`, so
what two recipes ask alike is paid once, and counted in full for each.
"""

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from prowess.agents.executor import Executor
from prowess.agents.models.cache import Cached
from prowess.agents.models.meter import Budget, Meter, Metered
from prowess.core.base import digest
from prowess.core.cost import total
from prowess.core.errors import BudgetExceeded, ProwessError, UserError
from prowess.core.evidence import Trial
from prowess.core.model import Model
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.evolve.bench.gains import NONE, gains_of
from prowess.evolve.bench.levels import levels
from prowess.evolve.bench.record import BenchPlan, BenchRecord, Entry, Funnel, Group, SuitePart
from prowess.evolve.method import Setup
from prowess.evolve.placing import AgentSettings, Place, place_on
from prowess.evolve.protocols import Event
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes import build, check
from prowess.evolve.record import Point, RunRecord
from prowess.evolve.run import Plan, machine, run_plan
from prowess.measure.gates import Provider
from prowess.measure.trials import Arm, Bench, run_trials, stored_trajectory
from prowess.sandbox import find_sandbox
from prowess.suites import open_suite
from prowess.trajectories.runstore import RunStore

SEED, ORACLE = "seed", "oracle"
"""Arms that are no recipes: the library that all begin with, and the right answers."""
Report = Callable[[Event], None]


async def run_bench(
    plan: BenchPlan,
    *,
    open_: Callable[[str], Callable[[], Model]],
    out: Path,
    executor: Executor,
    report: Report,
    budget_usd: float | None = None,
) -> BenchRecord:
    """Run `plan` in the folder `out`.

    A recipe that fails on its own account, by its suite or by a bug, leaves an entry that says why; the others go on,
    and the next call tries it again.

    Args:
        plan: What to compare.
        open_: The opener of a model, by the name that the plan has for it; hashable, and for a cluster picklable.
        out: Where everything lies; the same call in the same folder resumes.
        executor: Where agents act and models answer.
        report: Told of progress.
        budget_usd: Most that this call may spend.

    Raises:
        UserError: a recipe, suite or family is not there; found before anything is spent.
        BudgetExceeded: `budget_usd` was reached; the same call resumes.
    """
    plan = _checked(plan)
    meter = Meter(Budget(usd=budget_usd))
    places = {name: place_on(executor, open_(name), (meter,)) for name in plan.models}
    models = {
        name: Cached(Metered(place.model(open_(name)()), meter), out / "answers.db", as_paid=True)
        for name, place in places.items()
    }
    bench = _Bench(plan, out, models, places, report)
    cells = [*product(range(len(plan.parts)), plan.seeds, plan.recipes, plan.models)]
    entries: list[Entry] = []
    for done, (part, seed, recipe, built) in enumerate(cells):
        where = f"{plan.parts[part].suite}, seed {seed}, {recipe}"
        report(Event("cell", where, {"done": done, "total": len(cells)}))
        entries += await bench.cell(part, seed, recipe, built)
    report(Event("cell", "all done", {"done": len(cells), "total": len(cells)}))
    entries.sort(key=lambda e: (e.part, plan.recipes.index(e.recipe), e.seed))
    return BenchRecord(
        plan=plan,
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
        command=" ".join(["prowess", *sys.argv[1:]]),
        lost=executor.lost,
        entries=tuple(entries),
        gains=gains_of(plan, entries),
    )


def _checked(plan: BenchPlan) -> BenchPlan:
    """The plan with its families spelled out, and with the arms that every comparison has.

    Raises:
        UserError: something that it names is not there.
    """
    parts: list[SuitePart] = []
    for part in plan.parts:
        suite = open_suite(part.suite)
        families = part.families or suite.families
        for recipe in plan.recipes:
            if recipe not in (SEED, ORACLE):
                check(recipe, suite, families)
        parts.append(SuitePart(suite=part.suite, families=families))
    if not parts or not plan.models or not plan.seeds:
        raise UserError("there is nothing to compare", "name at least one suite, one model and one seed")
    always = (NONE, *([SEED] if plan.start.skills else ()))
    recipes = tuple(dict.fromkeys((*always, *plan.recipes)))
    return plan.model_copy(update={"parts": tuple(parts), "recipes": recipes})


class _Bench:
    """What the cells of one comparison share."""

    def __init__(
        self, plan: BenchPlan, out: Path, models: dict[str, Cached], places: dict[str, Place], report: Report
    ) -> None:
        self.plan, self.out, self.models, self.places, self.report = plan, out, models, places, report
        self.done = RunStore(out / "bench.db")
        self.tests = RunStore(out / "tests.db")
        self.sandbox = find_sandbox()

    async def cell(self, part: int, seed: int, recipe: str, built: str) -> list[Entry]:
        """What a recipe learned with the model `built`, tried with every model."""
        plan, where = self.plan, self.plan.parts[part]
        settings = plan.model_dump(include={"evidence", "gate", "test", "other", "samples", "tokens", "start"})
        entries: list[Entry] = []
        for used in plan.models if recipe not in (NONE, SEED, ORACLE) else (built,):
            known = [where.model_dump(), seed, recipe, self.models[built].name, self.models[used].name, settings]
            key = digest(["entry/1", known])
            stored = self.done.get("entry", key)
            if stored is None:
                entry = Entry(part=part, recipe=recipe, seed=seed, built_with=built, used_with=used)
                entry = await self._entry(entry, self.out / "runs" / digest([*known[:4], settings])[:12])
                if not entry.failure:
                    self.done.put("entry", key, entry.model_dump_json().encode())
            else:
                entry = Entry.model_validate_json(stored).model_copy(
                    update={"part": part, "built_with": built, "used_with": used}
                )
            entries.append(entry)
        return entries

    async def _entry(self, entry: Entry, folder: Path) -> Entry:
        where, plan = self.plan.parts[entry.part], self.plan
        suite = open_suite(where.suite)
        setup = Setup(
            suite, self.sandbox, where.families, evidence=plan.evidence, gate=plan.gate, samples=plan.samples,
            seed=entry.seed,
        )  # fmt: skip
        try:
            record = None
            if entry.recipe not in (SEED, ORACLE):
                record = await self._learned(entry, where, folder)
            return await self._tried(entry, setup, record)
        except BudgetExceeded:
            raise
        except Exception as error:  # a night's run outlives the bug of one recipe
            if not isinstance(error, ProwessError):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "failure.txt").write_text("".join(traceback.format_exception(error)), "utf-8")
            self.report(Event("cell", f"{entry.recipe} failed: {error}", {}))
            return entry.model_copy(update={"failure": f"{type(error).__name__}: {error}"})

    async def _learned(self, entry: Entry, where: SuitePart, folder: Path) -> RunRecord:
        """The record of the recipe's learning; no held-out task is run in it."""
        p = self.plan
        plan = Plan(
            entry.recipe, where.suite, where.families, evidence=p.evidence, gate=p.gate, test=0, samples=p.samples,
            calibrate=False, human=False, seed=entry.seed, tokens=p.tokens,
        )  # fmt: skip

        def told(event: Event) -> None:
            self.report(event._replace(message=f"{entry.recipe}: {event.message}"))

        place = self.places[entry.built_with]
        return await run_plan(
            plan, model=self.models[entry.built_with], out=folder, library=None, concurrency=place.executor.width,
            report=told, start=p.start, place=place,
        )  # fmt: skip

    async def _tried(self, entry: Entry, setup: Setup, record: RunRecord | None) -> Entry:
        """The entry with its trials, each group against no skills."""
        library = record.after if record is not None else self.plan.start
        place = self.places[entry.used_with]
        settings = AgentSettings(self.plan.parts[entry.part].suite)
        plain = place.agent(settings, self.models[entry.used_with], self.sandbox, setup.suite)
        bench = Bench(plain, setup.suite, self.tests, place.executor.width)
        recipe = build(NONE if record is None else entry.recipe, setup)
        provider: Provider = BestMatches() if entry.recipe == SEED else recipe.provider
        arm = Arm.oracle() if entry.recipe == ORACLE else Arm(entry.recipe, lambda task: provider.view(task, library))
        trials: dict[Group, tuple[Trial, ...]] = {}
        for group, tasks in self._groups(setup).items():
            without = await run_trials(tasks, [Arm.without(NONE)], (entry.seed,), bench)
            mine = replace(bench, agent=recipe.agent(plain))
            own = await run_trials(tasks, [arm], (entry.seed,), mine) if entry.recipe != NONE else ()
            trials[group] = (*without, *own)
        if record is not None and (later := _later(record.curve)):
            ids = {point.task_id: point for point in later}
            tasks = [t for t in setup.all_tasks("evidence", setup.evidence) if t.id in ids]
            without = await run_trials(tasks, [Arm.without(NONE)], (entry.seed,), bench)
            trials["later"] = (*without, *(_trial(ids[t.id], entry) for t in tasks))
        return _summed(entry.model_copy(update={"trials": trials, "skills": library}), setup, record, self.tests)

    def _groups(self, setup: Setup) -> dict[Group, tuple[Task, ...]]:
        """Test tasks by group; groups without any are left out."""
        suite, n, start = setup.suite, self.plan.other, setup.seed * self.plan.other
        strange = [f for f in suite.families if f not in setup.families]
        shifted = [(f, v) for f in setup.families for v in suite.variants(f) if v != setup.variant]
        groups: dict[Group, tuple[Task, ...]] = {
            "held-out": setup.all_tasks("test", self.plan.test),
            "other families": tuple(t for f in strange for t in suite.tasks(f, "test", n, start=start)),
            "other rules": tuple(t for f, v in shifted for t in suite.tasks(f, "test", n, v, start=start)),
        }
        return {group: tasks for group, tasks in groups.items() if tasks}


def _later(curve: Sequence[Point]) -> list[Point]:
    """The last try of each task in the second half of each family's stream, where a family has two tasks or more."""
    families: dict[str, dict[str, Point]] = {}
    for point in curve:
        families.setdefault(point.family, {})[point.task_id] = point
    return [point for own in families.values() for point in list(own.values())[(len(own) + 1) // 2 :]]


def _trial(point: Point, entry: Entry) -> Trial:
    return Trial(
        task_id=point.task_id, arm=entry.recipe, seed=entry.seed, passed=point.passed, trajectory=point.trajectory
    )


def _summed(entry: Entry, setup: Setup, record: RunRecord | None, tests: RunStore) -> Entry:
    """The entry with what its learning cost and what its held-out runs show."""
    held = entry.trials.get("held-out", ())
    failed = {t.task_id for t in held if t.arm == NONE and t.passed is False}
    own = [t for t in held if t.arm == entry.recipe]
    runs: list[tuple[Trial, Trajectory]] = []
    for trial in own:
        run = stored_trajectory(tests, trial.trajectory)
        if run is not None:
            runs.append((trial, run))
    funnel = Funnel(
        runs=len(runs),
        offered=sum(bool(run.offered) for _, run in runs),
        loaded=sum(bool(run.loaded) for _, run in runs),
        used=sum(bool(run.used) for _, run in runs),
        helped=sum(bool(run.used) and trial.passed is True and trial.task_id in failed for trial, run in runs),
    )
    turns = [sum(step.source == "agent" for step in run.steps) for _, run in runs]
    measured = levels(entry.skills, setup.families, setup.suite, [run for _, run in runs])
    steps = sum(turns) / len(turns) if turns else 0.0
    update: dict[str, object] = {"funnel": funnel, "steps": steps, "levels": measured}
    if record is not None:
        update |= {
            "learning": total([stage.cost for stage in record.costs]),
            "seconds": record.seconds,
            "ended": record.ended,
            "accepted": sum(d.accepted for d in record.decisions),
            "tried": len(record.decisions),
            "unusable": record.unusable,
            "curve": record.curve,
        }
    return entry.model_copy(update=update)
