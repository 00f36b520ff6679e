"""What a hub does in the background: learning from sessions, proving proposals, vouching, and tidying up.

Any number of workers take jobs from the queue, each in a process of its own. Nothing here decides: sessions become
proposals by `prowess.evolve.learn`, proposals meet the gates of `prowess.measure`, and what they say is written down.
Every step may be repeated, since a worker may die in it: proposals, changes and attestations have ids by their content.
"""

import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import anyio

from prowess.agents.models import open_metered
from prowess.core.cost import total
from prowess.core.errors import PatchConflict, ProwessError, UserError
from prowess.core.evidence import Verdict
from prowess.core.model import Model
from prowess.core.trajectory import Trajectory
from prowess.core.trust import OWN, Tier
from prowess.evolve.cascade import with_gates
from prowess.evolve.learn import learn_from
from prowess.evolve.method import Setup
from prowess.evolve.protocols import Event
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes.human import given
from prowess.evolve.run import agent_of
from prowess.guard.promotion import attest, missing, promote
from prowess.guard.runtime import barred
from prowess.guard.taint import owned_by
from prowess.library import Library, Proposal
from prowess.measure.behaviour import BehaviourGate
from prowess.measure.calibration import verdicts_with_noise
from prowess.measure.gates import GateContext, accepted, cascade
from prowess.measure.trials import Bench
from prowess.sandbox import find_sandbox
from prowess.serve import review
from prowess.serve.hub.accounts import Settings
from prowess.serve.hub.jobs import LEASE, Job
from prowess.serve.hub.service import Hub, Project
from prowess.settings import load
from prowess.suites import open_suite
from prowess.trajectories.runstore import RunStore

GATES: Final = (
    "format", "scan", "permission", "lint", "behaviour", "cached-outputs", "regression", "trials",
)  # fmt: skip
"""What a proposal must pass to be proven, unless the project's library names others."""
PAIRS: Final = 12
"""Gate tasks of each family."""
IDLE: Final = 1.0
"""Seconds between looks into an empty queue."""
_log = logging.getLogger(__name__)


