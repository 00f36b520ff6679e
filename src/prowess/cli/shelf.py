"""`prowess shelf`: the catalogue that an agent sees of the library, and what it does not see."""

from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, SkillsFolder

if TYPE_CHECKING:
    from prowess.cli.finding import Shown
    from prowess.cli.screen import Screen
    from prowess.core.skill import Skill
    from prowess.search.tree import Node, Tree


def shelf(
    *,
    agent: Annotated[
        str, typer.Option("--agent", "-a", metavar="AGENT", help="Whose list: claude-code, codex or all.")
    ] = "claude-code",
    window: Annotated[
        int | None,
        typer.Option("--window", metavar="TOKENS", min=1, help="Context window of the model.",
                     show_default="the usual one of the agent"),
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Show the categories of the library instead.")] = False,
    verbs: Annotated[bool, typer.Option("--verbs", help="With --tree: by what skills do, not what about.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL", help="With --tree: let this model name categories.")
    ] = None,
    library: LibraryPath = None,
    skills: SkillsFolder = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Show what an agent sees of the library.

    Its list within the agent's budget, what is left out, and why. Exit code 1 when something is left out.
    """
    from dataclasses import asdict

    from prowess.cli.finding import look
    from prowess.cli.screen import BAD, SOFT, Screen
    from prowess.measure.shelf import losses, rendered, tokens
    from prowess.measure.triggers.catalogue import listing, preset
    from prowess.search.tree import keep_tree

    screen = Screen(json)
    looked = look(screen, library, skills)
    if tree:
        found = _tree(looked, verbs)
        if model is not None and not verbs:
            found = _named(found, looked.snapshot.skills, model)
            if looked.kept is not None:
                keep_tree(found, looked.kept)
        if json:
            screen.data(found.root)
        else:
            _branch(screen, found.root, 0)
        return
    chosen = preset(agent, window)
    listed = listing(looked.snapshot, chosen, looked.loaded)
    lost = losses(listed, chosen, looked.loaded)
    if json:
        screen.data({"listing": listed, "tokens": tokens(listed), "losses": [asdict(x) for x in lost],
                     "source": chosen.source})  # fmt: skip
    else:
        screen.line(rendered(listed, chosen))
        limit = f" of {listed.budget:,}" if listed.budget is not None else ""
        screen.note(f"{chosen.title}: {listed.used:,}{limit} characters, about {tokens(listed):,} tokens")
        for loss in lost:
            screen.note((f"{loss.shown}: ", BAD), loss.name, (f"  {loss.lost:,} characters lost: {loss.why}", SOFT))
    if lost:
        raise typer.Exit(1)


def _tree(looked: "Shown", verbs: bool) -> "Tree":
    from prowess.search.tree import by_verb, grow, kept_tree

    skills = looked.snapshot.skills
    if verbs:
        return by_verb(skills)
    return grow(skills) if looked.kept is None else kept_tree(skills, looked.kept)


def _named(tree: "Tree", skills: "tuple[Skill, ...]", spec: str) -> "Tree":
    import anyio

    from prowess.agents.models import open_model
    from prowess.agents.models.meter import Budget, Metered
    from prowess.evolve.naming import name_categories
    from prowess.settings import load

    metered = Metered(open_model(spec), Budget(usd=load().settings.budget_usd))
    return anyio.run(name_categories, metered, tree, {s.name: s for s in skills})


def _branch(screen: "Screen", node: "Node", depth: int) -> None:
    from prowess.cli.screen import BOLD, SOFT

    told = f"  {', '.join(node.words)}" if node.words else ""
    screen.line("  " * depth, (node.name, BOLD), f"  {len(node.skills)}", (told, SOFT))
    for child in node.children:
        _branch(screen, child, depth + 1)
    for name in node.members:
        screen.line("  " * (depth + 1), name)
