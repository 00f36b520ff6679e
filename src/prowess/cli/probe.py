"""`prowess probe`: how many skills can be told apart, by words or by a model, flat or through categories."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Budget, Concurrency, Json, LibraryPath, Seed, SkillsFolder

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.skill import Skill
    from prowess.measure.capacity import Case, Difference, Line, Way

SIZES = (5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def probe(
    *,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Let this model choose; by default words do, without one."),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option("--size", metavar="N", min=1, help="A size to measure; may stand more than once."),
    ] = None,
    libraries: Annotated[int, typer.Option("--libraries", metavar="N", min=1, help="Libraries drawn per size.")] = 8,
    requests: Annotated[int, typer.Option("--requests", metavar="N", min=1, help="Requests put to each library.")] = 5,
    look_alikes: Annotated[
        int, typer.Option("--look-alikes", metavar="N", min=0, help="Nearest neighbours beside each skill asked for.")
    ] = 1,
    pool: Annotated[
        Path | None, typer.Option("--pool", metavar="FOLDER", help="Skills to fill the libraries up with.")
    ] = None,
    asked: Annotated[
        Path | None,
        typer.Option("--asked", metavar="FILE", help='Real requests, one JSON {"query": …, "skill": …} a line.'),
    ] = None,
    chart: Annotated[Path | None, typer.Option("--chart", metavar="FILE", help="Write the curve as SVG.")] = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    library: LibraryPath = None,
    skills: SkillsFolder = None,
    json: Json = False,
) -> None:
    """Measure how many skills can be told apart.

    Libraries of growing size are drawn from yours; each time one skill is asked for, among strangers, beside
    look-alikes, and through categories. Requests are made from the skills' own texts unless --asked gives real ones.
    """
    from dataclasses import asdict

    import anyio

    from prowess.cli.finding import look
    from prowess.cli.places import write
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.library.folders import skills_below
    from prowess.measure.capacity import compare_ways, line
    from prowess.measure.capacity import probe as run
    from prowess.report.capacity import chart as draw
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    limit = settings.budget_usd if budget is None else budget
    own = look(screen, library, skills).snapshot
    strangers = () if pool is None else skills_below(pool).snapshot.skills
    everyone = (*own.skills, *(s for s in strangers if own.get(s.name) is None))
    cases, ways = _cases(own.skills, asked), _ways(model, look_alikes, limit)
    sizes = size or sorted({n for n in (*SIZES, len(everyone)) if n <= len(everyone)})
    with Waiting(limit) as waiting:
        choices = anyio.run(
            lambda: run(
                cases, everyone, ways, sizes=sizes, libraries=libraries, queries=requests, seed=seed,
                concurrency=concurrency or settings.concurrency,
                on_done=lambda done, total: waiting.at("choices", done, total, ""),
            )
        )  # fmt: skip
    lines = [line(choices, way.name, seed) for way in ways]
    against = [(ways[0].name, way.name, compare_ways(choices, ways[0].name, way.name)) for way in ways[1:]]
    if chart is not None:
        write(chart, draw(lines))
    if json:
        differences = [{"from": a, "to": b, "by_size": [asdict(d) for d in found]} for a, b, found in against]
        screen.data({"pool": len(everyone), "requests": len(cases), "ways": [_plain(x) for x in lines],
                     "differences": differences})  # fmt: skip
        return
    _table(screen, lines)
    for a, b, found in against:
        _difference(screen, a, b, found)


def _ways(spec: str | None, look_alikes: int, limit: float | None) -> "list[Way]":
    from prowess.agents.models import open_model
    from prowess.agents.models.meter import Budget, Metered
    from prowess.measure.capacity import Way
    from prowess.measure.selection import ByModel, ByTree, ByWords, WordsByTree

    selector = ByWords() if spec is None else ByModel(Metered(open_model(spec), Budget(usd=limit)))
    name = "words" if spec is None else "model"
    beside = [Way(f"{name}, look-alikes", selector, look_alikes)] if look_alikes else []
    return [
        Way(name, selector),
        Way(f"{name}, categories", WordsByTree() if spec is None else ByTree(selector)),
        *beside,
    ]


def _cases(own: "tuple[Skill, ...]", asked: Path | None) -> "list[Case]":
    """Real requests from a file, else some made from the skills' own texts."""
    from prowess.measure.capacity import Case
    from prowess.search.experience import read_experience
    from prowess.search.lint import own_queries

    if asked is None:
        return [Case(query, frozenset({s.name})) for s in own for query in own_queries(s)]
    return [Case(entry.query, frozenset({entry.skill})) for entry in read_experience(asked) if entry.helped]


def _plain(line: "Line") -> dict[str, object]:
    from dataclasses import asdict

    points = [asdict(point) | {"accuracy": point.accuracy} for point in line.points]
    return {"way": line.way, "points": points, "curve": asdict(line.curve) if line.curve else None, "cost": line.cost}


def _table(screen: "Screen", lines: "list[Line]") -> None:
    from prowess.report.capacity import half_lost
    from prowess.report.text import percent

    sizes = sorted({point.size for line in lines for point in line.points})
    rows: list[tuple[str, ...]] = []
    for size in sizes:
        cells = [next(p for p in line.points if p.size == size) for line in lines]
        shown = [f"{percent(p.accuracy)} [{percent(p.low)}, {percent(p.high)}]" for p in cells]
        rows.append((str(size), str(cells[0].asked), *shown))
    screen.table(("skills", "n", *(line.way for line in lines)), rows)
    for line in lines:
        if line.curve is None:
            continue
        g = line.curve.gamma
        more = f", of {percent(line.curve.alpha.value)}, steepness {g.value:.1f} [{g.low:.1f}, {g.high:.1f}]"
        screen.line((line.way, "bold"), f"  {half_lost(line)}", more if line.curve.falls else "")


def _difference(screen: "Screen", a: str, b: str, found: "list[Difference]") -> None:
    from prowess.report.text import points, probability

    told = [
        f"{points(d.effect)} [{points(d.low)}, {points(d.high)}] at {d.size} (n = {d.n}, {probability(d.p)})"
        for d in found[-3:]
    ]
    screen.line((f"{b} against {a}", "bold"), "  ", "; ".join(told), ("  points", "dim"))
