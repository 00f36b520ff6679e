"""`prowess search`: find skills by words, and by meaning where the index has vectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, ModelSpec, SkillsFolder

if TYPE_CHECKING:
    from prowess.search.filters import Filter

Query = Annotated[list[str], typer.Argument(metavar="WORD", help="What to look for; any text will do.")]
RouterName = Annotated[
    str,
    typer.Option(
        "--router", "-r", metavar="ROUTER",
        help="lexical, dense, hybrid, hierarchical, learned or model; by default the best that is ready.",
        show_default=False,
    ),
]  # fmt: skip
Kind = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only skills of this kind.", show_default=False)
]
Tier = Annotated[
    str | None,
    typer.Option("--tier", metavar="TIER", help="Only skills of this tier of trust or above: T1 to T4.",
                 show_default=False),
]  # fmt: skip
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Only skills with this tag; may stand more than once.",
                 show_default=False),
]  # fmt: skip
Tools = Annotated[
    list[str] | None,
    typer.Option("--tool", metavar="TOOL", help="A tool that is there; skills that expect others are left out.",
                 show_default=False),
]  # fmt: skip


def search(
    *,
    query: Query,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="Most skills to list.")] = 10,
    router: RouterName = "",
    kind: Kind = None,
    tier: Tier = None,
    tag: Tags = None,
    tool: Tools = None,
    scope: Annotated[
        str,
        typer.Option(
            "--scope",
            metavar="project|user",
            show_default=False,
            help="Only the project's skills, or only your own; of both, a project's skill hides yours of its name.",
        ),
    ] = "",
    model: ModelSpec = None,
    library: LibraryPath = None,
    skills: SkillsFolder = None,
    json: Json = False,
) -> None:
    """Find skills by words and by meaning.

    Looks in names, descriptions and texts, of the project's skills and of your own; by meaning where the
    index has vectors. Exit code 1 when nothing is found.
    """
    from prowess.cli.finding import Found, libraries, place, place_below, rank, trusted
    from prowess.cli.screen import BOLD, SOFT, Screen
    from prowess.search.snippets import snippet

    screen, text = Screen(json), " ".join(query)
    found: list[tuple[Found, Path]] = []
    hidden: set[str] = set()
    only = filter_of(kind, tag, tool)
    if skills is not None:
        places = [place_below(screen, library, skills)]
    else:
        places = [place(screen, each) for each in libraries(library, scope)]
    for where in places:
        answer = rank(screen, where, text, limit, router, trusted(where, only, tier), model or "")
        found += [(one, where.path) for one in answer.found if one.name not in hidden]
        hidden |= answer.index.stamps().keys()
    shown = sorted(found, key=lambda pair: -pair[0].score)[:limit]
    if json:
        screen.data(
            [
                {"name": one.name, "score": one.score, "library": path, "snippet": snippet(one.skill, text)}
                for one, path in shown
            ]
        )
    for one, _ in () if json else shown:
        screen.line((one.name, BOLD))
        screen.line("  ", (snippet(one.skill, text), SOFT))
    if not shown:
        screen.note("no skill was found")
        raise typer.Exit(1)


def filter_of(kind: str | None, tags: list[str] | None, tools: list[str] | None) -> "Filter":
    from prowess.search.filters import Filter

    return Filter(kind, frozenset(t.casefold() for t in tags or ()), None if tools is None else frozenset(tools))
