"""What worked must go on working: tasks of other families, and the tasks that earlier changes left behind.

Every accepted change leaves a few tasks that the agent passed with it (`KeptTask`). They are of the split `evidence`:
the learner may have seen them, so they prove no gain, but they can show a loss. Those that the patch at hand was
learned from are left out for it. The split `gate` decides, as ever, and the split `test` is never looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prowess.agents.code import programs_of, run_program
from prowess.core.base import digest
from prowess.core.errors import SandboxError, UserError
from prowess.core.evidence import Evidence, Trial, Verdict
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.upkeep import KeptTask
from prowess.core.view import View
from prowess.measure.compare import pair
from prowess.measure.gates import GateContext, Provider, arms, require_disjoint, verdict
from prowess.measure.sequential import sequential_evidence
from prowess.measure.stats.sequential import log_e_value, non_inferiority_p
from prowess.measure.trials import Arm, Bench, final_message, run_blocks
from prowess.sandbox import Sandbox


def kept_task(task: Task, view: View, trajectory: Trajectory) -> KeptTask | None:
    """The check that a passed trial leaves behind; None where it did not pass, or showed the agent no skill."""
    if not trajectory.passed or not view.skills:
        return None
    return KeptTask(
        task=task,
        skills=tuple(skill.name for skill in view.skills),
        read=read_digest(view),
        agent=trajectory.agent,
        seed=trajectory.seed,
        trajectory=trajectory.id,
        program=(programs_of(trajectory) or ("",))[-1],
        outputs=trajectory.outputs,
        answer=final_message(trajectory),
    )


def read_digest(view: View) -> str:
    """Digest of all that an agent reads of a view: texts and the names of files, not what scripts hold."""
    return digest(
        [
            view.disclosure,
            [
                [s.name, s.description, s.body, [(f.path, f.sha256 if f.path.endswith(".md") else "") for f in s.files]]
                for s in view.skills
            ],
        ]
    )


def require_kept(kept: Sequence[KeptTask], gate: Sequence[Task]) -> None:
    """Refuse kept tasks that verdicts or reported figures rest on.

    Raises:
        UserError: naming the task.
    """
    hint = "only tasks of the split `evidence` are kept; give each task to one split"
    verdicts = {task.digest: task for task in gate}
    for k in kept:
        if k.task.split != "evidence":
            raise UserError(f"task {k.task.id!r} of split {k.task.split!r} stands among the kept tasks", hint)
        if k.id in verdicts:
            raise UserError(f"kept task {k.task.id!r} is the same as gate task {verdicts[k.id].id!r}", hint)


@dataclass(frozen=True, slots=True)
class RegressionGate:
    """Tasks that the library solves beside the purpose of the patch are still solved.

    Fails when the candidate is shown to be worse, or solves fewer by more than `margin` under every seed together. A
    loss is looked at again under the next seed before it is believed, for among a handful of tasks one that flips by
    chance is many points. Passes otherwise; the note says whether a loss of `margin` is thereby ruled out, or the set
    is too small to tell.
    """

    tasks: tuple[Task, ...]
    """Of the split `gate`; those of the families that the patch is meant for are left to the trials."""
    provider: Provider
    name: str = "regression"
    margin: float = 0.1
    """Largest net loss of success rate that is let pass."""
    alpha: float = 0.05
    seeds: tuple[int, ...] = (0, 1, 2)
    """The first is always tried, each further one only while there is a loss to confirm."""
    order_seed: int = 0

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        require_disjoint(self.tasks, context.evidence)
        require_kept(context.kept, self.tasks)
        old, new = arms(candidate, base, self.provider)

        def concerned(task: Task) -> bool:
            return old.view_for(task).digest != new.view_for(task).digest

        others = [t for t in self.tasks if t.family not in context.families and concerned(t)]
        taught = {t.digest for t in context.evidence if not context.families or t.family in context.families}
        kept = [k for k in _checkable(context) if k.id not in taught and concerned(k.task)]
        if not others and not kept:
            return Verdict(gate=self.name, status="pass", note="no regression task shows the agent any of this patch")

        def blocks(look: int) -> list[tuple[Task, int]]:
            return [(task, self.seeds[look]) for task in others] + [(k.task, k.seed + 1 + look) for k in kept]

        evidence = await look_for_loss(
            blocks, (old, new), context.bench, len(self.seeds), self.margin, self.alpha, self.order_seed
        )
        if evidence.n == 0:
            return verdict(self.name, "fail", "every pair is missing", evidence)
        lost = f"{evidence.losses} of {evidence.n} lost, {evidence.wins} won, {len(kept)} tasks kept by earlier changes"
        if evidence.outcome == "worse" or evidence.effect < -self.margin:
            return verdict(self.name, "fail", lost, evidence)
        p = non_inferiority_p(evidence.wins, evidence.losses, evidence.n, self.margin)
        proof = (
            f"a loss of {self.margin:g} is ruled out (p = {p:.3g})"
            if p <= self.alpha
            else f"too few to rule out a loss of {self.margin:g} (p = {p:.3g})"
        )
        return verdict(self.name, "pass", f"{lost}; {proof}", evidence)


async def look_for_loss(
    blocks: Callable[[int], Sequence[tuple[Task, int]]],
    arms: tuple[Arm, Arm],
    bench: Bench,
    looks: int,
    margin: float,
    alpha: float = 0.05,
    order_seed: int = 0,
) -> Evidence:
    """Evidence on whether the second arm loses what the first has; each further look only while there is a loss.

    Args:
        blocks: Task and seed of every pair of a look, from 0.
        arms: Old and new.
        bench: What both have in common.
        looks: Most looks.
        margin: Net loss of success rate up to which the first look is believed.
        alpha: Chance of calling a change *worse* that is not, over all looks.
        order_seed: Draws the order of trials.
    """
    trials: list[Trial] = []
    log_e_max, look = 0.0, 0
    while True:
        trials += await run_blocks(blocks(look), arms, bench, order_seed)
        pairs = pair(trials, arms[0].name, arms[1].name)
        log_e_max = max(log_e_max, log_e_value(pairs.wins, pairs.losses))
        evidence = sequential_evidence(pairs, arms[0].name, arms[1].name, log_e_max, alpha)
        look += 1
        confirmed = evidence.outcome == "worse" or look == looks
        if evidence.n == 0 or evidence.effect >= -margin or confirmed:
            return evidence


@dataclass(frozen=True, slots=True)
class CachedOutputsGate:
    """Programs that the agent wrote for kept tasks still pass beside the files that the patch leaves.

    No model is asked. A stored program says what the agent would do only while the agent reads the same text, so where
    the patch changes text and not scripts alone, the task is left to the trials. A task whose stored outputs the suite
    itself no longer accepts says nothing either.
    """

    provider: Provider
    sandbox: Sandbox
    name: str = "cached-outputs"

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        require_kept(context.kept, ())
        ran, lost, failed = 0, list[str](), 0
        for kept in _checkable(context):
            view = self.provider.view(kept.task, candidate)
            unchanged = view.digest == self.provider.view(kept.task, base).digest
            if unchanged or not kept.program or read_digest(view) != kept.read:
                continue
            try:
                result = await run_program(kept.program, kept.task, self.sandbox, skills=view.skills)
            except SandboxError:
                failed += 1
                continue
            ran += 1
            check = context.bench.suite.check
            if check(kept.task, result.files, result.stdout.strip()).passed:
                continue
            if check(kept.task, kept.outputs, kept.answer).passed:
                lost.append(kept.task.id)
        missing = f"; {failed} could not be run" if failed else ""
        note = f"{ran - len(lost)} of {ran} stored programs still pass{missing}"
        if lost:
            return Verdict(gate=self.name, status="fail", note=f"{note}; lost: {', '.join(lost)}")
        return Verdict(gate=self.name, status="pass", note=note if ran or failed else "no stored program is concerned")


def _checkable(context: GateContext) -> list[KeptTask]:
    """Kept tasks that the suite at hand knows; a library may have learned from others too."""
    suite = context.bench.suite
    return [k for k in context.kept if k.task.suite == suite.name and k.task.family in suite.families]
