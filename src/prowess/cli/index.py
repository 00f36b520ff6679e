"""`prowess index`: the search index of a library."""

from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library


def index(
    *,
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            metavar="ENCODER",
            show_default=False,
            help="Search by meaning too: static (fetched once, 18 MB), or the folder of a model; none ends it.",
        ),
    ] = "",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Forget all, and index every skill anew.")] = False,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Bring the search index up to date, and say what is in it.

    Searching does that too; this is for large libraries, for a change of encoder, and for doubts.
    """
    import time

    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.search.encoders import open_encoder
    from prowess.search.index import SearchIndex
    from prowess.search.keeping import index_path, open_index, refresh
    from prowess.search.weights import STATIC, fetch
    from prowess.settings import load

    screen, opened, cache = Screen(json), open_library(library), load().settings.cache / "encoders"
    if encoder == STATIC.name:
        fetch(STATIC, cache)
    if encoder == "none":
        SearchIndex(index_path(opened)).clear()
    chosen = open_encoder(encoder, cache) if encoder not in ("", "none") else None
    made = open_index(opened, cache, chosen)
    if rebuild:
        made.clear()
    started = time.perf_counter()
    with Waiting() as waiting:
        kept = refresh(made, opened, lambda done, total: waiting.at("skills", done, total, "indexed"))
    seconds = time.perf_counter() - started
    used = "" if made.encoder is None else made.encoder.name
    size = index_path(opened).stat().st_size
    if json:
        found = {"skills": len(made), "indexed": kept.indexed, "removed": kept.removed, "unreadable": kept.unreadable}
        screen.data({**found, "encoder": used, "bytes": size})
        return
    by = f"by words and by {used}" if used else "by words"
    screen.line(
        f"{len(made)} skills can be found {by}; {kept.indexed} indexed, {kept.removed} removed in {seconds:.1f} s"
    )
    if kept.unreadable:
        more = f" and {len(kept.unreadable) - 3} more" if kept.unreadable[3:] else ""
        screen.note(f"no readable skills, so left out: {', '.join(kept.unreadable[:3])}{more}")
