"""The gate cascade: what a patch must pass before a library takes it.

A gate answers one question on the candidate (the library with the patch applied) against its base. Gates run in the
order given, cheap ones first; the first failure stops, and nothing dearer is paid. A verdict of `propose` does not stop
the cascade, but only a person may then apply the patch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Verdict
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.core.upkeep import KeptTask
from prowess.core.view import View
from prowess.measure.calibration import noise_on
from prowess.measure.forecast import Assumed, gate_forecast
from prowess.measure.sequential import Decided, run_until_decided
from prowess.measure.stats.design import MOST_PAIRS, Design
from prowess.measure.stats.sequential import non_inferiority_p
from prowess.measure.trials import Arm, Bench, Conditions, Progress

if TYPE_CHECKING:
    from prowess.guard.scan import Finding
    from prowess.library.lint import Problem


class Provider(Protocol):
    """What an agent is shown for a task; trials must use the one that the real loop uses."""

    def view(self, task: Task, library: Snapshot) -> View: ...


@dataclass(frozen=True, slots=True)
class GateContext:
    """What gates may use, and what their tasks must not overlap with."""

    bench: Bench
    evidence: tuple[Task, ...] = ()
    """Tasks from which the lessons came."""
    families: tuple[str, ...] = ()
    """Families that the patch is meant for: what it promises is tried on their tasks only. Empty: on all tasks."""
    kept: tuple[KeptTask, ...] = ()
    """Tasks that earlier changes left behind to stay solved."""
    say: Callable[[str], None] = lambda text: None
    """Told what a gate could see, before it spends anything."""

    @classmethod
    def of(
        cls,
        conditions: Conditions,
        evidence: Sequence[Task] = (),
        on_progress: Callable[[Progress], None] | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> "GateContext":
        return cls(Bench.of(conditions, on_progress), tuple(evidence), say=say)


class Gate(Protocol):
    """One question asked of every patch."""

    @property
    def name(self) -> str: ...

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict: ...


async def cascade(
    gates: Sequence[Gate], candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext
) -> tuple[Verdict, ...]:
    """The verdicts of `gates` in order, up to the first failure.

    Raises:
        UserError: a gate refused its configuration, for example tasks that are also evidence; nothing was paid for it.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    verdicts: list[Verdict] = []
    for gate in gates:
        verdicts.append(await gate.check(candidate, base, patch, context))
        if verdicts[-1].status == "fail":
            break
    return tuple(verdicts)


def accepted(verdicts: Sequence[Verdict]) -> bool:
    """Whether the patch may be applied without a person: at least one verdict, and all of them pass."""
    return bool(verdicts) and all(v.status == "pass" for v in verdicts)


def proposed(verdicts: Sequence[Verdict]) -> bool:
    """Whether a person may apply the patch: no verdict fails, and at least one wants a person."""
    return any(v.status == "propose" for v in verdicts) and all(v.status != "fail" for v in verdicts)


def require_disjoint(tasks: Sequence[Task], evidence: Sequence[Task]) -> None:
    """Refuse gate tasks of another split, and tasks that stand in two, by content.

    A verdict on the tasks that taught the lesson proves nothing, and a task of the final test must not be seen before.

    Raises:
        UserError: naming the tasks.
    """
    hint = "give each task to one split only; suites make disjoint splits when asked for each by name"
    for task in tasks:
        if task.split != "gate":
            raise UserError(f"task {task.id!r} of split {task.split!r} stands among the gate tasks", hint)
    gate = {task.digest: task for task in tasks}
    for task in evidence:
        if task.split == "test":
            raise UserError(f"task {task.id!r} of split 'test' is used as evidence", hint)
        if task.digest in gate:
            raise UserError(f"evidence task {task.id!r} is the same as gate task {gate[task.digest].id!r}", hint)


@dataclass(frozen=True, slots=True)
class FormatGate:
    """Every skill that the patch touches keeps to the Agent Skills specification."""

    name: str = "format"
    validate: Callable[[Skill], Iterable[str]] | None = None
    """Lists the breaches of a skill; the library's validator when not given."""

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        validate = self.validate
        if validate is None:
            from prowess.library.skillmd import validate
        problems = [f"{s.name}: {problem}" for s in changed(candidate, base) for problem in validate(s)]
        return Verdict(gate=self.name, status="fail" if problems else "pass", note="; ".join(problems))


@dataclass(frozen=True, slots=True)
class ScanGate:
    """The patch brings nothing dangerous into any skill; what a skill held before is not asked about again."""

    name: str = "scan"
    scan: "Callable[[Skill, Skill | None], Iterable[Finding]] | None" = None
    """Lists what a skill holds beyond its version before, if there is one; the guard's `scan_change` when not given."""

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        scan = self.scan
        if scan is None:
            from prowess.guard.scan import scan_change as scan
        findings = [
            (new.name, finding) for new in changed(candidate, base) for finding in scan(new, base.get(new.name))
        ]
        note = "; ".join(f"{name}/{finding.file}:{finding.line}: {finding.why}" for name, finding in findings)
        if any(finding.severity == "block" for _, finding in findings):
            return Verdict(gate=self.name, status="fail", note=note)
        return Verdict(gate=self.name, status="propose" if findings else "pass", note=note)


