"""`prowess recipes`: the published methods that can be run, each with its parts, its cost and what was measured."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prowess.cli.options import Json

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.evolve.recipes import Measured


def recipes(
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help="Only this one, with all that is known of it.",
                                   show_default=False)
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """List the recipes: published methods as compositions of parts.

    `prowess run` runs those of the engine `evolve`, `prowess train` the others. An ablation is a
    recipe without its paper's idea; `prowess run RECIPE.ABLATION` runs it.
    """
    from prowess.cli.screen import Screen
    from prowess.evolve.recipes import BASELINES, names
    from prowess.train.recipes import STUDIES

    screen = Screen(json)
    if name is not None:
        _show(screen, name)
        return
    found = [_evolve(n) for n in names()] + [_train(n, what) for n, what in STUDIES.items()]
    if json:
        screen.data(found)
        return
    rows = [
        (r["name"], r["engine"], _number(r["paper"]), r["cost"], " ".join(r["ablations"]), r["latest"] or "–")
        for r in found
        if r["name"] not in BASELINES
    ]
    screen.table(("recipe", "engine", "arXiv", "cost", "ablations", "measured gain"), rows)
    screen.note(f"to compare with: {', '.join(BASELINES)}; `prowess recipes RECIPE` tells more of one")


def _number(paper: str) -> str:
    """Of a paper, without its title: the table has to fit."""
    return paper.rpartition("(")[2].rstrip(")")


def _show(screen: "Screen", name: str) -> None:
    from prowess.cli.screen import BOLD
    from prowess.evolve.recipes import documentation, method

    facts = _evolve(name)
    if screen.json:
        screen.data(facts)
        return
    screen.line((documentation(name), ""))
    screen.line()
    for part, what in facts["parts"].items():
        screen.line((f"{part:<13}", BOLD), what)
    for ablation in method(name).ablations:
        screen.line((f"{name}.{ablation.name}", BOLD), f": without {ablation.without}")
    for key in ("cost", "baseline", "needs", "latest"):
        if facts[key]:
            screen.line((f"{key:<13}", BOLD), facts[key])


def _evolve(name: str) -> dict[str, Any]:
    from prowess.evolve.recipes import measured, method, parts

    found = method(name)
    return {
        "name": name,
        "engine": "evolve",
        "what": found.what,
        "paper": found.paper,
        "cost": found.cost,
        "baseline": found.baseline,
        "needs": found.needs,
        "ablations": {a.name: a.without for a in found.ablations},
        "parts": parts(name),
        "latest": _words(measured().get(name)),
    }


def _train(name: str, what: str) -> dict[str, Any]:
    title, _, number = what.rpartition(" (")
    return {
        "name": name, "engine": "train", "what": title, "paper": number.rstrip(")"), "cost": "high", "baseline": "",
        "needs": "", "ablations": {}, "parts": {}, "latest": "",
    }  # fmt: skip


def _words(result: "Measured | None") -> str:
    """The latest result in a line."""
    if result is None:
        return ""
    gain = f"{100 * result.effect:+.0f} points [{100 * result.low:+.0f}, {100 * result.high:+.0f}]"
    return f"{gain} on {result.n} pairs of {result.suite}, {result.model}, {result.date}"
