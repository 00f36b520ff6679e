"""`prowess suites`: the suites, whether they are in order, and playing one by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prowess.cli.options import Families, Json

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.task import Task
    from prowess.measure.worlds import Level, Standing
    from prowess.suites.base import Suite

_SHOWN = 20_000
"""Characters of one file of a task that a person is shown."""

app = typer.Typer(no_args_is_help=True, help="List, check, install and play suites.", rich_markup_mode=None)

_HELP = "Suites of `prowess suites list`, or folders:PATH for task folders."
Name = Annotated[str, typer.Argument(metavar="SUITE", help="A suite of `prowess suites list`.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List all suites, and whether they can be used here."""
    from prowess.cli.screen import Screen
    from prowess.suites import SUITES

    screen, rows = Screen(json), [_row(name) for name in SUITES]
    if json:
        screen.data(rows)
        return
    shown = [((r["suite"], "bold"), r["about"], "yes" if r["here"] else "no") for r in rows]
    screen.table(("suite", "what it is", "here"), shown)
    missing = [r for r in rows if not r["here"]]
    if missing:
        screen.line()
        screen.line("What the others need:")
    for row in missing:
        screen.line(f"  {row['suite']:<18} {row['hint']}")


@app.command()
def check(
    suite: Annotated[list[str] | None, typer.Argument(metavar="SUITE", help=_HELP, show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every world.", show_default=False)] = False,
    family: Families = None,
    tasks: Annotated[int, typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family.")] = 1,
    json: Json = False,
) -> None:
    """Play the tasks with the oracle, by chance and not at all.

    A world is in order when the oracle passes them all, and doing nothing is worth no more than a tenth. Worlds that
    are not installed are named, with the command that brings them, and so are task folders that cannot run here. Exit
    code 1 when one that is there is not in order.
    """
    import anyio

    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.measure.worlds import Standing, stand
    from prowess.suites import WORLDS, open_suite

    names = list(WORLDS) if all_ else suite or []
    if not names:
        raise UserError("no suite is named", "name suites, or give --all")
    found: list[tuple[str, Standing | UserError]] = []
    refused: dict[str, str] = {}
    with Waiting() as waiting:

        def told(done: int, total: int, what: str) -> None:
            waiting.at("tasks", done, total, what)

        for name in names:
            try:
                opened = open_suite(name)
            except UserError as error:
                if not all_:
                    raise
                found.append((name, error))
                continue
            try:
                found.append((name, anyio.run(stand, opened, tuple(family or ()), tasks, "test", told)))
                refused |= getattr(opened, "refused", {})
            finally:
                getattr(opened, "close", lambda: None)()
    screen = Screen(json)
    _show(screen, found)
    for task, why in refused.items():
        screen.note(f"{task} cannot run here: {why}")
    if not all(isinstance(f, UserError) or f.in_order for _, f in found):
        raise typer.Exit(1)


@app.command()
def install(world: Name, json: Json = False) -> None:
    """Give a world that is big, or that needs other packages than prowess, an environment of its own."""
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.suites import WORLDS, world_class

    if world not in WORLDS:
        raise UserError(f"there is no world {world!r}", f"choose one of {', '.join(WORLDS)}")
    screen = Screen(json)
    with Waiting() as waiting:
        waiting.at("", 0, 0, f"installing {world}")
        folder = world_class(world).needs.install()
    if json:
        screen.data({"environment": folder})
    else:
        screen.line(f"ready: {folder}")


@app.command()
def play(
    suite: Name,
    family: Annotated[str, typer.Option("--family", "-f", metavar="FAMILY", help="By default the first.")] = "",
    variant: Annotated[str, typer.Option("--variant", metavar="VARIANT")] = "base",
    number: Annotated[int, typer.Option("--task", "-t", metavar="N", min=0, help="Which task of the family.")] = 0,
) -> None:
    """Do a task yourself, in the terminal. An action may be given by its number; an empty line ends."""
    import anyio

    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.suites import open_suite
    from prowess.suites.worlds.suite import WorldSuite

    screen, opened = Screen(), open_suite(suite)
    if not screen.interactive:
        raise UserError("playing needs a terminal", "for programs, there are the players of prowess.agents.players")
    drawn = opened.tasks(family or opened.families[0], "evidence", 1, variant, number)
    if not drawn:
        raise UserError(f"{suite} has no task number {number} there", "give a smaller number")
    if isinstance(opened, WorldSuite):
        try:
            anyio.run(_play, screen, opened, drawn[0])
        finally:
            opened.close()
    else:
        _answer(screen, opened, drawn[0])


async def _play(screen: "Screen", suite: Any, task: "Task") -> None:
    import anyio

    from prowess.agents.playing import asked, shown

    async with suite.episode(task) as episode:
        scene = await episode.reset()
        screen.line(task.prompt)
        while True:
            screen.line("")
            screen.line(asked(scene, shown(scene.text)))
            if episode.over:
                break
            for number, action in enumerate(scene.actions or (), 1):
                screen.line((f"{number:3} {action}", "dim"))
            said = await anyio.to_thread.run_sync(lambda: screen.ask(">", exact=True))
            if not said:
                break
            listed = scene.actions or ()
            scene = await episode.step(
                listed[int(said) - 1] if said.isdecimal() and 1 <= int(said) <= len(listed) else said
            )
        score = await episode.score()
    screen.line(f"{'passed' if score.passed else 'not passed'}, {score.value:.2f} after {len(episode.actions)} actions")


def _answer(screen: "Screen", suite: "Suite", task: "Task") -> None:
    from prowess.core.errors import UserError

    if task.outputs:
        raise UserError(f"tasks of {suite.name} are done with files", "play a world, or a suite of questions")
    screen.line(task.prompt)
    for file in task.files:
        screen.line(f"\n{file.path}\n{file.text[:_SHOWN]}")
    score = suite.check(task, (), screen.ask(">", exact=True))
    screen.line(f"{'passed' if score.passed else 'not passed'}, {score.value:.2f}")


def _row(name: str) -> dict[str, Any]:
    from prowess.suites import WORLDS, world_class

    if name not in WORLDS:
        return {"suite": name, "about": "office tasks with house rules", "licence": "", "here": True, "hint": ""}
    world = world_class(name)
    lacking = world.needs.lacking()
    hint = "" if lacking is None else lacking.hint
    return {"suite": name, "about": world.about, "licence": world.licence, "here": lacking is None, "hint": hint}


def _show(screen: "Screen", found: "list[tuple[str, Any]]") -> None:
    from prowess.core.errors import UserError

    if screen.json:
        screen.data(
            [
                {"suite": name, "here": False, "why": f.message, "hint": f.hint}
                if isinstance(f, UserError)
                else {"here": True, "in_order": f.in_order, **f.model_dump(mode="json")}
                for name, f in found
            ]
        )
        return
    there = [f for _, f in found if not isinstance(f, UserError)]
    if there:
        screen.table(
            ("suite", "families", "tasks", "oracle", "random", "idle", "steps/s", "orders", "in order"),
            [_cells(f) for f in there],
        )
    for name, f in found:
        if isinstance(f, UserError):
            screen.note(f"{name}: {f.message}; {f.hint}")


def _cells(f: "Standing") -> tuple[str | tuple[str, str], ...]:
    speed = f"{f.steps / f.seconds:.0f}" if f.steps else ""
    return (
        (f.suite, "bold"), str(f.families), str(f.tasks), _level(f.oracle), _level(f.random), _level(f.idle), speed,
        str(f.orders), ("yes", "green") if f.in_order else ("no", "red"),
    )  # fmt: skip


def _level(found: "Level | None") -> str:
    if found is None:
        return "none"
    lost = f", {found.missing} missing" if found.missing else ""
    return f"{found.value:.2f} ({found.passed}/{found.tasks}{lost})"