class Evolver:
    """One worker.

    Args:
        open_model: Opens the model of the proofs; the one in the settings of this machine when not given.
    """

    def __init__(self, hub: Hub, open_model: Callable[[], Model] | None = None) -> None:
        self._hub = hub
        self._open = open_model or _metered
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"

    def run(self, stop: threading.Event) -> None:
        """Works until told to stop; a job that is under way is finished first."""
        while not stop.is_set():
            try:
                if self.once() is None:
                    stop.wait(IDLE)
            except ProwessError as error:  # the database is away
                _log.warning("%s", error)
                stop.wait(IDLE)

    def once(self) -> Job | None:
        """Does one job, if one waits, and returns it."""
        job = self._hub.jobs.take(self.name)
        if job is None:
            return None
        try:
            with self._renewed(job):
                said = {"learn": self._learn, "validate": self._validate, "vouch": self._vouch, "tidy": self._tidy}[
                    job.kind
                ](job)
        except ProwessError as error:
            self._hub.jobs.end(job, "failed", str(error))
        except Exception as error:
            _log.exception("job %s failed", job.id)
            self._hub.jobs.end(job, "failed", f"a defect of prowess: {type(error).__name__}; the hub's log has more")
        else:
            self._hub.jobs.end(job, "done", said)
        return job

    @contextmanager
    def _renewed(self, job: Job) -> Generator[None]:
        """Keeps the lease while the block runs."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE / 4):
                try:
                    if not self._hub.jobs.renew(job):
                        return
                except ProwessError as error:
                    _log.warning("the lease of job %s could not be renewed: %s", job.id, error)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _tell(self, job: Job, event: Event) -> None:
        self._hub.jobs.renew(job, event.message[:500])

    # The kinds of work

    def _learn(self, job: Job) -> str:
        """Sessions that nobody has learned from become proposals."""
        project = self._hub.project(job.project)
        work = partial(
            learn_from, self._sessions(job.project), library=project.library, writer=None, concurrency=1,
            report=partial(self._tell, job),
        )  # fmt: skip
        made = anyio.run(work)
        if self._hub.accounts.settings(job.project).suite:
            for proposal in made:
                self._hub.jobs.ask(job.project, "validate", job.account, proposal.id)
        return f"{len(made)} proposals" if len(made) != 1 else "1 proposal"

    def _sessions(self, project: str) -> Iterator[Trajectory]:
        """Those without tasks, as `prowess learn` reads them. In a project of one, its sessions are one's own."""
        members = list(self._hub.accounts.members(project))
        for trajectory in self._hub.sessions.all(project):
            if trajectory.task_id is None and trajectory.status == "completed":
                yield owned_by(trajectory, OWN) if len(members) == 1 else trajectory

    def _validate(self, job: Job) -> str:
        """Asks the gates about a proposal; publishes it where they all pass and the project wants that."""
        project, settings = self._hub.project(job.project), self._hub.accounts.settings(job.project)
        if not settings.suite:
            raise UserError("the project names no suite, so nothing can be proven", "set one, or decide without")
        proposal = review.find(project.library, job.given)
        with self._store(project) as store:
            verdicts = anyio.run(partial(self._proof, project.library, proposal, settings, store, job))
        cost = total([verdict.cost for verdict in verdicts])
        if any(verdict.status == "fail" for verdict in verdicts):
            project.library.upkeep.refuse(proposal.patch, verdicts=verdicts, lessons=proposal.lessons, by="hub")
            project.library.reject(proposal.id, f"{verdicts[-1].gate}: {verdicts[-1].note}")
            return f"refused by {verdicts[-1].gate}: {verdicts[-1].note}"
        if settings.publish == "validated" and accepted(verdicts):
            change = project.library.apply(
                proposal.patch, verdicts=(*proposal.verdicts, *verdicts), lessons=proposal.lessons, by="hub", cost=cost
            )
            held = vouched(project, change.id, verdicts)
            self._hub.accounts.note("hub", "published", f"{proposal.id} as {change.id}", project.name)
            return f"published as {change.id}; {_told(held)}".rstrip("; ")
        self._proven(project.library, proposal, verdicts)
        return "; ".join(f"{v.gate}: {v.status}" for v in verdicts)

    def _proven(self, library: Library, proposal: Proposal, verdicts: tuple[Verdict, ...]) -> None:
        """The same proposal with what the gates said, for the person who decides."""
        patch = proposal.patch.model_copy(update={"reason": f"{proposal.patch.reason} (tried by the hub)"})
        library.propose(patch, proposal.lessons, (*proposal.verdicts, *verdicts), by=proposal.by)
        library.reject(proposal.id, f"goes on as {patch.id}, with what the gates said")

    async def _proof(
        self, library: Library, proposal: Proposal, settings: Settings, store: RunStore, job: Job
    ) -> tuple[Verdict, ...]:
        """The verdicts, on tasks that nobody but the hub can know beforehand."""
        suite, sandbox, model = open_suite(settings.suite), find_sandbox(), self._open()
        families = settings.families or suite.families
        setup = Setup(suite, sandbox, families, gate=PAIRS, seed=self._draw(proposal.id))
        recipe = given("proof", BestMatches(), ())
        gates = with_gates(recipe, setup, model, GATES, library.upkeep.gates()).gates
        bench = Bench(agent_of(model, sandbox, suite), suite, store, concurrency=1)
        base = library.snapshot()
        meant = tuple({lesson.family for lesson in proposal.lessons if lesson.family is not None} & {*families})
        context = GateContext(
            bench, families=meant, kept=library.upkeep.kept(), say=lambda text: self._tell(job, Event("gate", text, {}))
        )
        try:
            candidate = library.preview(proposal.patch)
        except PatchConflict as conflict:
            return (Verdict(gate="fit", status="fail", note=conflict.message),)
        return verdicts_with_noise(await cascade(gates, candidate, base, proposal.patch, context), store)

    def _draw(self, about: str) -> int:
        """Which tasks: the same for one proposal, and not to be foreseen without the hub's secret."""
        file = self._hub.data / "keys" / "draw"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            scratch = file.with_name(f"draw-{self.name}")
            scratch.write_bytes(secrets.token_bytes(32))
            scratch.chmod(0o600)
            try:
                os.link(scratch, file)  # the first of several workers makes it
            except FileExistsError:
                pass
            finally:
                scratch.unlink()
        return int.from_bytes(hashlib.sha256(file.read_bytes() + about.encode()).digest()[:2], "big")

    def _vouch(self, job: Job) -> str:
        """Runs what may stand between a change that somebody took and its publication: its conduct in the trap."""
        project = self._hub.project(job.project)
        change = project.library.change(job.given)
        verdicts = change.verdicts
        if change.patch is not None and not any(v.gate == "behaviour" for v in verdicts):
            settings = self._hub.accounts.settings(project.name)
            sandbox, suite = find_sandbox(), open_suite(settings.suite or "workbench")
            with self._store(project) as store:
                bench = Bench(agent_of(self._open(), sandbox, suite), suite, store, concurrency=1)
                before, after = project.library.at(change.before), project.library.at(change.after)
                check = BehaviourGate(sandbox).check
                verdicts = (*verdicts, anyio.run(check, after, before, change.patch, GateContext(bench)))
        held = vouched(project, change.id, verdicts)
        return _told(held) or "published"

    @contextmanager
    def _store(self, project: Project) -> Generator[RunStore]:
        """Trials that were paid for, so that a job that is taken again pays nothing twice."""
        folder = self._hub.data / "proofs"
        folder.mkdir(parents=True, exist_ok=True)
        store = RunStore(folder / f"{project.name}.db")
        try:
            yield store
        finally:
            store.close()

    def _tidy(self, job: Job) -> str:
        """Deletes sessions that are too old. What was learned from them stays: it rests on what it quotes."""
        days = self._hub.accounts.settings(job.project).keep_days
        old = self._hub.sessions.older(job.project, days)
        return f"{self._hub.sessions.delete(job.project, old)} sessions older than {days} days deleted"