@dataclass(frozen=True, slots=True)
class LintGate:
    """No skill that the patch touches is broken in a way that can be seen without running it."""

    name: str = "lint"
    lint: "Callable[[Skill, Iterable[str]], Iterable[Problem]] | None" = None
    """Lists what is wrong with a skill, given names that belong to one task alone; the library's when not given."""

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        from prowess.library.lint import lint as standard
        from prowess.library.lint import names_of_one_task

        lint, leaks = self.lint or standard, names_of_one_task(context.evidence)
        problems = [(skill.name, problem) for skill in changed(candidate, base) for problem in lint(skill, leaks)]
        note = "; ".join(f"{name}/{p.file}: {p.what}" for name, p in problems)
        broken = any(problem.severity == "error" for _, problem in problems)
        return Verdict(gate=self.name, status="fail" if broken else "pass", note=note)


@dataclass(frozen=True, slots=True)
class ApprovalGate:
    """A person must say yes; the patch is proposed with all that the gates before have found."""

    name: str = "approval"

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        return Verdict(gate=self.name, status="propose", note="waits for a person")


@dataclass(frozen=True, slots=True)
class TrialsGate:
    """The candidate does better than the base on unseen tasks, by paired trials that stop when the answer is known.

    A patch that only takes away is asked another question: is a loss ruled out? Tasks on which both libraries show the
    agent the same view cannot tell them apart, so they are left out; when none is left, nothing is known of the patch,
    and it fails. Tasks of families that the patch is not meant for are left out too: a search may show a skill beside
    its purpose, and such pairs would only dilute what it promises.
    """

    tasks: tuple[Task, ...]
    """Of the split `gate`; of any family: those that the patch does not concern cost nothing."""
    provider: Provider
    name: str = "trials"
    design: Design = Design()  # noqa: RUF009 (frozen)
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each task is tried under the first before any under the second."""
    order_seed: int = 0
    removal_margin: float | None = 0.1
    """Loss of success rate that must be ruled out before anything is taken away, with as many pairs as there are. None
    lets removals pass unproven, as the baselines of papers do."""

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        require_disjoint(self.tasks, context.evidence)
        if patch.only_removes and self.removal_margin is None:
            return Verdict(gate=self.name, status="pass", note="removals need no proof here")
        old, new = arms(candidate, base, self.provider)
        meant = [t for t in self.tasks if not context.families or t.family in context.families]
        tasks = [t for t in meant if old.view_for(t).digest != new.view_for(t).digest]
        if not tasks:
            return Verdict(gate=self.name, status="fail", note="no gate task shows the agent anything of this patch")
        available, design = len(tasks) * len(self.seeds), self.design
        if patch.only_removes and self.removal_margin is not None:  # a proof of no loss takes more pairs than of a gain
            design = replace(design, asks="no loss", margin=self.removal_margin, max_pairs=MOST_PAIRS)
        if available < (least := design.fewest):
            note = f"only {available} pairs can be had (tasks x seeds); {least} are needed to decide at all"
            return Verdict(gate=self.name, status="fail", note=note)
        context.say(gate_forecast(design.limited_to(available), Assumed.of(noise_on(context.bench))))
        decided = await run_until_decided(
            tasks, self.seeds, old, new, context.bench, design=design, order_seed=self.order_seed
        )
        status = "pass" if decided.ending in ("better", "no loss") else "fail"
        return verdict(self.name, status, _note(decided, design), decided.evidence)


def arms(candidate: Snapshot, base: Snapshot, provider: Provider) -> tuple[Arm, Arm]:
    """The arms `old` (or `without`, when the base is empty) and `candidate`."""
    name = "old" if base.skills else "without"
    return (
        Arm(name, lambda task: provider.view(task, base)),
        Arm("candidate", lambda task: provider.view(task, candidate)),
    )


def changed(candidate: Snapshot, base: Snapshot) -> tuple[Skill, ...]:
    """Skills of the candidate that the base lacks or has otherwise."""
    before = {skill.digest for skill in base.skills}
    return tuple(skill for skill in candidate.skills if skill.digest not in before)


def verdict(gate: str, status: str, note: str, evidence: Evidence) -> Verdict:
    """The verdict of a gate that ran trials; it cost what they cost."""
    return Verdict.model_validate(
        {"gate": gate, "status": status, "note": note, "evidence": evidence, "cost": evidence.cost}
    )


def _note(decided: Decided, design: Design) -> str:
    e = decided.evidence
    if decided.ending == "missing":
        return f"no evidence: all of the first {e.missing} pairs are missing, or have no trusted score"
    asked = "better" if design.asks == "gain" else f"no loss of {100 * design.margin:g} points"
    found, p = e.outcome, e.p
    if design.asks == "no loss" and e.outcome != "worse":
        found = asked if decided.ending == "no loss" else f"{asked} is not shown"
        p = non_inferiority_p(e.wins, e.losses, e.n, design.margin)
    end = {"futile": f"; stopped: more pairs would hardly show {asked}", "spent": "; all pairs used"}
    lost = f", {e.missing} missing" if e.missing else ""
    return (
        f"{found}: {e.baseline_rate:.0%} -> {e.treatment_rate:.0%} on {e.n} pairs "
        f"({e.wins} won, {e.ties} tied, {e.losses} lost{lost}), p = {p:.2g}{end.get(decided.ending, '')}"
    )
