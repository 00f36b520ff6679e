"""What each part of a library is worth: trials with all of it against all but that part.

Only tasks are run to which the agent is shown something else without the part, each part gets pairs until it is known
to help, to harm or to do nothing (`prowess.measure.stats.design`), and all parts are tried on the same tasks in one
order, so that the trials of the whole library are paid once. What harms or does nothing may be proposed for removal,
never removed: and only as far as taking all of it out *together* is shown to lose nothing, because two parts that do
the same work each look useless beside the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from prowess.core.base import Frozen
from prowess.core.errors import PatchConflict
from prowess.core.evidence import Evidence, Trial, Verdict
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.view import View
from prowess.library import Library, Proposal
from prowess.measure.compare import Pairs, pair
from prowess.measure.gates import Provider
from prowess.measure.parts import Part, removal, without
from prowess.measure.sequential import blocks_in_order, sequential_evidence
from prowess.measure.stats.design import Design, Worth, answer, is_futile
from prowess.measure.stats.sequential import log_e_value
from prowess.measure.trials import Arm, Bench, run_blocks

WITH, WITHOUT = "with", "without"
AUTHOR = "attribution"
REMOVABLE: tuple[Worth, ...] = ("harms", "no help")
WORTH = Design(60, batch=4, asks="worth")
"""What each part is asked, where nothing else is said."""


class Contribution(Frozen):
    """What one part, or several together, add to the library."""

    part: str
    worth: Worth | None
    """None while it is open: see `note`."""
    evidence: Evidence
    """Baseline: the library without the part; treatment: all of it. The effect is the contribution on the tasks that
    show the part."""
    shown: int
    """Tasks that show the agent something else without the part."""
    tasks: int
    """All tasks asked about; shown / tasks x effect is the contribution to the whole."""
    note: str = ""


class Removable(Frozen):
    """Parts that may be taken out together."""

    parts: tuple[str, ...]
    contribution: Contribution
    """What all of them add; shown to harm, or to be below the margin."""


@dataclass(slots=True)
class _Running:
    """A comparison under way."""

    part: Part
    arms: tuple[Arm, Arm] | None
    blocks: list[tuple[Task, int]]
    """Those that are left."""
    shown: int
    note: str = ""
    done: bool = False
    looks: int = 0
    log_e_max: float = 0.0
    trials: list[Trial] = field(default_factory=list[Trial])
    pairs: Pairs = field(default_factory=lambda: Pairs((), 0))

    @property
    def counts(self) -> tuple[int, int, int]:
        return len(self.pairs.complete), self.pairs.wins, self.pairs.losses


@dataclass(frozen=True, slots=True)
class Attribution:
    """The conditions under which parts of one library are tried."""

    library: Snapshot
    tasks: tuple[Task, ...]
    """Of the split `gate`, best none that a gate has decided with: it let the part in because that did well on them."""
    provider: Provider
    """The one that the real loop uses."""
    bench: Bench
    design: Design = WORTH
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each task is tried under the first before any under the second."""
    order_seed: int = 0

    async def leave_one_out(self, parts: Sequence[Part]) -> tuple[Contribution, ...]:
        """The contribution of each part, in the order given.

        Every part gets its first batch of pairs before any gets its second.

        Raises:
            BudgetExceeded: a limit was reached; what is finished is stored, and the same call resumes.
        """
        blocks = blocks_in_order(self.tasks, self.seeds, self.order_seed)
        running = [self._start(part, blocks) for part in parts]
        while any(not one.done for one in running):
            for one in running:
                if not one.done:
                    await self._look(one)
        return tuple(self._contribution(one) for one in running)

    async def removable(self, parts: Sequence[Part], found: Sequence[Contribution]) -> Removable | None:
        """The most that may be taken out together: those parts whose joint removal is shown to lose nothing.

        Of the parts found harmful or no help, all are tried at once; while that is not shown to be harmless, the one
        that contributed most is put back. None where nothing is left.
        """
        left = [(part, own) for part, own in zip(parts, found, strict=True) if own.worth in REMOVABLE]
        left.sort(key=lambda both: (both[1].evidence.effect, both[0].name))
        while len(left) > 1:
            names = tuple(part.name for part, _ in left)
            operations = tuple(operation for part, _ in left for operation in part.operations)
            (joint,) = await self.leave_one_out([Part(", ".join(names), operations)])
            if joint.worth in REMOVABLE:
                return Removable(parts=names, contribution=joint)
            left.pop()
        return Removable(parts=(left[0][0].name,), contribution=left[0][1]) if left else None

    def _start(self, part: Part, blocks: Sequence[tuple[Task, int]]) -> _Running:
        try:
            rest = without(self.library, [part])
        except PatchConflict as conflict:
            return _Running(part, None, [], 0, f"cannot be taken out: {conflict.message}", True)
        arms = (
            Arm(WITHOUT, lambda task: self.provider.view(task, rest)),
            Arm(WITH, lambda task: self.provider.view(task, self.library)),
        )
        differ = {t.id for t in self.tasks if not look_alike(arms[0].view_for(t), arms[1].view_for(t))}
        own = [block for block in blocks if block[0].id in differ]
        note = ""
        if not own:
            note = "no task shows the agent anything of it"
        elif len(own) < self.design.fewest:
            note = f"only {len(own)} pairs can be had; {self.design.fewest} are needed to decide at all"
        return _Running(part, arms, own, len(differ), note, bool(note))

    async def _look(self, one: _Running) -> None:
        """One more batch, and whether it ends the comparison."""
        assert one.arms is not None
        design = self.design
        size = min(design.batch, design.max_pairs - len(one.pairs.complete))
        batch, one.blocks = one.blocks[:size], one.blocks[size:]
        one.trials += await run_blocks(batch, one.arms, self.bench, self.order_seed + one.looks)
        one.pairs = pair(one.trials, WITHOUT, WITH)
        one.looks += 1
        n, wins, losses = one.counts
        one.log_e_max = max(one.log_e_max, log_e_value(wins, losses))
        if one.looks >= 2 and n == 0:
            one.note, one.done = "every trial is missing, or has no trusted score", True
        elif answer(design, n, wins, losses) is not None:
            one.done = True
        elif n >= design.max_pairs or not one.blocks:
            one.note, one.done = "all pairs are used", True
        elif is_futile(design, n, wins, losses):
            one.note, one.done = "the pairs left would hardly tell", True

    def _contribution(self, one: _Running) -> Contribution:
        n, wins, losses = one.counts
        evidence = sequential_evidence(one.pairs, WITHOUT, WITH, one.log_e_max, self.design.alpha)
        return Contribution(
            part=one.part.name,
            worth=cast("Worth | None", answer(self.design, n, wins, losses)),
            evidence=evidence,
            shown=one.shown,
            tasks=len(self.tasks),
            note=one.note,
        )


