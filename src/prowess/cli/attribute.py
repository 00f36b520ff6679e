"""`prowess attribute`: which skills, and which lines of a skill, earn their place."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prowess.cli.options import (
    Budget,
    Concurrency,
    Families,
    Json,
    LibraryPath,
    ModelSpec,
    Seed,
    SuiteName,
    chosen_budget,
    open_library,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prowess.cli.screen import Screen
    from prowess.core.skill import Snapshot
    from prowess.core.task import Task
    from prowess.library import Library
    from prowess.measure.attribution import Contribution
    from prowess.measure.coalitions import Shares
    from prowess.measure.parts import Part
    from prowess.suites.base import Suite

UNSEEN = 200
"""Number of the first gate task that is used: no recipe's gate draws so many, so none of these let a skill in."""


SkillName = Annotated[
    str | None,
    typer.Argument(metavar="SKILL", help="Try the blocks of this skill; by default each skill of the library."),
]
Shapley = Annotated[
    bool, typer.Option("--shapley", help="Divide the whole gain fairly, where parts overlap.", show_default=False)
]
Propose = Annotated[
    bool,
    typer.Option("--propose", help="Propose to take out what harms or does nothing; `prowess review` decides.",
                 show_default=False),
]  # fmt: skip
Tasks = Annotated[int, typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family.")]
Margin = Annotated[
    float, typer.Option("--margin", metavar="POINTS", help="A contribution below this counts as nothing.")
]
Pairs = Annotated[int, typer.Option("--pairs", metavar="N", help="Most pairs of trials for each part.")]


def attribute(
    *,
    skill: SkillName = None,
    shapley: Shapley = False,
    propose: Propose = False,
    suite: SuiteName = "workbench",
    family: Families = None,
    tasks: Tasks = 20,
    margin: Margin = 10.0,
    pairs: Pairs = 60,
    model: ModelSpec = None,
    library: LibraryPath = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Find out which skills, or lines of a skill, earn their place.

    The library is tried whole and without each part, until the part is known to help, to harm or to do
    nothing. Trials are stored, so that a stopped command resumes.
    """
    from dataclasses import replace

    import anyio

    from prowess.agents.models import open_metered
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.cli.trials import open_bench
    from prowess.core.errors import UserError
    from prowess.evolve.providers import BestMatches
    from prowess.measure.attribution import WORTH, Attribution, propose_removal
    from prowess.measure.coalitions import shapley as divide
    from prowess.settings import load
    from prowess.suites import open_suite

    if shapley and propose:
        raise UserError("--shapley says whose a gain is, not what may go", "use --propose without it")
    screen, opened, chosen, limit = Screen(json), open_library(library), open_suite(suite), chosen_budget(budget)
    design = replace(WORTH, max_pairs=pairs, margin=margin / 100)
    snapshot = opened.snapshot()
    parts = _parts(opened, snapshot, skill)
    with Waiting(limit) as waiting:
        bench = open_bench(chosen, open_metered(model or load().settings.model, limit), concurrency, waiting)
        asked = Attribution(snapshot, _tasks(chosen, family, tasks), BestMatches(), bench, design, order_seed=seed)
        shares = anyio.run(divide, asked, parts) if shapley else None
        found = () if shapley else anyio.run(asked.leave_one_out, parts)
        together = None if shapley else anyio.run(asked.removable, parts, found)
    told: dict[str, Any] = {"snapshot": snapshot.digest, "suite": suite}
    if shares is not None:
        screen.data({**told, "shapley": shares}) if json else _divided(screen, shares)
        return
    proposals = propose_removal(opened, snapshot, parts, found, together, design.margin) if propose else ()
    if json:
        ids = [p.id for p in proposals]
        screen.data({**told, "contributions": found, "removable": together, "proposed": ids})
        return
    _table(screen, parts, found)
    if together is not None:
        screen.line()
        screen.line(("may go", "bold"), f": {', '.join(together.parts)}")
        hint = "`prowess review` decides on them" if propose else "--propose puts this before you in `prowess review`"
        screen.note(hint if proposals or not propose else "nothing new to propose: it waits, or was rejected before")


def _parts(library: "Library", snapshot: "Snapshot", skill: str | None) -> "tuple[Part, ...]":
    from prowess.core.errors import UserError
    from prowess.measure.parts import blocks_of, skills_of

    if skill is None:
        if not snapshot.skills:
            raise UserError("the library is empty, so there is nothing to try", "`prowess run` or `learn` fill it")
        return skills_of(snapshot)
    found = snapshot.get(skill)
    if found is None:
        raise UserError(f"the library has no skill {skill!r}", "`prowess show` lists its skills")
    blocks = blocks_of(found, library.trees()[skill]["SKILL.md"].decode("utf-8", "replace"))
    if not blocks:
        raise UserError(f"skill {skill!r} has no list items, paragraphs or code that could go", "try the whole skill")
    return blocks


def _tasks(suite: "Suite", families: list[str] | None, n: int) -> "tuple[Task, ...]":
    """Gate tasks that no gate has decided with; the first ones where the suite is too small for that."""
    from prowess.cli.trials import chosen_families

    wanted = chosen_families(suite, families)
    drawn = (suite.tasks(f, "gate", n, start=UNSEEN) or suite.tasks(f, "gate", n) for f in wanted)
    return tuple(task for tasks in drawn for task in tasks)


def _table(screen: "Screen", parts: "Sequence[Part]", found: "Sequence[Contribution]") -> None:
    from prowess.cli.screen import BAD, BOLD, GOOD, SOFT
    from prowess.core.text import one_line
    from prowess.report.text import points

    styles = {"helps": GOOD, "harms": BAD, "no help": BOLD, None: SOFT}
    rows: list[tuple[str | tuple[str, str], ...]] = []
    for part, c in zip(parts, found, strict=True):
        e = c.evidence
        without, with_ = round(e.baseline_rate * e.n), round(e.treatment_rate * e.n)
        rows.append(
            (
                part.name,
                f"{c.shown} of {c.tasks}",
                f"{without} → {with_} of {e.n}" if e.n else "–",
                f"{points(e.effect)} [{points(e.low)}, {points(e.high)}]" if e.n else "–",
                (c.worth or f"open: {c.note}", styles[c.worth]),
                *((one_line(part.text, 60),) if any(p.text for p in parts) else ()),
            )
        )
    titles = ("part", "shown on", "without → with", "contribution", "it")
    screen.table((*titles, "says") if any(p.text for p in parts) else titles, rows)


def _divided(screen: "Screen", found: "Shares") -> None:
    from prowess.cli.screen import BAD, GOOD, SOFT
    from prowess.report.text import points

    styles = {"helps": GOOD, "harms": BAD}
    screen.table(
        ("part", "share", "error", "interval", "it"),
        [
            (
                s.part, points(s.value), f"{100 * s.error:.1f}", f"[{points(s.low)}, {points(s.high)}]",
                (s.worth or "open", styles.get(s.worth or "", SOFT)),
            )
            for s in found.shares
        ],
    )  # fmt: skip
    way = "all coalitions" if found.all_coalitions else "a random order and its reverse for each"
    missing = f", {found.missing} missing" if found.missing else ""
    screen.line(
        f"together {points(found.total)} points on {found.blocks} blocks{missing} ({way}, {found.trials} trials)"
    )
