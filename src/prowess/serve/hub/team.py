"""The demo of a team: one member's agent learns, the hub proves it, another member's agent profits.

Nothing is prepared: Anna's agent works on tasks of its own and distils what passed, her library is synchronised with
the hub, the hub tries the proposal on tasks that nobody has seen, Ben decides and synchronises, and his agent runs his
own tasks with what came and without it. Everything goes over HTTP on this machine. This is one step of SkillClaw's
protocol (2604.08377): a day of sessions, a night of proofs, and the next day.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Verdict
from prowess.core.model import Model
from prowess.evolve.demo import PLAN, SHORT
from prowess.evolve.protocols import Event
from prowess.evolve.providers import BestMatches
from prowess.evolve.run import Plan, agent_of, run_plan
from prowess.guard.tiers import standing
from prowess.library import Library
from prowess.measure.compare import compare
from prowess.measure.trials import WITHOUT, Arm, Bench, run_trials, stored_trajectory
from prowess.sandbox import find_sandbox
from prowess.serve import listen
from prowess.serve.hub.accounts import Settings
from prowess.serve.hub.app import application
from prowess.serve.hub.client import Client
from prowess.serve.hub.evolver import Evolver
from prowess.serve.hub.service import Hub
from prowess.serve.sync import sync
from prowess.serve.sync.hub import HubRemote
from prowess.suites import open_suite
from prowess.trajectories.runstore import RunStore

PROJECT: Final = "office"
TASKS: Final = 8
"""Ben's own tasks of each family."""
Report = Callable[[Event], None]


class TeamRecord(Frozen):
    """What came of it."""

    learned: tuple[str, ...]
    """Skills that Anna's agent learned."""
    proof: tuple[Verdict, ...]
    """What the hub's gates said of the last of them."""
    published: tuple[str, ...]
    """Skills that Ben got."""
    tiers: dict[str, str]
    """How far the hub trusts each."""
    profit: Evidence | None
    """Ben's own tasks, with what came against without; None where nothing came."""


def team(
    *, out: Path, open_model: Callable[[], Model], short: bool, seed: int, concurrency: int, report: Report
) -> TeamRecord:
    """Runs it in the folder `out`; stopped, the same call goes on."""
    plan = replace(SHORT if short else PLAN, seed=seed, test=1, shifted=0, calibrate=False, human=False)
    hub = _hub(out / "hub", plan.families)
    anna, ben = (Library.open(out / name / "library", create=True) for name in ("anna", "ben"))
    with served(hub) as url, _clients(hub, url) as (as_anna, as_ben):
        report(Event("explore", "Anna's agent works and learns", {}))
        anyio.run(partial(_learn, plan, open_model(), out / "anna", anna, concurrency, report))
        learned = anna.snapshot().names
        _give_sessions(as_anna, out / "anna")
        sync(anna, HubRemote(as_anna, PROJECT), propose=learned)
        report(Event("gate", f"the hub tries {', '.join(learned) or 'nothing'} on tasks that nobody has seen", {}))
        _work(hub, open_model)
        proof: tuple[Verdict, ...] = ()
        for proposal in as_ben.proposals(PROJECT):
            proof = proposal.verdicts
            report(Event("review", f"Ben uses {proposal.reason}", {}))
            as_ben.use(PROJECT, proposal.id)
        _work(hub, open_model)
        sync(ben, HubRemote(as_ben, PROJECT))
    came = ben.snapshot().names
    report(Event("test", f"Ben's agent works with {', '.join(came) or 'nothing new'}, and without", {}))
    profit = anyio.run(partial(_profit, plan, open_model(), out / "ben", ben, concurrency)) if came else None
    project = hub.project(PROJECT)
    tiers = {name: str(standing(project.library, project.keyring, name).tier) for name in came}
    hub.close()
    return TeamRecord(learned=learned, proof=proof, published=came, tiers=tiers, profit=profit)


def _hub(data: Path, families: Sequence[str]) -> Hub:
    hub = Hub.open(data)
    if not hub.accounts.names():
        for name in ("anna", "ben"):
            hub.accounts.add(name)
        hub.accounts.add_project(PROJECT, "ben")
        hub.accounts.join(PROJECT, "anna", "member")
        hub.accounts.set_settings(PROJECT, Settings(suite="workbench", families=tuple(families)))
    return hub


@contextmanager
def served(hub: Hub) -> Generator[str]:
    """The hub over HTTP, in a thread."""
    with listen.listening("127.0.0.1", 0) as opened:
        server = listen.server(application(hub))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def _clients(hub: Hub, url: str) -> Generator[tuple[Client, Client]]:
    with (
        Client(url, hub.accounts.issue("anna", "demo", days=1)[1]) as anna,
        Client(url, hub.accounts.issue("ben", "demo", days=1)[1]) as ben,
    ):
        yield anna, ben


async def _learn(plan: Plan, model: Model, out: Path, library: Library, concurrency: int, report: Report) -> None:
    await run_plan(plan, model=model, out=out, library=library, concurrency=concurrency, report=report)


def _give_sessions(client: Client, out: Path) -> None:
    """What Anna's agent did goes to the hub, too: reviewers can look at it."""
    store = RunStore(out / "run.db")
    try:
        for key in store.keys("trajectory"):
            found = stored_trajectory(store, key)
            if found is not None and found.status == "completed":
                client.upload(PROJECT, found)
    finally:
        store.close()


def _work(hub: Hub, open_model: Callable[[], Model]) -> None:
    """Works the queue empty; in a real hub its own processes do."""
    worker = Evolver(hub, open_model)
    while (job := worker.once()) is not None:
        done = hub.jobs.get(job.project, job.id)
        if done.state == "failed":
            raise UserError(f"the hub's job {job.kind} failed: {done.said}", "the same command tries again")


async def _profit(plan: Plan, model: Model, out: Path, library: Library, concurrency: int) -> Evidence:
    suite, snapshot, provider = open_suite(plan.suite), library.snapshot(), BestMatches()
    tasks = tuple(
        task for family in plan.families for task in suite.tasks(family, "test", TASKS, start=plan.seed * TASKS)
    )
    store = RunStore(out / "run.db")
    try:
        bench = Bench(agent_of(model, find_sandbox(), suite, plan), suite, store, concurrency=concurrency)
        arms = (Arm("without", lambda task: WITHOUT), Arm("with", lambda task: provider.view(task, snapshot)))
        return compare(await run_trials(tasks, arms, (plan.seed,), bench), "without", "with")
    finally:
        store.close()
