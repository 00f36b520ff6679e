"""The page of a comparison of recipes: standings, effects, learning curves, cost against gain, levels, transfer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.cost import total
from prowess.core.evidence import Evidence
from prowess.evolve.bench.gains import NONE
from prowess.evolve.bench.record import BenchRecord, Entry, Gain, Group, Levels
from prowess.measure.stats.proportions import clopper_pearson
from prowess.report.charts import Forest, Tick, forest_of
from prowess.report.page import page
from prowess.report.text import duration, money, percent, points

STYLES = 6
"""Curves are told apart by so many line styles."""
COLUMNS = ("recipe", "success", "gain", "p", "tokens", "skills", "learning")
"""Of the table in a terminal: held-out tasks, tokens of one of them, skills kept, tokens of learning."""
GROUPS: tuple[Group, ...] = ("held-out", "later", "other families", "other rules")


@dataclass(frozen=True, slots=True)
class Standing:
    """One recipe on one part, over all seeds: built and used with one and the same model."""

    recipe: str
    model: str
    entries: tuple[Entry, ...]
    success: float | None
    low: float
    high: float
    n: int
    missing: int
    gain: Gain | None
    tokens: float
    """Of one held-out run."""
    usd: float
    steps: float
    learning: float
    """Tokens of one learning."""
    kept: float
    """Skills, mean over seeds."""

    @property
    def is_ablation(self) -> bool:
        return "." in self.recipe

    @property
    def p(self) -> float | None:
        """Of the gain: adjusted where the recipe is one of several that are asked about."""
        if self.gain is None:
            return None
        return self.gain.adjusted if self.gain.adjusted is not None else self.gain.evidence.p

    @property
    def per_million(self) -> float | None:
        """Points gained for a million tokens of learning; None where no gain is shown, or nothing was spent."""
        if self.gain is None or not self.learning or (self.p or 0) > 0.05:
            return None
        return 1e8 * self.gain.evidence.effect / self.learning

    @property
    def funnel(self) -> str:
        """Counts of held-out runs: offered a skill, loaded it, used it, helped by it."""
        f = [entry.funnel for entry in self.entries]
        return "/".join(str(sum(getattr(x, name) for x in f)) for name in ("offered", "loaded", "used", "helped"))

    @property
    def levels(self) -> dict[str, float | None]:
        """Means over the seeds that have each measure."""
        found: dict[str, float | None] = {}
        for name in Levels.model_fields:
            known = [v for e in self.entries if (v := getattr(e.levels, name)) is not None]
            found[name] = sum(known) / len(known) if known else None
        return found

    @property
    def failures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(e.failure for e in self.entries if e.failure))

    @property
    def notes(self) -> str:
        """What went otherwise than planned."""
        unusable, ended = sum(e.unusable for e in self.entries), sum(bool(e.ended) for e in self.entries)
        said = [f"{unusable} unusable answers"] if unusable else []
        said += [f"learning ended by its budget in {ended} of {len(self.entries)} runs"] if ended else []
        said += [f"{self.missing} held-out runs missing"] if self.missing else []
        return "; ".join([*said, *self.failures])

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, by `COLUMNS`."""
        e = self.gain.evidence if self.gain else None
        return (
            self.recipe,
            f"{percent(self.success)} of {self.n}" if self.success is not None else "-",
            f"{points(e.effect)} [{points(e.low)}, {points(e.high)}]" if e else "-",
            f"{self.p:.2g}" if self.p is not None else "-",
            f"{self.tokens:,.0f}",
            f"{self.kept:.1f}",
            f"{self.learning:,.0f}",
        )


def standings(record: BenchRecord, part: int, model: str | None = None) -> tuple[Standing, ...]:
    """All recipes on one part with one model (the plan's first by default), in the order of the plan."""
    model = model or record.plan.models[0]
    rows: list[Standing] = []
    for name in record.plan.recipes:
        own = tuple(
            e for e in record.entries if (e.part, e.recipe, e.built_with, e.used_with) == (part, name, model, model)
        )
        if own:
            rows.append(_standing(record, name, model, own))
    return tuple(rows)


