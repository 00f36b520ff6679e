"""When a skill is kept, watched, retired or missing, as rules over measured contributions. Nothing is run here.

The rules are those of SLIM (arXiv 2605.10923): an audit runs the tasks that a skill is shown on with it and without it,
and the difference of the success rates feeds a moving average (`prowess.measure.contribution`); a family that fails
again and again with no skill that helps needs a new one. Two things differ. The model is frozen, so that no skill is
retired because the model has learned it. And the rules only *nominate*: a moving average over a few tasks is noise, so
what is nominated still has to pass a proof of no loss on other tasks (`TrialsGate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.core.upkeep import Audit
from prowess.library import Library, Use
from prowess.measure import contribution
from prowess.measure.contribution import Stage, Standing, standing


@dataclass(frozen=True, slots=True)
class Rules(contribution.Rules):
    """Thresholds; the defaults are those of the paper."""

    failures: int = 20
    """Failed tasks of one family before it counts as a gap."""
    success: float = 0.4
    """A family that succeeds more often than this is no gap."""
    examples: int = 32
    """Failures of one gap that a new skill is learned from, the latest ones."""
    expand: int = 2
    """Gaps that are worked on at once, the worst first."""
    uses: int = 3
    """For the baseline that retires by usage: fewer uses than this over `exposure` tasks are too few."""

    def __post_init__(self) -> None:
        contribution.Rules.__post_init__(self)
        if min(self.failures, self.examples, self.expand) < 1:
            raise UserError("a count among the lifecycle rules is below 1", "give at least 1")


def standing_of(skill: Skill, audits: Sequence[Audit], rules: Rules, agent: str | None = None) -> Standing:
    """The standing of this very text with one agent: `agent`, else that of its latest audit.

    Audits of an earlier text, or with another agent, model or settings, are audits of something else.
    """
    own = [a for a in audits if a.digest == skill.digest and a.skill == skill.name]
    agent = agent or (own[-1].agent if own else None)
    return standing([(a.evidence.effect, a.evidence.n) for a in own if a.agent == agent], rules)


def stale(audit: Audit, library: Snapshot, agent: str | None = None, suite: str | None = None) -> tuple[str, ...]:
    """What has changed since the audit, so that its verdict need not hold any more; empty for nothing.

    Args:
        audit: What was measured.
        library: As it is now.
        agent: Name of the agent that is used now, which says version, settings and model; None where unknown.
        suite: Where tasks come from now; None where unknown.
    """
    skill = library.get(audit.skill)
    reasons: list[str] = []
    if skill is None:
        reasons.append("the skill is not in the library")
    elif skill.digest != audit.digest:
        reasons.append("its text has changed")
    if library.without(audit.skill).digest != audit.others:
        reasons.append("other skills have changed")
    if agent is not None and agent != audit.agent:
        reasons.append(f"measured with {audit.agent}, not with {agent}")
    if suite is not None and suite != audit.suite:
        reasons.append(f"measured on {audit.suite}, not on {suite}")
    return tuple(reasons)


class Outcome(NamedTuple):
    """One finished task of the stream, as far as gaps go."""

    family: str
    passed: bool
    shown: tuple[str, ...]
    """Skills that the agent was shown."""


def gaps(outcomes: Sequence[Outcome], averages: dict[str, float], rules: Rules) -> tuple[str, ...]:
    """Families that need a new skill, the most failures first, at most `rules.expand`.

    SLIM: at least `failures` failed, success below `success`, and no skill of the family in the keep zone.
    """
    families = dict.fromkeys(o.family for o in outcomes)
    found: list[tuple[int, str]] = []
    for family in families:
        own = [o for o in outcomes if o.family == family]
        failed = sum(not o.passed for o in own)
        helped = any(averages.get(name, 0.0) >= rules.keep for o in own for name in o.shown)
        if failed >= rules.failures and (len(own) - failed) / len(own) < rules.success and not helped:
            found.append((-failed, family))
    return tuple(family for _, family in sorted(found))[: rules.expand]


def rarely_used(used: Sequence[Sequence[str]], name: str, rules: Rules) -> bool:
    """The baseline: whether `name` was used fewer than `rules.uses` times in the last `rules.exposure` tasks.

    `used` lists the skills used in each task, in order; with fewer tasks than that nothing is said.
    """
    window = used[-rules.exposure :]
    return len(window) == rules.exposure and sum(name in names for names in window) < rules.uses


class State(Frozen):
    """Where one skill stands, for a person: everything here was stored before, nothing is run."""

    skill: str
    stage: Stage | Literal["archived"]
    why: str
    contribution: float | None = None
    """Moving average, in success rate."""
    exposure: int = 0
    audits: int = 0
    stale: tuple[str, ...] = ()
    """What has changed since the last audit, or since the proof with which it was archived."""
    measured: str = ""
    """When the last audit was made; ISO 8601, empty for never."""
    use: Use
    archived: str = ""
    """When it was archived; empty for skills that are in the library."""


def states(library: Library, rules: Rules, agent: str | None = None, suite: str | None = None) -> list[State]:
    """The state of every skill that the library has or had; see `stale` for `agent` and `suite`."""
    snapshot, uses, entries = library.snapshot(), library.uses(), library.upkeep.audits()
    audits = [entry.audit for entry in entries]
    last = {entry.audit.skill: entry for entry in entries}
    found: list[State] = []
    for skill in snapshot.skills:
        entry, now = last.get(skill.name), standing_of(skill, audits, rules, agent)
        found.append(
            State(
                skill=skill.name,
                stage=now.stage(rules),
                why=now.why(rules),
                contribution=now.average,
                exposure=now.exposure,
                audits=now.audits,
                stale=stale(entry.audit, snapshot, agent, suite) if entry is not None else (),
                measured=entry.when if entry is not None else "",
                use=uses.get(skill.name, Use(skill=skill.name)),
            )
        )
    for name in library.upkeep.archived():
        change = library.change(library.versions(name)[0].change)
        proof = [v.note for v in change.verdicts if v.evidence is not None]
        reason = change.patch.reason if change.patch is not None else f"{change.kind} change"
        found.append(
            State(
                skill=name,
                stage="archived",
                why="; ".join([reason, *proof]),
                stale=("other skills have changed",) if proof and snapshot.digest != change.after else (),
                use=uses.get(name, Use(skill=name)),
                archived=change.when,
            )
        )
    return found
