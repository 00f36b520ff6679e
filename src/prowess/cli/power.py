"""`prowess power`: what a comparison could see, before anything is spent."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prowess.cli.options import Json

if TYPE_CHECKING:
    from prowess.measure.forecast import Assumed, Needed

SIZES = (6, 10, 20, 40, 80, 160)
EFFECTS = (10.0, 20.0, 30.0, 50.0)


def power(
    *,
    pairs: Annotated[
        list[int] | None,
        typer.Option("--pairs", "-n", metavar="N", min=1, max=5000, help="What so many pairs can see.",
                     show_default=False),
    ] = None,
    effect: Annotated[
        list[float] | None,
        typer.Option("--effect", "-e", metavar="POINTS", min=1, max=100, help="How many pairs this gain needs.",
                     show_default=False),
    ] = None,
    flip_rate: Annotated[
        float | None,
        typer.Option("--flip-rate", metavar="SHARE", min=0, max=1, show_default=False,
                     help="Share of pairs that flip in an A/A run; by default what the stored trials say."),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option("--suite", "-s", metavar="SUITE", help="Only noise that was seen on this suite.",
                     show_default=False),
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Error of a verdict, two-sided.")] = 0.05,
    json: Json = False,
) -> None:  # fmt: skip
    """Say what a comparison can see, before anything is spent.

    For each size the smallest gain that it shows with 80 % chance, and for each gain the pairs
    that it needs: run at a fixed size, and until the answer is known. Spends nothing.
    """
    from prowess.cli.screen import Screen
    from prowess.measure.forecast import Assumed, fixed

    screen = Screen(json)
    both = not pairs and not effect
    sizes, effects = pairs or (SIZES if both else ()), effect or (EFFECTS if both else ())
    worlds = {"as given": Assumed(flip_rate, "as given")} if flip_rate is not None else _known(suite)
    found: list[dict[str, Any]] = []
    for conditions, assumed in worlds.items():
        seen = [fixed(n, assumed, alpha) for n in sizes]
        needs = [(points, _needed(points, assumed, alpha)) for points in effects]
        found.append(
            {
                "conditions": conditions, "flip_rate": assumed.flip_rate, "source": assumed.source,
                "pairs": [size._asdict() for size in seen],
                "effects": [{"points": p, "needed": n if isinstance(n, str) else n._asdict()} for p, n in needs],
            }
        )  # fmt: skip
        if json:
            continue
        screen.line((conditions, "bold"), (f"  flip rate {assumed.flip_rate:.1%} ({assumed.source})", "dim"))
        for size in seen:
            screen.line(f"  {size}")
        for points, need in needs:
            screen.line(f"  a gain of {points:g} points needs {_in_words(need)}")
    if json:
        screen.data(found)


def _known(suite: str | None) -> "dict[str, Assumed]":
    """The noise that stored trials know, by their conditions; a guess where they know none."""
    from prowess.measure.calibration import noise_of
    from prowess.measure.forecast import Assumed
    from prowess.settings import load
    from prowess.trajectories.runstore import RunStore

    path = load().settings.data / "trials.db"
    repeats = RunStore(path).repeats() if path.is_file() else {}
    wanted = {c: r for c, r in repeats.items() if suite is None or c.startswith(f"{suite}: ")}
    return {c: Assumed.of(noise_of(*r)) for c, r in wanted.items()} or {suite or "any suite": Assumed.of(None)}


def _needed(points: float, assumed: "Assumed", alpha: float) -> "Needed | str":
    """The forecast, or why there is none."""
    from prowess.core.errors import UserError
    from prowess.measure.forecast import needed

    try:
        return needed(points / 100, assumed, alpha)
    except UserError as error:
        return error.message


def _in_words(need: "Needed | str") -> str:
    if isinstance(need, str):
        return f"no number of pairs: {need}"
    words = f"{need.fixed} pairs at a fixed size"
    if need.at_most is None:
        return f"{words}; more than 200 until decided"
    return f"{words}; until decided at most {need.at_most}: about {need.if_so:.0f} if so, {need.if_none:.0f} if no gain"