def look_alike(one: View, other: View) -> bool:
    """Whether two views have the same digest; quick where their skills are the same objects, as in one library."""
    if one.disclosure != other.disclosure or len(one.skills) != len(other.skills):
        return False
    return all(a is b or a.digest == b.digest for a, b in zip(one.skills, other.skills, strict=True))


def propose_removal(
    library: Library,
    snapshot: Snapshot,
    parts: Sequence[Part],
    found: Sequence[Contribution],
    together: Removable | None,
    margin: float,
) -> tuple[Proposal, ...]:
    """Offer what `Attribution.removable` found to a person, one proposal a part; `prowess review` decides.

    Each can be accepted, and undone, by itself. What a person has rejected before is not offered again.

    Args:
        library: Where the proposals go.
        snapshot: The library that was measured.
        parts: All parts that were tried.
        found: Their contributions, in the same order.
        together: What `removable` gave.
        margin: Contributions below it count as nothing.
    """
    if together is None:
        return ()
    refused = {proposal.patch.operations for proposal, _ in library.rejected()}
    proposals: list[Proposal] = []
    for part, own in zip(parts, found, strict=True):
        if part.name not in together.parts or part.operations in refused:
            continue
        harms = own.worth == "harms"
        patch = removal(snapshot, [part], f"take out {part.name}: it {'harms' if harms else 'is no help'}")
        told = "shown to harm" if harms else f"a contribution of {100 * margin:g} points is ruled out"
        verdicts = [_verdict("leave-one-out", own, told)]
        if others := [name for name in together.parts if name != part.name]:
            verdicts.append(_verdict("together", together.contribution, f"taken out together with {', '.join(others)}"))
        proposals.append(library.propose(patch, verdicts=verdicts, by=AUTHOR))
    return tuple(proposals)


def _verdict(gate: str, found: Contribution, note: str) -> Verdict:
    return Verdict(gate=gate, status="propose", note=note, evidence=found.evidence, cost=found.evidence.cost)