def _standing(record: BenchRecord, name: str, model: str, own: tuple[Entry, ...]) -> Standing:
    trials = [t for e in own for t in e.trials.get("held-out", ()) if t.arm == name]
    known = [t for t in trials if t.passed is not None]
    passed = sum(bool(t.passed) for t in known)
    low, high = clopper_pearson(passed, len(known)) if known else (0.0, 1.0)
    cost, n = total([t.cost for t in trials]), max(1, len(trials))
    gain = next((g for g in record.gains if _is(g, own[0], NONE, "held-out")), None)
    return Standing(
        recipe=name, model=model, entries=own, success=passed / len(known) if known else None, low=low, high=high,
        n=len(known), missing=len(trials) - len(known), gain=gain, tokens=cost.tokens / n, usd=cost.usd / n,
        steps=sum(e.steps for e in own) / len(own), learning=sum(e.learning.tokens for e in own) / len(own),
        kept=sum(len(e.skills.skills) for e in own) / len(own),
    )  # fmt: skip


def _is(gain: Gain, entry: Entry, against: str, group: Group) -> bool:
    here = (gain.part, gain.recipe, gain.built_with, gain.used_with, gain.against, gain.group)
    return here == (entry.part, entry.recipe, entry.built_with, entry.used_with, against, group)


@dataclass(frozen=True, slots=True)
class Line:
    """One recipe's curve over its stream, in a box of 100 by 100."""

    recipe: str
    style: int
    path: str
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Dot:
    """One recipe in the plot of cost against gain."""

    recipe: str
    x: float
    y: float
    low: float
    high: float
    """Percent of the box."""
    evidence: Evidence
    learning: float
    left: bool
    """Whether its name stands to the left of it."""
    ablation: bool
    shift: int
    """Pixels that its name stands below the dot, so that names of near dots do not cover each other."""


@dataclass(frozen=True, slots=True)
class Costs:
    dots: tuple[Dot, ...]
    xs: tuple[Tick, ...]
    ys: tuple[Tick, ...]
    zero: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the transfer matrix."""

    built: str
    used: str
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Section:
    """All of one part."""

    title: str
    rows: tuple[Standing, ...]
    forests: tuple[tuple[str, Forest], ...]
    lines: tuple[Line, ...]
    costs: Costs | None
    transfer: tuple[tuple[str, tuple[tuple[Cell, ...], ...]], ...]


def render_bench(record: BenchRecord) -> str:
    """The page, as HTML text to be stored as UTF-8."""
    sections = [section(record, number) for number in range(len(record.plan.parts))]
    tried = {e.recipe for e in record.entries}
    return page(
        "bench.html",
        record=record,
        sections=sections,
        sentence=sentence(record, sections),
        seeds=len(record.plan.seeds),
        recipes=len([name for name in tried if "." not in name]),
        spent=spent,
    )


def section(record: BenchRecord, part: int) -> Section:
    where = record.plan.parts[part]
    rows = standings(record, part)
    return Section(
        title=f"{where.suite}: {', '.join(where.families)}",
        rows=rows,
        forests=_forests(record, part),
        lines=curves(rows),
        costs=costs(rows),
        transfer=transfer(record, part),
    )


def sentence(record: BenchRecord, sections: Sequence[Section]) -> str:
    """What came out, in plain words."""
    said: list[str] = []
    for part in sections:
        learned = [r for r in part.rows if r.gain and r.learning and not r.is_ablation]
        better = [r for r in learned if r.gain and r.gain.evidence.effect > 0 and r.p is not None and r.p <= 0.05]
        names = ", ".join(f"{r.recipe} ({points(r.gain.evidence.effect)})" for r in better if r.gain)
        said.append(
            f"On {part.title.partition(':')[0]}, {len(better)} of {len(learned)} recipes are shown to help"
            + (f": {names}." if names else ".")
        )
    return " ".join(said)


def _forests(record: BenchRecord, part: int) -> tuple[tuple[str, Forest], ...]:
    """Effects by group of tasks, with the plan's first model."""
    model = record.plan.models[0]
    own = [g for g in record.gains if (g.part, g.built_with, g.used_with) == (part, model, model)]
    found: list[tuple[str, Forest]] = []
    for group in GROUPS:
        effects = [(_against(g), g.recipe, g.evidence) for g in own if g.group == group]
        if effects:
            found.append((group, forest_of(sorted(effects, key=lambda e: e[0]))))
    return tuple(found)


