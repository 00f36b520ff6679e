"""The program `prowess`: its verbs, and what happens to their errors.

Exit codes: 0 done; 1 the answer is no (drift, a failed check, worse, a person said no); 2 the caller can mend it;
3 a budget was reached; 130 interrupted. Anything else is a bug and shows its traceback.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from prowess import __version__
from prowess.cli import (
    add,
    apply,
    attribute,
    bench,
    capture,
    compile_,
    config,
    connect,
    demo,
    diff,
    doctor,
    evals,
    export,
    fsck,
    funnel,
    gate,
    hub,
    import_,
    index,
    learn,
    lifecycle,
    lint,
    log,
    measure,
    model,
    power,
    probe,
    recipes,
    review,
    revoke,
    route,
    router,
    scan,
    search,
    serve,
    shelf,
    show,
    sign,
    sleep,
    structure,
    suites,
    sync,
    trace,
    train,
    triggers,
    trust,
    undo,
    verify,
    web,
    why,
)
from prowess.cli import run as run_verb

DEBUG = "prowess.debug"
JSON = "prowess.json"


class Verbs(TyperGroup):
    """All verbs, under one rule for errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        from prowess.core.errors import ProwessError

        try:
            return super().invoke(ctx)
        except ProwessError as error:
            if ctx.meta.get(DEBUG):
                raise
            from prowess.cli.screen import Screen

            Screen(json=ctx.meta[JSON]).error(error)
            raise typer.Exit(getattr(error, "exit_code", 2)) from error


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: it starts at once, and reads well everywhere
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Turns the runs of AI agents into skills, proves that each skill helps, and keeps what helps.",
    epilog="Every verb takes --json. Exit codes: 0 done, 1 the answer is no, 2 you can mend it, 3 budget reached.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prowess {__version__}")
        raise typer.Exit()


@app.callback()
def prowess(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of every error.")] = False,
) -> None:
    context.meta[DEBUG] = debug


app.command()(demo.demo)
app.command("import")(import_.import_)
app.command()(capture.capture)
app.command()(sleep.sleep)
app.command()(connect.connect)
app.command()(connect.disconnect)
for function in (
    learn.learn, review.review, apply.apply, undo.undo, log.log, diff.diff, show.show, add.add, scan.scan, gate.gate,
    search.search, route.route, index.index, shelf.shelf, lint.lint, structure.structure, why.why, trace.trace,
    measure.measure, power.power, probe.probe, attribute.attribute, triggers.triggers, funnel.funnel, trust.trust,
    sign.sign, verify.verify, revoke.revoke, run_verb.run, recipes.recipes, train.train, export.export,
    doctor.doctor, fsck.fsck, config.config, web.web, sync.sync,
):  # fmt: skip
    app.command()(function)
app.command("compile")(compile_.compile_)
app.add_typer(lifecycle.app, name="lifecycle")
app.add_typer(model.app, name="model")
app.add_typer(serve.app, name="serve")
app.add_typer(suites.app, name="suites")
app.add_typer(hub.app, name="hub")
app.add_typer(router.app, name="router")
app.add_typer(bench.app, name="bench")
app.add_typer(evals.app, name="evals")


def run() -> None:
    """What the program `prowess` calls."""
    app()
