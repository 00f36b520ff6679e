"""Pages about how skills are chosen: of a measurement of triggers, and of the funnel from offered to helped."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.cost import total
from prowess.measure.funnel import Funnel, SkillFunnel, Step
from prowess.measure.triggers.record import TriggerRecord
from prowess.measure.triggers.results import NONE, Confusion, Rate, Results
from prowess.measure.triggers.sets import Query
from prowess.report.page import page
from prowess.report.text import count, percent

DRAWN = 30
"""Most rows of a matrix; those with most mistakes are kept."""
WAYS = 60
"""Most skills of a funnel."""
_SIZE, _LEFT, _TOP = 34, 210, 150
"""Pixels of a field, of the row labels, and of the column labels."""


@dataclass(frozen=True, slots=True)
class Label:
    label: str
    at: float


@dataclass(frozen=True, slots=True)
class Cell:
    x: int
    y: int
    runs: int
    shade: float
    """Share of the row, 0 to 1."""
    right: bool
    says: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix as it is drawn, in pixels."""

    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    cells: tuple[Cell, ...]
    left_out: int
    """Skills that are not drawn."""
    size: int = _SIZE
    left: int = _LEFT
    top: int = _TOP

    @property
    def width(self) -> int:
        return self.left + self.size * len(self.columns) + 150  # the last label leans out

    @property
    def height(self) -> int:
        return self.top + self.size * len(self.rows) + 4


@dataclass(frozen=True, slots=True)
class Run:
    says: str
    right: bool | None
    """None when missing."""


@dataclass(frozen=True, slots=True)
class Asked:
    query: Query
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    result: Results
    matrix: Matrix
    worst: tuple[Confusion, ...]
    shown: tuple[tuple[str, int], ...]
    hidden: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Way:
    skill: SkillFunnel
    steps: tuple[tuple[str, Step], ...]
    outcome: str


def render_triggers(record: TriggerRecord, external: bool = False) -> str:
    """The page of a measurement of triggers. `external`: the agent lists skills itself."""
    return page(
        "triggers.html",
        sentence=sentence(record),
        comparison=record.comparison,
        preset=record.preset,
        external=external,
        arms=[_arm(result) for result in record.arms],
        asked=_asked(record),
        cost=total([arm.cost for arm in record.arms]),
    )


def render_funnel(funnel: Funnel) -> str:
    """The page of a funnel."""
    rows = [
        Way(
            s,
            (("offered", s.offered), ("loaded", s.loaded), ("used", s.used)),
            "not enough evidence" if s.helped is None or s.helped.p > 0.05 else
            "better" if s.helped.effect > 0 else "worse",
        )
        for s in funnel.skills[:WAYS]
    ]  # fmt: skip
    return page(
        "funnel.html",
        funnel=funnel,
        sentence=funnel_sentence(funnel),
        rows=rows,
        left_out=max(0, len(funnel.skills) - WAYS),
    )


def sentence(record: TriggerRecord) -> str:
    """What a measurement came to, in plain words; of the last arm where there are two."""
    found = record.arms[-1]
    recall, wrong = _pooled([s.recall for s in found.skills]), _pooled([s.false_triggers for s in found.skills])
    parts: list[str] = []
    if record.comparison is not None:
        outcome = record.comparison.overall.outcome
        parts.append(
            f"Not enough evidence that the new description of {record.comparison.skill} is better or worse."
            if outcome == "not enough evidence"
            else f"The new description of {record.comparison.skill} is {outcome}."
        )
    if recall[1]:
        parts.append(f"Of {count(recall[1], 'run')} that should load a skill, {recall[0]} did ({_share(recall)}).")
    if wrong[1]:
        parts.append(f"Of {wrong[1]} that should not, {wrong[0]} did ({_share(wrong)}).")
    hidden = sum(s.entry.shown != "whole" for s in found.skills)
    if hidden:
        parts.append(f"The catalogue has no room for {count(hidden, 'description')} of the skills asked for.")
    if found.missing:
        parts.append(f"{count(found.missing, 'run')} of {found.runs} failed from outside and count nowhere.")
    return " ".join(parts) or "No run came to its end."


