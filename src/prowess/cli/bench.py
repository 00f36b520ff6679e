"""`prowess bench`: published methods side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Budget, Concurrency, ExecutorSpec, Json, chosen_budget

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.evolve.bench.record import BenchRecord, SuitePart

app = typer.Typer(no_args_is_help=True, help="Compare recipes on the same tasks, budget and seeds.",
                  rich_markup_mode=None)  # fmt: skip


@app.callback()
def bench() -> None:
    pass


@app.command()
def recipes(
    *,
    suites: Annotated[
        list[str] | None,
        typer.Option("--suite", "-s", metavar="SUITE[:FAMILY,…]", show_default="workbench",
                     help="Where tasks come from, and what is learned from; may stand more than once."),
    ] = None,
    wanted: Annotated[
        list[str] | None,
        typer.Option("--recipe", "-r", metavar="RECIPE[.ABLATION]", show_default="all",
                     help="Also `human` and `oracle`; may stand more than once."),
    ] = None,
    ablations: Annotated[
        bool, typer.Option("--ablations/--no-ablations", help="Run each recipe without its paper's idea, too.")
    ] = True,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="MODEL", show_default="that of the settings",
                     help="Several: each builds, and each uses what the others built."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, max=50, help="Runs; each draws own tasks.")] = 3,
    evidence: Annotated[int, typer.Option("--evidence", metavar="N", min=1, help="Tasks a family to learn from.")] = 8,
    gate: Annotated[int, typer.Option("--gate", metavar="N", min=1, help="Tasks a family for verdicts.")] = 12,
    test: Annotated[int, typer.Option("--test", metavar="N", min=1, help="Held-out tasks a family.")] = 8,
    other: Annotated[int, typer.Option("--other", metavar="N", min=0, help="Tasks of each other family.")] = 2,
    samples: Annotated[int, typer.Option("--samples", metavar="N", min=1, help="Programs a search may sample.")] = 16,
    tokens: Annotated[
        int | None,
        typer.Option("--tokens", metavar="N", min=1, show_default=False,
                     help="Most tokens of each learning, trials of gates included; it then ends with what it has."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--start", metavar="FOLDER", show_default=False,
                     help="Skills that every recipe begins with; the arm `seed` shows them as they are."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the runs, the record and the page go.")
    ] = Path("runs/bench"),
    concurrency: Concurrency = None,
    executor: ExecutorSpec = "local",
    budget: Budget = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Compare recipes: what each learns, gains, harms and costs.

    Every recipe gets the same tasks, splits, seeds and budget. They are compared with no skills
    (`none`), with their ablations, with human skills and with right answers, on held-out tasks, on
    later tasks of the stream, and on families that nothing was learned for. Stopped, even killed,
    the same command resumes. Leaves a page and `bench.json`.
    """
    import anyio

    from prowess.agents.executor import open_executor
    from prowess.cli.places import write
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.core.skill import Snapshot
    from prowess.evolve.bench.record import BenchPlan
    from prowess.evolve.bench.run import run_bench
    from prowess.evolve.placing import OpenModel
    from prowess.library import Library
    from prowess.report.bench import render_bench
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    plan = BenchPlan(
        parts=tuple(_part(text) for text in suites or ["workbench"]),
        recipes=_chosen(wanted, ablations),
        models=tuple(dict.fromkeys(models or [settings.model])),
        seeds=tuple(range(seeds)),
        evidence=evidence, gate=gate, test=test, other=other, samples=samples, tokens=tokens,
        start=Snapshot() if start is None else Library.open(start).snapshot(),
    )  # fmt: skip
    limit = chosen_budget(budget)
    with Waiting(limit) as waiting:
        at = open_executor(
            executor, concurrency or settings.concurrency, lambda text: waiting.at("lost", 1, None, text)
        )
        record = anyio.run(
            lambda: run_bench(
                plan, open_=OpenModel, out=out, executor=at, report=waiting.tell, budget_usd=limit,
            )
        )  # fmt: skip
    write(out / "bench.json", record.model_dump_json(indent=1) + "\n")
    write(out / "bench.html", render_bench(record))
    if json:
        screen.data(record)
    else:
        _show(screen, record)
        screen.note(f"the page: {out / 'bench.html'}")
    if any(entry.failure for entry in record.entries):
        raise typer.Exit(1)


def _part(text: str) -> "SuitePart":
    from prowess.evolve.bench.record import SuitePart

    suite, _, families = text.partition(":")
    return SuitePart(suite=suite, families=tuple(f.strip() for f in families.split(",") if f.strip()))


def _chosen(wanted: list[str] | None, ablations: bool) -> tuple[str, ...]:
    """The recipes to run, each followed by its ablations where these are wanted."""
    from prowess.evolve.bench.run import ORACLE
    from prowess.evolve.recipes import method, names

    found: list[str] = []
    for name in wanted or [ORACLE, *names()]:
        found.append(name)
        if ablations and "." not in name and name != ORACLE:
            found += [f"{name}.{a.name}" for a in method(name).ablations]
    return tuple(dict.fromkeys(found))


def _show(screen: "Screen", record: "BenchRecord") -> None:
    from prowess.report.bench import COLUMNS, standings

    for number, part in enumerate(record.plan.parts):
        screen.line(f"{part.suite}: {', '.join(part.families)}")
        screen.table(COLUMNS, [row.cells for row in standings(record, number)])
        screen.line()
    if record.lost:
        screen.note(f"{record.lost} workers were lost; what they did was done again")
    for entry in record.entries:
        if entry.failure:
            screen.note(f"{entry.recipe}, seed {entry.seed}: no result: {entry.failure}")
