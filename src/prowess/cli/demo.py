"""`prowess demo`: the whole loop on this machine, with no key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Budget, Concurrency, Json, ModelSpec, Seed, chosen_budget

if TYPE_CHECKING:
    from prowess.cli.screen import Screen


def demo(
    *,
    what: Annotated[
        str, typer.Argument(metavar="[alone|team]", help="`team`: one member of a team learns, another profits.")
    ] = "alone",
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
    from prowess.core.errors import UserError
    from prowess.evolve.demo import demo as run_demo
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    limit = chosen_budget(budget)
    if what == "team":
        _team(screen, out, model or settings.model, short, seed, concurrency or settings.concurrency, limit)
        return
    if what != "alone":
        raise UserError(f"there is no demo {what!r}", "it is `alone` or `team`")
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


def _team(
    screen: "Screen", out: Path, model: str, short: bool, seed: int, concurrency: int, limit: float | None
) -> None:
    from functools import partial

    from prowess.agents.models import open_metered
    from prowess.cli.entries import STYLES, evidence, verdicts
    from prowess.cli.places import write
    from prowess.cli.progress import Waiting
    from prowess.core.errors import UserError

    try:
        from prowess.serve.hub.team import team
    except ImportError as error:
        raise UserError(f"the package {error.name!r} is not installed", "run `pip install 'prowess[hub]'`") from error

    with Waiting(limit) as waiting:
        found = team(
            out=out, open_model=partial(open_metered, model, limit), short=short, seed=seed, concurrency=concurrency,
            report=waiting.tell,
        )  # fmt: skip
    write(out / "team.json", found.model_dump_json(indent=1))
    if screen.json:
        screen.data(found)
        return
    screen.line("Anna's agent learned ", (", ".join(found.learned) or "nothing", "bold"))
    verdicts(screen, found.proof)
    for name in found.published:
        screen.line("Ben got ", (name, "bold"), f", which the hub trusts as {found.tiers[name]}")
    if found.profit is not None:
        screen.line("Ben's own tasks: ", (evidence(found.profit), STYLES[found.profit.outcome]))
    screen.note(f"`prowess web --library {out / 'hub' / 'projects' / 'office'}` shows the hub's library")