def funnel_sentence(funnel: Funnel) -> str:
    """What a funnel shows, in plain words."""
    never = sum(s.loaded.k == 0 for s in funnel.skills)
    helped = [s.helped for s in funnel.skills if s.helped is not None]
    told = (
        f"In {count(funnel.sessions, 'session')} and trials, {count(len(funnel.skills), 'skill')} were offered; "
        f"{never} of them were never loaded."
    )
    if helped:
        clear = sum(h.p <= 0.05 and h.effect > 0 for h in helped)
        told += f" Pairs of trials speak of {count(len(helped), 'skill')}, and show {clear} to help."
    else:
        told += " No pairs of trials say whether one helped: `prowess measure` makes them."
    return told


def _arm(result: Results) -> Arm:
    wrong = [c for c in result.confusions if c.expected != c.loaded]
    shown = Counter(entry.shown for entry in result.listing.entries)
    return Arm(
        result=result,
        matrix=matrix(result.confusions),
        worst=tuple(sorted(wrong, key=lambda c: -c.runs)[:5]),
        shown=tuple(shown.most_common()),
        hidden=tuple(entry for entry in result.listing.entries if entry.shown != "whole"),
    )


def matrix(confusions: Sequence[Confusion]) -> Matrix:
    """The matrix of the skills with most mistakes, on either side; no skill comes last."""
    mistakes: Counter[str] = Counter()
    for c in confusions:
        for name in (c.expected, c.loaded):
            mistakes[name] += c.runs if c.expected != c.loaded else 0
    names = [n for n in sorted(mistakes, key=lambda n: (-mistakes[n], n)) if n != NONE]
    kept = sorted(names[:DRAWN])
    rows = [n for n in (*kept, NONE) if any(c.expected == n for c in confusions)]
    columns = [*kept, NONE] if rows else []
    runs = {(c.expected, c.loaded): c.runs for c in confusions}
    cells: list[Cell] = []
    for i, row in enumerate(rows):
        of = sum(n for (expected, _), n in runs.items() if expected == row)
        for j, column in enumerate(columns):
            n = runs.get((row, column), 0)
            cells.append(
                Cell(
                    x=_LEFT + j * _SIZE,
                    y=_TOP + i * _SIZE,
                    runs=n,
                    shade=round(n / of, 3),
                    right=row == column,
                    says=f"{n} of {of}: should load {row or 'nothing'}, loaded {column or 'nothing'}",
                )
            )
    return Matrix(
        rows=tuple(Label(n or "(nothing)", _TOP + (i + 0.5) * _SIZE) for i, n in enumerate(rows)),
        columns=tuple(Label(n or "(nothing)", _LEFT + (j + 0.5) * _SIZE) for j, n in enumerate(columns)),
        cells=tuple(sorted(cells, key=lambda cell: cell.right)),  # so that outlines lie on top
        left_out=len(names) - len(kept),
    )


def _asked(record: TriggerRecord) -> list[Asked]:
    runs: defaultdict[str, list[Run]] = defaultdict(list)
    several = len(record.arms) > 1
    by_key = {q.key: q for q in record.queries}
    for d in record.decisions:
        query, arm = by_key[d.query], f"{d.arm}: " if several else ""
        if d.loaded is None:
            runs[d.query].append(Run(f"{arm}missing", None))
            continue
        right = {*query.should} <= {*d.loaded} and not {*query.should_not} & {*d.loaded}
        runs[d.query].append(Run(f"{arm}{', '.join(d.loaded) or 'nothing'}", right))
    asked = [Asked(query, tuple(runs[query.key])) for query in record.queries]
    return sorted(asked, key=lambda a: -sum(run.right is False for run in a.runs))


def _pooled(rates: Sequence[Rate]) -> tuple[int, int]:
    return sum(r.k for r in rates), sum(r.n for r in rates)


def _share(counts: tuple[int, int]) -> str:
    return percent(counts[0] / counts[1])
