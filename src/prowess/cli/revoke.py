"""`prowess revoke`: take the trust from a skill, a trajectory with all that was learned from it, or a key; for good."""

from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.trust import Revocation
    from prowess.guard.keys import Keyring
    from prowess.library import Library


def revoke(
    *,
    skill: Annotated[
        str | None, typer.Argument(metavar="SKILL", help="Every version of it that there ever was.")
    ] = None,
    trajectory: Annotated[
        str | None,
        typer.Option("--trajectory", metavar="ID", help="A session or run; the beginning of its id is enough."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="NAME", help="A key that was pinned here.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with it.")] = "",
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take the trust from a skill, a session or a key.

    For good. With a trajectory, every version of every skill that was learned from it is hit, in one step. Nothing is
    deleted: the texts stay in the library, are shown to no agent, and nothing can be learned from that trajectory
    again.
    """
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.core.trust import Revocation
    from prowess.guard.keys import SELF, Keyring

    screen, keyring = Screen(json), Keyring()
    if sum(each is not None for each in (skill, trajectory, key)) != 1:
        raise UserError("revoke what?", "name one skill, or give --trajectory or --key")
    if not reason:
        raise UserError("why is it revoked?", "say it with --reason")
    opened = open_library(library)
    if skill is not None:
        what = Revocation(what="skill", id=skill, by=SELF, reason=reason)
    elif trajectory is not None:
        from prowess.library.provenance import trace

        what = Revocation(what="trajectory", id=trace(opened, trajectory).trajectory, by=SELF, reason=reason)
    else:
        found = next((k for k in keyring.pinned() if key in (k.name, k.id)), None)
        if found is None:
            raise UserError(f"no key is pinned as {key!r}", "`prowess trust --keys` lists them")
        what = Revocation(what="key", id=found.id, by=SELF, reason=reason)
    screen.confirm(f"Revoke {what.what} {what.id[:32]} in {opened.path}, for good?", yes)
    _revoke(screen, opened, keyring, what)


def _revoke(screen: "Screen", library: "Library", keyring: "Keyring", what: "Revocation") -> None:
    from prowess.cli.trust import withdraw
    from prowess.guard.promotion import revoke as take_away

    entry = take_away(library, keyring, what)
    if what.what == "key":
        keyring.revoke(what.id, what.reason)
    gone = withdraw(screen, library, keyring)
    statement = entry.statement
    assert statement is not None
    assert statement.predicate.kind == "revocation"
    hit = [subject.name for subject in statement.subject]
    if screen.json:
        screen.data({"revoked": statement.predicate, "skills": hit, "taken_back": gone})
    else:
        versions = len(statement.predicate.trees)
        told = f": {versions} versions of {', '.join(hit)}" if hit else ""
        screen.line((f"{what.what} {what.id[:16]} is revoked", "bold"), told)
