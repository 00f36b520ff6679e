"""`prowess sign`: release a skill under a signature."""

from pathlib import Path
from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library


def sign(
    *,
    skill: Annotated[str, typer.Argument(metavar="SKILL")],
    version: Annotated[str, typer.Option("--version", metavar="VERSION", help="What you call this version.")] = "1",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the release goes.", show_default="SKILL.release.json"),
    ] = None,
    ssh: Annotated[
        Path | None, typer.Option("--ssh", metavar="KEY", help="Sign with this SSH key (Ed25519) instead of your own.")
    ] = None,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Release a skill: sign what it is and where it comes from.

    Writes a file that travels beside the skill's folder, and with which `prowess verify` checks every file of it. It is
    an in-toto statement in a DSSE envelope.
    """
    from prowess.cli.places import write
    from prowess.cli.screen import Screen
    from prowess.guard.keys import Keyring
    from prowess.guard.release import BUNDLE, bundle, release

    screen = Screen(json)
    entry = release(open_library(library), Keyring(), skill, version, ssh)
    place = out or Path(f"{skill}{BUNDLE}")
    write(place, bundle(entry))
    statement = entry.statement
    assert statement is not None
    if json:
        screen.data({"release": place, "statement": statement, "keys": [s.key for s in entry.signatures]})
    else:
        keys = ", ".join(signature.key for signature in entry.signatures)
        screen.line(f"{skill} {version}, {statement.tree[:12]}, signed by {keys}: ", (str(place), "bold"))