def _metered() -> Model:
    settings = load().settings
    return open_metered(settings.model, settings.budget_usd)


def _told(held: dict[str, str]) -> str:
    return "; ".join(f"{name} stays T1: {why}" for name, why in held.items())


def vouched(project: Project, change: str, verdicts: tuple[Verdict, ...], by: str = "hub") -> dict[str, str]:
    """Signs what the hub's gates said of a change's skills, and raises each as far as that allows: T3, else T2.

    Returns:
        What stands between a skill and publication, by its name.
    """
    library, keyring = project.library, project.keyring
    held: dict[str, str] = {}
    for name, (_, tree) in library.change(change).trees.items():
        versions = library.versions(name)
        if tree is None or not versions or versions[0].tree != tree:
            continue
        attest(library, keyring, name, verdicts, tree)
        for tier in (Tier.TRUSTED, Tier.REVIEWED):
            if not (lacks := missing(library, keyring, name, tier)):
                promote(library, keyring, name, tier, by=by, reason=f"change {change[:8]}", tree=tree)
                break
            held[name] = "; ".join(lacks)
        if not barred(library, keyring)(name, library.trees()[name]):
            held.pop(name, None)
    return held


def every_project(hub: Hub) -> None:
    """Has every project learn and tidy up: what a schedule calls, once a night."""
    for project in hub.accounts.projects():
        hub.jobs.ask(project, "learn", "hub")
        hub.jobs.ask(project, "tidy", "hub")
