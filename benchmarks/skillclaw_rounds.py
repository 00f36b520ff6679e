"""SkillClaw's protocol (2604.08377) on a real hub: users work by day, the hub learns by night, and who shares varies.

    python benchmarks/skillclaw_rounds.py --scripted                 # a played model: some minutes
    python benchmarks/skillclaw_rounds.py --analyst search --families ledger-totals --out runs/skillclaw

By day each user's agent does tasks with the skills that it has, and its sessions go to the hub over HTTP. By night the
sessions become proposals, the hub tries each on tasks that nobody has seen and publishes what passes its gates, and in
the morning all synchronise. Four ways of it do the same tasks under the same seeds, so that they are compared in pairs:

    none                  nobody learns
    alone                 each user has a project to themself
    shared                one project for all, as in the paper
    shared, unvalidated   the same, and whatever is proposed is published

On day d user u meets the family number u + d, so alone everybody learns each family for themself. Afterwards every user
does held-out tasks of all families. Sessions are scored by the tasks' own checks, where the paper has a model judge.
`--analyst reflect` is the paper's way to a lesson: a summary, and one decision for each group of sessions. A model too
small for that finds rules by `--analyst search`, as trace2skill does. Stopped, the same call goes on.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
from pretend import SUITE, PretendModel, by_another_office
from pydantic import JsonValue

from prowess.agents.models import open_metered
from prowess.agents.models.cache import Cached
from prowess.core.cost import Cost
from prowess.core.errors import PatchConflict, Refused
from prowess.core.evidence import Trial
from prowess.core.model import Model, Request, Response
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.evolve.distil import Distil
from prowess.evolve.editing import Editing, Writing
from prowess.evolve.explore import Explore
from prowess.evolve.method import Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Analyst, Context, Episode, Past, Proposer
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes import skillclaw
from prowess.evolve.run import agent_of, machine
from prowess.guard.redact import redact_patch
from prowess.library import Library
from prowess.measure.compare import compare
from prowess.measure.trials import Arm, Bench, run_trial, run_trials
from prowess.sandbox import find_sandbox
from prowess.serve.hub.accounts import Settings
from prowess.serve.hub.client import Client
from prowess.serve.hub.evolver import Evolver
from prowess.serve.hub.service import Hub
from prowess.serve.hub.team import served
from prowess.serve.sync import sync
from prowess.serve.sync.hub import HubRemote
from prowess.trajectories.runstore import RunStore

MANAGER = "night"
"""Runs each project, and takes what is proposed where nothing is validated."""
TRIED = 1
"""Which tasks a proposal is tried on; a hub draws them by a secret, and then a stopped run would not go on."""


@dataclass(frozen=True, slots=True)
class Way:
    """Who shares with whom, and what is asked before something is shared."""

    name: str
    together: bool = False
    validated: bool = True
    learns: bool = True


NONE, ALONE = Way("none", learns=False), Way("alone")
SHARED, UNVALIDATED = Way("shared", together=True), Way("shared, unvalidated", together=True, validated=False)
WAYS = (NONE, ALONE, SHARED, UNVALIDATED)
PAIRS = ((NONE, SHARED), (NONE, ALONE), (ALONE, SHARED), (UNVALIDATED, SHARED))
"""Which are compared on the held-out tasks: the first is the baseline."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What all ways have in common."""

    out: Path
    families: tuple[str, ...]
    users: tuple[str, ...]
    days: int
    tasks: int
    """Of each user and day."""
    held_out: int
    """Of each user and family."""
    analyst: str
    seed: int
    model: Model

    def evidence(self, family: str) -> tuple[Task, ...]:
        most = len(self.users) * self.days * self.tasks
        return SUITE.tasks(family, "evidence", most, start=self.seed * most)

    def dealt(self) -> list[dict[str, tuple[Task, ...]]]:
        """Day by day, each user's tasks: of one family, and on the next day of the next one."""
        rest = {family: iter(self.evidence(family)) for family in self.families}
        return [
            {
                user: tuple(islice(rest[self.families[(u + day) % len(self.families)]], self.tasks))
                for u, user in enumerate(self.users)
            }
            for day in range(self.days)
        ]

    def test(self) -> dict[str, tuple[Task, ...]]:
        """Each user's held-out tasks, of every family."""
        most = len(self.users) * self.held_out
        drawn = [SUITE.tasks(family, "test", most, start=self.seed * most) for family in self.families]
        return {user: tuple(t for ts in drawn for t in ts[u :: len(self.users)]) for u, user in enumerate(self.users)}

    def bench(self, store: RunStore) -> Bench:
        return Bench(agent_of(self.model, find_sandbox(), SUITE), SUITE, store, concurrency=1)


