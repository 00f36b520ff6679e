"""`prowess run`: one recipe on a suite, into the library."""

from pathlib import Path
from typing import Annotated

import typer

from prowess.cli.options import (
    Budget,
    Concurrency,
    ExecutorSpec,
    Families,
    Json,
    LibraryPath,
    ModelSpec,
    Seed,
    SuiteName,
    chosen_budget,
    chosen_library,
    chosen_width,
    open_library,
)


def run(
    *,
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="One of `prowess recipes`, or RECIPE.ABLATION."),
    ],
    suite: SuiteName = "workbench",
    family: Families = None,
    tasks: Annotated[
        int | None,
        typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family to learn from.", show_default="8"),
    ] = None,
    documents: Annotated[
        Path | None,
        typer.Option("--documents", metavar="FOLDER", show_default=False,
                     help="Texts or a repository, for methods that mine them."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where the run and its page go.",
                     show_default="runs/RECIPE-SUITE-SEED"),
    ] = None,
    model: ModelSpec = None,
    library: LibraryPath = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    executor: ExecutorSpec = "local",
    budget: Budget = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Run a recipe: learn, decide, measure.

    Each on its own split of the tasks. Stopped, the same command resumes.
    """
    import anyio

    from prowess.cli.outcome import finish
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.cli.trust import attested
    from prowess.evolve.run import run_recipe
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    limit = chosen_budget(budget)
    folder = out or Path("runs") / f"{recipe}-{suite}-{seed}"
    with Waiting(limit) as waiting:
        record = anyio.run(
            lambda: run_recipe(
                recipe,
                suite=suite,
                families=tuple(family or ()),
                evidence=tasks,
                gates=settings.gates,
                documents=documents,
                out=folder,
                library=chosen_library(library),
                model=model or settings.model,
                seed=seed,
                concurrency=chosen_width(concurrency, executor),
                budget_usd=limit,
                executor=executor,
                report=waiting.tell,
            )
        )
    if changes := [decision.change for decision in record.decisions if decision.change is not None]:
        attested(open_library(library), changes)
    finish(screen, record, folder)
