"""`prowess demo`: the whole loop on this machine, with no key."""

from pathlib import Path
from typing import Annotated

import typer

from prowess.cli.options import Budget, Concurrency, Json, ModelSpec, Seed, chosen_budget


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the run and its page go.")] = Path(
        "demo"
    ),
    short: Annotated[bool, typer.Option("--short", help="Fewer tasks: a few minutes, wider intervals.")] = False,
    model: ModelSpec = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """See an agent learn skills and prove that they help.

    Takes about ten minutes and needs no key. Stopped, the same command resumes.
    """
    import anyio

    from prowess.cli.outcome import finish
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.evolve.demo import demo as run_demo
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    limit = chosen_budget(budget)
    with Waiting(limit) as waiting:
        record = anyio.run(
            lambda: run_demo(
                out=out,
                model=model or settings.model,
                short=short,
                seed=seed,
                concurrency=concurrency or settings.concurrency,
                budget_usd=limit,
                report=waiting.tell,
            )
        )
    finish(screen, record, out)