def _against(gain: Gain) -> str:
    return "against no skills" if gain.against == NONE else "against its ablation or baseline"


def curves(rows: Sequence[Standing]) -> tuple[Line, ...]:
    """Share of passed tasks along the stream, over seeds, smoothed over a sixth of it; for recipes with a stream."""
    found: list[Line] = []
    for row in rows:
        streams = [[p.passed for p in e.curve if p.passed is not None] for e in row.entries if e.curve]
        n = min((len(s) for s in streams), default=0)
        if n < 4 or row.is_ablation:
            continue
        window = max(2, n // 6)
        shares = [
            sum(sum(bool(p) for p in s[max(0, i + 1 - window) : i + 1]) / min(window, i + 1) for s in streams)
            / len(streams)
            for i in range(n)
        ]
        path = " ".join(
            f"{'L' if i else 'M'}{100 * i / (n - 1):.2f} {100 - 100 * share:.2f}" for i, share in enumerate(shares)
        )
        found.append(Line(row.recipe, len(found) % STYLES, path, shares[window - 1], shares[-1]))
    return tuple(found)


def costs(rows: Sequence[Standing]) -> Costs | None:
    """Tokens of learning (logarithmic) against points gained; None where no recipe learned anything for tokens."""
    known = [(r, r.gain.evidence) for r in rows if r.gain is not None and r.learning]
    if not known:
        return None
    left = math.floor(min(math.log10(r.learning) for r, _ in known))
    right = max(left + 1, math.ceil(max(math.log10(r.learning) for r, _ in known)))
    bottom = min(-0.1, *(e.low for _, e in known)) - 0.03
    top = max(0.3, *(e.high for _, e in known)) + 0.03

    def x(tokens: float) -> float:
        return round(100 * (math.log10(tokens) - left) / (right - left), 2)

    def y(effect: float) -> float:
        return round(100 - 100 * (effect - bottom) / (top - bottom), 2)

    marks = [i / 4 for i in range(-4, 5) if bottom <= i / 4 <= top]
    dots: list[Dot] = []
    for r, e in sorted(known, key=lambda k: (-k[1].effect, k[0].learning)):
        at = x(r.learning), y(e.effect)
        near = [d for d in dots if abs(d.y - at[1]) < 4 and abs(d.x - at[0]) < 30]
        shift = 4 + 15 * len(near)
        dots.append(Dot(r.recipe, *at, y(e.low), y(e.high), e, r.learning, at[0] > 60, r.is_ablation, shift))
    return Costs(
        dots=tuple(dots),
        xs=tuple(Tick(x(10**k), _tokens(10**k)) for k in range(left, right + 1)),
        ys=tuple(Tick(y(m), points(m)) for m in marks),
        zero=y(0),
    )


def _tokens(n: float) -> str:
    return f"{n / 1e6:g} M" if n >= 1e6 else f"{n / 1e3:g} k" if n >= 1e3 else f"{n:g}"


def transfer(record: BenchRecord, part: int) -> tuple[tuple[str, tuple[tuple[Cell, ...], ...]], ...]:
    """For each recipe the matrix built with × used with of gains on held-out tasks; empty with one model."""
    models = record.plan.models
    if len(models) < 2:
        return ()
    gains = {
        (g.recipe, g.built_with, g.used_with): g.evidence
        for g in record.gains
        if g.part == part and g.group == "held-out" and g.against == NONE
    }
    names = [n for n in record.plan.recipes if any((n, b, u) in gains for b in models for u in models if b != u)]
    return tuple(
        (name, tuple(tuple(Cell(b, u, gains.get((name, b, u))) for u in models) for b in models)) for name in names
    )


def spent(row: Standing) -> str:
    """What learning took, a run."""
    n = len(row.entries)
    cost = total([e.learning for e in row.entries])
    return f"{duration(sum(e.seconds for e in row.entries) / n)}, {money(cost.usd / n)}"
