"""`prowess structure`: what a skill takes, does and touches; how two versions differ in that."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from prowess.cli.options import Budget, Json, LibraryPath, SkillsFolder, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.skill import Skill
    from prowess.library.derived import Derived
    from prowess.search.structure import Structure


def structure(
    *,
    skill: Annotated[
        list[str] | None, typer.Argument(metavar="SKILL", help="Only these skills; by default all, in short.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Let this model write the structure, and keep it."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="SNAPSHOT", help="Show what differs from an older state.")
    ] = None,
    picture: Annotated[
        Literal["mermaid", "svg"] | None, typer.Option("--picture", help="Print the control flow of one skill.")
    ] = None,
    budget: Budget = None,
    library: LibraryPath = None,
    skills: SkillsFolder = None,
    json: Json = False,
) -> None:
    """Show the structure of skills: scenes, steps, side effects.

    Read off the text without a model, unless a model has written it. Exit code 1 when `--against` finds a skill that
    touches something new: network, credentials, files.
    """
    from prowess.cli.finding import look
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.report.structure import mermaid, svg
    from prowess.search.sidecar import structure_of

    screen = Screen(json)
    if skills is not None and (model is not None or against is not None):
        raise UserError("--model and --against need a library", "leave out --skills, and give --library")
    looked = look(screen, library, skills)
    snapshot, kept = looked.snapshot, looked.kept
    if unknown := [name for name in skill or () if snapshot.get(name) is None]:
        raise UserError(f"the library has no skill {unknown[0]!r}", "`prowess show` lists its skills")
    chosen = [s for s in snapshot.skills if not skill or s.name in skill]
    if model is not None and kept is not None:
        _write(screen, chosen, model, kept, budget)
    found = {s.name: structure_of(s, kept) for s in chosen}
    if against is not None:
        _differences(screen, found, {s.name: structure_of(s, kept) for s in open_library(library).at(against).skills})
    elif picture is not None:
        if len(found) != 1:
            raise UserError(f"a picture of {len(found)} skills", "name one skill")
        (only,) = found.values()
        typer.echo((mermaid if picture == "mermaid" else svg)(only.layers), nl=False)
    elif json:
        screen.data(found)
    elif len(found) == 1:
        for name, one in found.items():
            _whole(screen, name, one)
    else:
        _table(screen, found)


def _write(screen: "Screen", skills: "list[Skill]", spec: str, kept: "Derived", budget: float | None) -> None:
    """Let the model write what it has not written yet; what it cannot do is said, and the extractor stands in."""
    import anyio

    from prowess.agents.models import open_model
    from prowess.agents.models.meter import Budget as Limit
    from prowess.agents.models.meter import Metered
    from prowess.core.errors import ModelError
    from prowess.evolve.normaliser import normalise
    from prowess.search.sidecar import keep, structure_of
    from prowess.settings import load

    limit = load().settings.budget_usd if budget is None else budget
    metered = Metered(open_model(spec), Limit(usd=limit))

    async def write() -> None:
        for skill in skills:
            if structure_of(skill, kept).by == metered.name:
                continue
            try:
                keep((await normalise(metered, skill)).structure, kept)
            except ModelError as error:
                screen.note(f"{skill.name}: ", str(error).partition("\n")[0], "; read off the text instead")

    anyio.run(write)


def _whole(screen: "Screen", name: str, found: "Structure") -> None:
    from prowess.cli.screen import BAD, BOLD, SOFT
    from prowess.search.views import side_effects

    layers = found.layers
    screen.line((name, BOLD), f"  {layers.goal}", (f"  ({layers.pattern.lower()}, by {found.by})", SOFT))
    for title, names in (("takes", layers.inputs), ("gives", layers.outputs), ("needs", layers.dependencies)):
        if names:
            screen.line(f"  {title:<6} ", ", ".join(names))
    for scene in layers.scenes:
        after = ", ".join(rule.to + (f" if {rule.when}" if rule.when else "") for rule in scene.next) or "end"
        screen.line()
        screen.line((f"{scene.id} {scene.type}", BOLD), f"  {scene.goal}", (f"  → {after}", SOFT))
        for step in scene.steps:
            scope = "" if step.scope == "MEMORY" else f"  [{step.scope}]"
            screen.line(f"  {step.act:<9} ", step.does, (scope, SOFT))
    effects = side_effects(layers)
    screen.line()
    screen.line((f"{len(effects)} side effects" if effects else "no side effects found", BOLD))
    for effect in effects:
        risky = effect.scope in ("NETWORK", "CREDENTIALS", "USER_DATA")
        where = (f"  {effect.scope:<11} ", BAD if risky else "")
        screen.line(where, f"{effect.act:<9} ", effect.target or effect.does, (f"  {effect.step}", SOFT))


def _table(screen: "Screen", found: "dict[str, Structure]") -> None:
    from prowess.search.views import side_effects

    rows: list[tuple[str, ...]] = []
    for name, one in found.items():
        scopes = sorted({effect.scope for effect in side_effects(one.layers)})
        rows.append((name, str(len(one.layers.scenes)), str(len(one.layers.steps)), ", ".join(scopes) or "–", one.by))
    screen.table(("skill", "scenes", "steps", "touches", "read by"), rows)


def _differences(screen: "Screen", now: "dict[str, Structure]", before: "dict[str, Structure]") -> None:
    from dataclasses import asdict

    from prowess.cli.screen import BAD, BOLD, GOOD
    from prowess.search.views import compare

    found = {
        name: compare(before[name].layers, one.layers)
        for name, one in now.items()
        if name in before and before[name].skill != one.skill
    }
    if screen.json:
        screen.data({name: [asdict(d) for d in differences] for name, differences in found.items()})
    for name, differences in () if screen.json else found.items():
        screen.line((name, BOLD))
        for d in differences:
            style = BAD if d.alarming or d.mark == "-" else GOOD
            screen.line((f"  {d.mark} ", style), f"{d.what}: ", d.text, (" (new scope)" if d.alarming else "", BAD))
    if not found and not screen.json:
        screen.note("no skill has changed")
    if any(d.alarming for differences in found.values() for d in differences):
        raise typer.Exit(1)
