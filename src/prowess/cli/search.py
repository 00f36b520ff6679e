"""`prowess search`: find skills by words."""

from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_libraries


def search(
    *,
    query: Annotated[list[str], typer.Argument(metavar="WORD", help="What to look for; any text will do.")],
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="Most skills to list.")] = 10,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Find skills by words.

    Looks in names, descriptions and texts, of the project's skills and of your own. Exit code 1 when
    nothing is found.
    """
    from prowess.cli.screen import BOLD, SOFT, Screen
    from prowess.core.skill import Snapshot
    from prowess.library.scopes import seen
    from prowess.search.lexical import search as find

    screen = Screen(json)
    skills = {s.skill.name: s for s in seen(open_libraries(library))}
    hits = find(Snapshot.of([s.skill for s in skills.values()]), " ".join(query), limit)
    if json:
        screen.data(
            [
                {"name": h.name, "score": h.score, "snippet": h.snippet, "library": skills[h.name].library.path}
                for h in hits
            ]
        )
    for hit in () if json else hits:
        screen.line((hit.name, BOLD))
        screen.line("  ", (hit.snippet, SOFT))
    if not hits:
        screen.note("no skill holds these words")
        raise typer.Exit(1)