@dataclass(slots=True)
class Seen:
    """What came of one way."""

    days: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Passed and done, each day."""
    proposed: int = 0
    published: int = 0
    """Skills that the users have in the end, all projects together."""
    test: tuple[Trial, ...] = ()
    seconds: float = 0.0


def live(way: Way, plan: Protocol, store: RunStore) -> Seen:
    """All days and nights of one way, and the held-out tasks after them."""
    seen, started, place = Seen(), time.monotonic(), plan.out / way.name.replace(", ", "-")
    shutil.rmtree(place, ignore_errors=True)  # what was answered and run is found in the stores
    hub = Hub.open(place / "hub")
    projects = {user: "team" if way.together else user for user in plan.users}
    settle(hub, plan, projects)
    libraries = {user: Library.open(place / user, create=True) for user in plan.users}
    night = Night(hub, plan, way, store)
    with served(hub) as url, ExitStack() as open_:
        clients = {
            name: open_.enter_context(Client(url, hub.accounts.issue(name)[1])) for name in (*plan.users, MANAGER)
        }
        for day, dealt in enumerate(plan.dealt()):
            passed: list[bool] = []
            for user, tasks in dealt.items():
                for trajectory in anyio.run(worked, tasks, libraries[user].snapshot(), plan, store):
                    clients[user].upload(projects[user], trajectory)
                    passed.append(bool(trajectory.passed))
            seen.days.append((sum(passed), len(passed)))
            print(f"{way.name}, day {day + 1}: {sum(passed)} of {len(passed)} passed", file=sys.stderr, flush=True)
            for project in dict.fromkeys(projects.values()) if way.learns else ():
                seen.proposed += anyio.run(night.learn, project)
                night.settle(project, clients[MANAGER])
            for user in plan.users:
                sync(libraries[user], HubRemote(clients[user], projects[user]))
        seen.published = sum(len(clients[MANAGER].skills(name).skills) for name in dict.fromkeys(projects.values()))
    seen.test = anyio.run(tested, way, {user: own.snapshot() for user, own in libraries.items()}, plan, store)
    seen.seconds = time.monotonic() - started
    hub.close()
    return seen


def settle(hub: Hub, plan: Protocol, projects: Mapping[str, str]) -> None:
    """Accounts, projects and their settings."""
    for name in (*plan.users, MANAGER):
        hub.accounts.add(name)
    for project in dict.fromkeys(projects.values()):
        hub.accounts.add_project(project, MANAGER)
        hub.accounts.set_settings(
            project,
            Settings(suite=SUITE.name, families=plan.families, publish="validated"),  # type: ignore[arg-type]
        )
    for user, project in projects.items():
        hub.accounts.join(project, user, "member")


async def worked(tasks: Sequence[Task], library: Snapshot, plan: Protocol, store: RunStore) -> list[Trajectory]:
    """A user's day: the agent's sessions."""
    bench = plan.bench(store)
    return [
        await run_trial(task, BestMatches().view(task, library), plan.seed, bench.agent, SUITE, store) for task in tasks
    ]


async def tested(way: Way, libraries: Mapping[str, Snapshot], plan: Protocol, store: RunStore) -> tuple[Trial, ...]:
    """Held-out tasks, each by its user with what that user has in the end."""
    found: list[Trial] = []
    for user, tasks in plan.test().items():
        arm = Arm(way.name, partial(BestMatches().view, library=libraries[user]))
        found += await run_trials(tasks, (arm,), (plan.seed,), plan.bench(store))
    return tuple(found)


class Drawn(Evolver):
    """The hub's own worker, on tasks that do not change from run to run."""

    def _draw(self, about: str) -> int:
        return TRIED


class Night:
    """What the hub does while nobody works."""

    def __init__(self, hub: Hub, plan: Protocol, way: Way, store: RunStore) -> None:
        self._hub, self._plan, self._way, self._store = hub, plan, way, store
        self._setup = Setup(SUITE, find_sandbox(), plan.families, seed=plan.seed)
        self._tasks = {task.id: task for family in plan.families for task in plan.evidence(family)}
        self._learned: set[str] = set()
        """Sessions that were learned from."""

    async def learn(self, project: str) -> int:
        """Sessions of this day become proposals; returns how many."""
        plan, library = self._plan, self._hub.project(project).library
        new = [t for t in self._hub.sessions.all(project) if t.id not in self._learned]
        self._learned |= {t.id for t in new}
        episodes = tuple(Episode(self._tasks[t.task_id], t) for t in new if t.task_id is not None)
        bench, snapshot = plan.bench(self._store), library.snapshot()
        context = Context(SUITE, bench.agent, plan.model, self._store, plan.seed, past=Past((episodes,)))
        analyst, proposer = self._parts()
        lessons = await analyst.lessons(episodes, snapshot, context)
        patches = await proposer.patches(lessons, snapshot, context)
        for patch in patches:
            behind = tuple(lesson for lesson in lessons if lesson.id in patch.lessons)
            proposal = library.propose(redact_patch(patch), behind, by="skillclaw")
            if self._way.validated:
                self._hub.jobs.ask(project, "validate", MANAGER, proposal.id)
        return len(patches)

    def _parts(self) -> tuple[Analyst, Proposer]:
        common, setup = prompts("common"), self._setup
        if self._plan.analyst == "reflect":
            recipe = skillclaw.recipe(setup)
            return recipe.analyst, recipe.proposer
        distil = Distil(setup.sandbox, self._tasks)
        return Explore(setup.sandbox, samples=setup.samples), Writing(distil, Editing(common["edit"], "skillclaw"))

    def settle(self, project: str, manager: Client) -> None:
        """Works the queue empty; where nothing is validated, the manager takes every proposal unseen first."""
        if not self._way.validated:
            for proposal in manager.proposals(project):
                try:
                    manager.use(project, proposal.id)
                except (PatchConflict, Refused) as error:
                    print(f"{project}: {error.message}", file=sys.stderr)
        worker = Drawn(self._hub, lambda: self._plan.model)
        while (job := worker.once()) is not None:
            said = self._hub.jobs.get(job.project, job.id)
            print(f"{project}: {said.kind} {said.state}: {said.said}", file=sys.stderr, flush=True)


