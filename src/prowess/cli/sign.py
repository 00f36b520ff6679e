"""`prowess sign`: release a skill under a signature, or say that the log of releases still stands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.guard.keys import Keyring
    from prowess.library import Library


def sign(
    *,
    skill: Annotated[str | None, typer.Argument(metavar="SKILL")] = None,
    version: Annotated[str, typer.Option("--version", metavar="VERSION", help="What you call this version.")] = "1",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the release goes.", show_default="SKILL.release.json"),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="Instead: write a checkpoint of your log, good for 30 days."),
    ] = None,
    ssh: Annotated[
        Path | None, typer.Option("--ssh", metavar="KEY", help="Sign with this SSH key (Ed25519) instead of your own.")
    ] = None,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Release a skill: sign what it is and where it comes from.

    Writes a file that travels beside the skill's folder, and with which `prowess verify` checks every file of it. It is
    an in-toto statement in a DSSE envelope, with the proof that it stands in your log. After 30 days those who verify
    ask for a checkpoint, which says what you have revoked since.
    """
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.guard.keys import Keyring

    screen, opened = Screen(json), open_library(library)
    if (skill is None) == (checkpoint is None):
        raise UserError("sign what?", "name one skill, or give --checkpoint")
    if skill is not None:
        _release(screen, opened, Keyring(), skill, version, out, ssh)
    elif checkpoint is not None:
        _checkpoint(screen, opened, Keyring(), checkpoint, ssh)


def _release(
    screen: "Screen", library: "Library", keyring: "Keyring", skill: str, version: str, out: Path | None,
    ssh: Path | None,
) -> None:  # fmt: skip
    from prowess.cli.places import write
    from prowess.guard.release import BUNDLE, bundle, release

    released = release(library, keyring, skill, version, ssh)
    place = out or Path(f"{skill}{BUNDLE}")
    write(place, bundle(released))
    entry = released.entry
    statement = entry.statement
    assert statement is not None
    if screen.json:
        screen.data({"release": place, "statement": statement, "keys": [s.key for s in entry.signatures]})
    else:
        keys = ", ".join(signature.key for signature in entry.signatures)
        screen.line(f"{skill} {version}, {statement.tree[:12]}, signed by {keys}: ", (str(place), "bold"))


def _checkpoint(screen: "Screen", library: "Library", keyring: "Keyring", place: Path, ssh: Path | None) -> None:
    from prowess.cli.places import write
    from prowess.guard.log import as_text, newest, publish, published

    write(place, as_text(published(library, publish(library, keyring.signing(ssh)))))
    told = newest(library)
    assert told is not None
    if screen.json:
        screen.data({"checkpoint": place, "told": told})
    else:
        revoked = f", {len(told.revoked)} versions revoked" if told.revoked else ""
        screen.line(f"{told.size} statements{revoked}, good until {told.expires[:10]}: ", (str(place), "bold"))
