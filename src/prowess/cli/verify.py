"""`prowess verify`: is this what was signed, and is the ledger what it was?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen


def verify(
    *,
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A skill's folder; without one, the library's ledger.")
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option("--release", metavar="FILE", help="Its release.", show_default="FOLDER.release.json"),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="A newer checkpoint of its publisher's log."),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Go on with a ledger or log that was cut back or rewritten, as it is now.")
    ] = False,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Check a skill against its release, or the ledger.

    A folder with one file more, one less or another is not the release; nor does one count that its publisher has
    revoked, or whose log was rewritten or silent for 30 days. A ledger that was cut back or rewritten since this
    machine saw it makes every skill T1 until you --accept it. Exit code 1 when something does not hold, or the
    signature is a stranger's.
    """
    from prowess.cli.screen import Screen

    screen = Screen(json)
    if folder is not None:
        _folder(screen, folder, release, checkpoint, accept, yes)
    else:
        _ledger(screen, library, accept, yes)


def _folder(
    screen: "Screen", folder: Path, release: Path | None, checkpoint: Path | None, accept: bool, yes: bool
) -> None:
    from prowess.core.errors import Refused
    from prowess.core.trust import Release
    from prowess.guard.keys import Keyring
    from prowess.guard.log import read
    from prowess.guard.release import BUNDLE
    from prowess.guard.release import verify as check

    data = _bytes(release or folder.resolve().with_name(folder.resolve().name + BUNDLE), "--release")
    newest = read(_bytes(checkpoint, "--checkpoint")) if checkpoint is not None else None
    if accept:
        screen.confirm("Take the publisher's log as it is now, whatever was seen of it before?", yes)
    try:
        found = check(folder, data, Keyring(), newest, accept=accept)
    except Refused as refused:
        if screen.json:
            screen.data({"verified": False, "why": refused.message, "hint": refused.hint})
        else:
            screen.line(("✗ ", "red"), refused.message)
            screen.note(refused.hint)
        raise typer.Exit(1) from refused
    predicate = found.statement.predicate
    assert isinstance(predicate, Release)
    if screen.json:
        screen.data(
            {
                "verified": found.key is not None,
                "key": found.key,
                "signers": found.signers,
                "checkpoint": found.checkpoint,
                "statement": found.statement,
            }
        )
    else:
        whose = f"{found.key.name} ({found.key.id})" if found.key else f"a stranger ({', '.join(found.signers)})"
        sign = ("✓ ", "green") if found.key else ("? ", "bold")
        screen.line(
            sign, f"{found.statement.skill} {predicate.version}, {len(predicate.files)} files, signed by {whose}"
        )
        learned = f", learned from {len(predicate.trajectories)} trajectories" if predicate.trajectories else ""
        screen.line("  ", f"{predicate.origin}{learned}, by {', '.join(predicate.authors) or 'nobody known'}")
        if found.checkpoint is not None:
            told = found.checkpoint
            screen.line("  ", f"not revoked; in the log of {told.size} statements, good until {told.expires[:10]}")
        if found.key is None:
            screen.note("`prowess trust --pin FILE --name NAME` lets a key count")
    if found.key is None:
        raise typer.Exit(1)


def _ledger(screen: "Screen", library: Path | None, accept: bool, yes: bool) -> None:
    from prowess.guard.keys import Keyring
    from prowess.guard.log import newest, problems
    from prowess.guard.tiers import accept as take
    from prowess.guard.tiers import heard, history

    opened, keyring = open_library(library), Keyring()
    damage = [*opened.check(), *problems(opened)]
    told = heard(opened, keyring)
    broken = history(opened, keyring, told)
    head = opened.trust.heads()[-1]
    if broken and accept:
        screen.confirm(f"Take the ledger of {opened.path} as it is now: {'; '.join(broken)}?", yes)
        take(opened, keyring)
        broken = history(opened, keyring, told)
    signed = sum(bool(each.signers) for each in told)
    if screen.json:
        screen.data({"head": head, "signed": signed, "broken": broken, "damage": damage})
    else:
        for problem in (*broken, *damage):
            screen.line(("✗ ", "red"), problem)
        if not broken and not damage:
            screen.line(("✓ ", "green"), f"{head.number} entries, {signed} of them statements by trusted keys")
        told = newest(opened)
        log = f"; log published with {told.size} statements, good until {told.expires[:10]}" if told else ""
        screen.line("  ", (f"head {head.chain[:16] or '(empty)'}{log}", "dim"))
    if broken or damage:
        raise typer.Exit(1)


def _bytes(place: Path, option: str) -> bytes:
    from prowess.core.errors import UserError

    try:
        return place.read_bytes()
    except OSError as error:
        raise UserError(f"{place} cannot be read: {error.strerror}", f"name the file with {option}") from error