# A played model


class Careless(PretendModel):
    """Right with a good skill, wrong with a bad one, and right on every fourth task without; every third skill that it
    writes is bad."""

    BAD = "Follow the rules of the office in the north, whatever the task says."
    _bad = False
    _case = 0

    async def complete(self, request: Request) -> Response:
        text = request.messages[-1].content
        if '"blame"' in json.dumps(request.json_schema):
            self._case = self._task(request).seed
        if "Sessions:\n" in text and "- failed" not in text:
            return Response(text='{"decision": "skip"}', model=self.name, cost=Cost(calls=1))
        self._bad = hashlib.sha256(text.encode()).digest()[0] % 3 == 0
        return await super().complete(request)

    def _program(self, request: Request) -> str:
        task, shown = self._task(request), request.messages[0].content
        skilled = f'<skill_content name="{task.family}' in shown
        right = self.BAD not in shown if skilled else task.seed % 4 == 0
        return SUITE.program(task) if right else by_another_office(task.family, task.seed)

    def _filled(self, schema: JsonValue, family: str, key: str = "") -> Any:
        if key == "steps" and self._bad:
            return [self.BAD]
        said = super()._filled(schema, family, key)
        # Lessons of different sessions differ, and with them what is made of them.
        return f"Case {self._case}: {said}"[:300] if key == "lesson" else said


# The tables


def report(plan: Protocol, seen: Mapping[str, Seen], model: str) -> str:
    days = " | ".join(f"day {day + 1}" for day in range(plan.days))
    lines = [
        f"{machine()}; model {model}, analyst {plan.analyst}, seed {plan.seed}; {len(plan.users)} users,"
        f" {plan.days} days, {plan.tasks} tasks a user and day, of {', '.join(plan.families)}",
        "",
        f"| tasks passed | {days} | held out | proposed | published | minutes |",
        "|---|" + "---|" * (plan.days + 4),
    ]
    for name, one in seen.items():
        days = " | ".join(f"{passed} of {n}" for passed, n in one.days)
        held = f"{sum(bool(trial.passed) for trial in one.test)} of {len(one.test)}"
        lines.append(f"| {name} | {days} | {held} | {one.proposed} | {one.published} | {one.seconds / 60:.1f} |")
    lines += [
        "",
        "| held-out tasks | n | difference (95 % interval) | won / tied / lost | p |",
        "|---|---|---|---|---|",
    ]
    for old, new in PAIRS:
        e = compare((*seen[old.name].test, *seen[new.name].test), old.name, new.name)
        lines.append(
            f"| {new.name} against {old.name} | {e.n} | {100 * e.effect:+.0f} points ({100 * e.low:+.0f} to"
            f" {100 * e.high:+.0f}) | {e.wins} / {e.ties} / {e.losses} | {e.p:.2g} |"
        )
    return "\n".join(lines)


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--scripted", action="store_true", help="a played model instead of a real one")
    parse.add_argument("--model", default="embedded")
    parse.add_argument("--analyst", choices=["reflect", "search"], default="reflect")
    parse.add_argument("--families", default="ledger-totals,address-list,expense-claims", help="separated by commas")
    parse.add_argument("--users", type=int, default=3)
    parse.add_argument("--days", type=int, default=3)
    parse.add_argument("--tasks", type=int, default=2, help="of each user and day")
    parse.add_argument("--held-out", type=int, default=4, help="of each user and family")
    parse.add_argument("--seed", type=int, default=0)
    parse.add_argument("--out", type=Path, help="where answers and runs are kept; nowhere when not given")
    args = parse.parse_args()
    families = tuple(args.families.split(","))
    with tempfile.TemporaryDirectory() as scratch:
        out: Path = args.out or Path(scratch)
        model = Careless(families, 200) if args.scripted else open_metered(args.model, None)
        users = tuple(f"user-{number}" for number in range(1, args.users + 1))
        kept = Cached(model, out / "answers.db", as_paid=True)
        plan = Protocol(out, families, users, args.days, args.tasks, args.held_out, args.analyst, args.seed, kept)
        store = RunStore(out / "runs.db")
        try:
            print(report(plan, {way.name: live(way, plan, store) for way in WAYS}, model.name))
        finally:
            store.close()


if __name__ == "__main__":
    main()
