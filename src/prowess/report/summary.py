"""What a run comes to: one plain sentence, and the rows of the table on held-out tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.cost import Cost, total
from prowess.core.evidence import Evidence, Noise, Outcome, Trial
from prowess.evolve.record import Comparison, RunRecord
from prowess.report.text import count, duration, money, points, probability

ARMS = ("without", "old", "with", "candidate", "human", "oracle")
"""The order of the arms in tables; others follow."""


TITLES = {"without": "without skills", "with": "with learned skills", "human": "with a person’s skill"}
"""What arms are called in tables; others keep their name."""


@dataclass(frozen=True, slots=True)
class Arm:
    """How one arm did in one row."""

    name: str
    passed: int
    n: int
    rate: float
    tokens: float | None
    """Mean per task; None when the trials are not in the record."""


@dataclass(frozen=True, slots=True)
class Row:
    """One label of the table: its arms, and the comparison that counts."""

    label: str
    family: str | None
    arms: tuple[Arm, ...]
    main: Evidence

    def arm(self, name: str) -> Arm | None:
        return next((a for a in self.arms if a.name == name), None)


def rows(comparisons: Sequence[Comparison]) -> tuple[Row, ...]:
    """Comparisons that share a label become one row; the main one is `with` against `without`, else the first."""
    labels: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        labels.setdefault(comparison.label, []).append(comparison)
    return tuple(_row(label, group) for label, group in labels.items())


def arm_names(table: Sequence[Row]) -> tuple[str, ...]:
    """Names of all arms in the table, in the order of its columns."""
    names = {arm.name for row in table for arm in row.arms}
    return tuple(sorted(names, key=lambda n: (ARMS.index(n) if n in ARMS else len(ARMS), n)))


def headline(table: Sequence[Row]) -> Row | None:
    """The row that speaks for the whole run: the only one, or the one over all families; None where there is none."""
    learned = [row for row in table if is_learned(row)]
    if len(learned) == 1:
        return learned[0]
    return next((row for row in learned if row.family is None), None)


def outcome(table: Sequence[Row]) -> Outcome:
    """One verdict for the run: that of its headline, else `worse` if any row is, else `better` if any row is."""
    head = headline(table)
    if head is not None:
        return head.main.outcome
    found = {row.main.outcome for row in table if is_learned(row)}
    return "worse" if "worse" in found else "better" if "better" in found else "not enough evidence"


def is_learned(row: Row) -> bool:
    """Whether the row speaks of what was learned, and not only of an upper bound."""
    return row.main.treatment not in ("human", "oracle")


@dataclass(frozen=True, slots=True)
class Harm:
    """A pair that got worse."""

    task: str
    trajectory: str
    where: str


def harms(record: RunRecord) -> tuple[Harm, ...]:
    """Every pair that got worse: on held-out tasks, and at the gates of accepted changes."""
    found = [Harm(task, run, c.label) for c in record.comparisons for task, run in c.evidence.harms]
    for number, decision in enumerate(record.decisions, 1):
        for verdict in decision.verdicts if decision.accepted else ():
            if verdict.evidence is not None:
                found += [Harm(task, run, f"at the gate of change {number}") for task, run in verdict.evidence.harms]
    seen: dict[tuple[str, str], Harm] = {}
    for harm in found:  # a comparison over all families holds the pairs of the others
        seen.setdefault((harm.task, harm.trajectory), harm)
    return tuple(seen.values())


def noise(record: RunRecord) -> str:
    """What the A/A run says, in a sentence; empty where there was none."""
    return noise_sentence(record.noise) if record.noise is not None else ""


def noise_sentence(noise: Noise | None) -> str:
    """The same of what a verdict carries."""
    if noise is None:
        return "How much of this is noise is not known: there was no A/A run of this suite with this agent and model."
    return (
        f"Run twice under other seeds, the same library gave another result on {noise.flips} of {noise.n} tasks "
        f"(A/A, 95 % interval of the rate {noise.low:.0%} to {noise.high:.0%}); at that noise the gate calls a library "
        f"that changes nothing better in {noise.false_accepts:.1%} of cases."
    )


def cost_of(record: RunRecord) -> Cost:
    """What the whole run cost."""
    return total([stage.cost for stage in record.costs])


def sentence(record: RunRecord) -> str:
    """What was learned, whether it helped, n, p and cost, in plain words."""
    table = rows(record.comparisons)
    return " ".join((_learned(record), _helped(table), _cost(record)))


def _learned(record: RunRecord) -> str:
    before = {s.name: s.digest for s in record.before.skills}
    after = {s.name: s.digest for s in record.after.skills}
    new = [name for name in after if name not in before]
    changed = [name for name in after if name in before and before[name] != after[name]]
    parts = [f"learned {count(len(new), 'skill')} ({', '.join(new)})" if new else ""]
    parts += [f"changed {count(len(changed), 'skill')} ({', '.join(changed)})" if changed else ""]
    done = " and ".join(part for part in parts if part)
    tried = count(len(record.decisions), "proposed change")
    return f"From {count(len(record.curve), 'task')}, the agent {done or 'learned nothing'}; {tried} went to the gates."


def _helped(table: Sequence[Row]) -> str:
    head = headline(table)
    if head is not None:
        return _head(head)
    learned = [row for row in table if is_learned(row)]
    if not learned:
        return "Nothing was measured on held-out tasks."
    parts = [f"{r.label}: {r.main.outcome} ({_numbers(r.main)})" for r in learned]
    return "On held-out tasks: " + "; ".join(parts) + "."


def _head(row: Row) -> str:
    e = row.main
    baseline, treatment = row.arm(e.baseline), row.arm(e.treatment)
    assert baseline is not None  # a row is made of the two arms of its evidence
    assert treatment is not None
    human = row.arm("human")
    bound = f", {human.passed} with a skill written by a person" if human is not None and human.n == treatment.n else ""
    return (
        f"On {count(e.n, 'held-out task')} it passed {baseline.passed} without them and {treatment.passed} with them"
        f"{bound}: {e.outcome} ({_numbers(e)})."
    )


def _numbers(e: Evidence) -> str:
    return (
        f"{points(e.effect)} points, {round(e.level * 100)} % interval {points(e.low)} to {points(e.high)}, "
        f"n = {e.n}, {probability(e.p)}"
    )


def _cost(record: RunRecord) -> str:
    cost = cost_of(record)
    return f"It took {duration(record.seconds)}, {cost.tokens:,} tokens and {money(cost.usd)}."


def _row(label: str, group: Sequence[Comparison]) -> Row:
    main = next((c for c in group if c.evidence.treatment == "with"), group[0])
    arms: dict[str, Arm] = {}
    for comparison in (main, *group):
        e = comparison.evidence
        for name, rate in ((e.baseline, e.baseline_rate), (e.treatment, e.treatment_rate)):
            arms.setdefault(name, _arm(name, rate, e))
    ordered = sorted(arms.values(), key=lambda a: ARMS.index(a.name) if a.name in ARMS else len(ARMS))
    return Row(label, main.family, tuple(ordered), main.evidence)


def _arm(name: str, rate: float, evidence: Evidence) -> Arm:
    trials: list[Trial] = [t for t in evidence.trials if t.arm == name and t.passed is not None]
    tokens = sum(t.cost.tokens for t in trials) / len(trials) if trials else None
    return Arm(name, round(rate * evidence.n), evidence.n, rate, tokens)
