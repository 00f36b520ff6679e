"""`prowess trust`: how far each skill is trusted, and why; raising and lowering it; whose keys count."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from prowess.cli.options import Json, LibraryPath, Yes, open_library

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prowess.cli.screen import Screen
    from prowess.guard.account import Account
    from prowess.guard.keys import Keyring, Role
    from prowess.library import Change, Library

STYLES = {1: "red", 2: "bold", 3: "green", 4: "green"}


def trust(
    *,
    skill: Annotated[str | None, typer.Argument(metavar="SKILL", help="Everything about this one.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIER", help="Vouch for it up to this tier, or lower it: T1 to T4.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with it.")] = "",
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write its page as HTML.")] = None,
    keys: Annotated[bool, typer.Option("--keys", help="List the keys that count here, yours first.")] = False,
    pin: Annotated[
        Path | None, typer.Option("--pin", metavar="FILE", help="Let the public key in this file count, from now on.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="With --pin: whose key it is.")] = "",
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE", help="With --pin: approver or publisher; may stand more than once.",
                     show_default="publisher"),
    ] = None,
    unpin: Annotated[
        str | None, typer.Option("--unpin", metavar="NAME", help="Let the key of that name count no more.")
    ] = None,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Say how far skills are trusted; raise or lower one.

    T1 quarantined, T2 reviewed, T3 trusted, T4 certified. What raises a skill is signed with your key; what lowers one
    holds at once, and takes back the copies that prowess put into agents' folders.
    """
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.guard.keys import Keyring

    screen, keyring = Screen(json), Keyring()
    if pin is not None or unpin is not None or keys:
        _keys(screen, keyring, pin, name, cast("list[Role]", role or ["publisher"]), unpin)
        return
    opened = open_library(library)
    if skill is None:
        if to is not None or page is not None:
            raise UserError("which skill?", "name one: `prowess trust SKILL`")
        _all(screen, opened, keyring)
        return
    if to is not None:
        _move(screen, opened, keyring, skill, to, reason, yes)
        return
    from prowess.guard.account import account

    found = account(opened, keyring, skill)
    if page is not None:
        from prowess.cli.places import write
        from prowess.report.trust import render_account

        write(page, render_account(found))
        screen.note(f"wrote {page}")
    if json:
        screen.data(found)
    elif page is None:
        _account(screen, found)


def accepted(screen: "Screen", library: "Library", change: "Change") -> None:
    """A person has read what a change does and said yes: its skills are reviewed (T2), unless something stands against.

    The proof of that is their signature, so no gate and no run does it in their place.
    """
    from prowess.core.errors import Refused
    from prowess.core.trust import Tier
    from prowess.guard.keys import Keyring
    from prowess.guard.promotion import promote

    for name, (_, tree) in change.trees.items():
        if tree is None:
            continue
        try:
            why = f"accepted change {change.id[:8]}"
            after = promote(library, Keyring(), name, Tier.REVIEWED, reason=why, tree=tree)
        except Refused as refused:
            screen.note((f"{name} stays T1: ", "bold"), refused.message)
        else:
            screen.note((name, "bold"), f" is {after.tier} {after.tier.name.lower()}")


def attested(library: "Library", changes: "Iterable[str]") -> None:
    """Signs what the gates of a run said of each version that it left behind, and vouches for those that it may."""
    from prowess.guard.keys import Keyring
    from prowess.guard.promotion import attest, vouch

    keyring = Keyring()
    for change in map(library.change, changes):
        for name, (_, tree) in change.trees.items():
            if tree is not None:
                attest(library, keyring, name, change.verdicts, tree)
                if library.versions(name)[0].tree == tree:
                    vouch(library, keyring, name)


def withdraw(screen: "Screen", library: "Library", keyring: "Keyring") -> list[Path]:
    """Takes back the copies in agents' folders that are barred by now, and says so."""
    from prowess.guard.runtime import barred
    from prowess.library import targets

    gone = targets.withdraw(library, barred(library, keyring))
    for path in gone:
        screen.note(f"taken back: {path}")
    return gone


def _move(
    screen: "Screen", library: "Library", keyring: "Keyring", skill: str, wanted: str, reason: str, yes: bool
) -> None:
    from prowess.core.errors import UserError
    from prowess.core.trust import Tier
    from prowess.guard.promotion import demote, promote
    from prowess.guard.tiers import standing

    to = Tier.parse(wanted)
    now = standing(library, keyring, skill)
    if to < now.tier:
        if not reason:
            raise UserError(f"why is {skill} lowered?", "say it with --reason")
        after = demote(library, keyring, skill, to, reason=reason)
    else:
        from prowess.guard.account import account

        seen = account(library, keyring, skill)
        if not screen.json and not yes:
            _account(screen, seen)
        screen.confirm(f"Vouch for {skill} up to {to}, with your key?", yes)
        after = promote(library, keyring, skill, to, reason=reason, tree=seen.tree)
    gone = withdraw(screen, library, keyring)
    if screen.json:
        screen.data({"skill": skill, "before": now, "after": after, "taken_back": gone})
    else:
        screen.line((skill, "bold"), f": {now.tier} → {after.tier}  ", (after.why, "dim"))


def _all(screen: "Screen", library: "Library", keyring: "Keyring") -> None:
    from prowess.guard.tiers import standings_now

    found = standings_now(library, keyring)
    if screen.json:
        screen.data({"library": library.path, "skills": found})
        return
    if not found:
        screen.note("the library has no skills yet")
        return
    rows = [
        ((name, "bold"), (f"{s.tier} {s.tier.name.lower()}", STYLES[s.tier]), str(s.granted), s.why)
        for name, s in found.items()
    ]
    screen.table(("skill", "tier", "may", "why"), rows)


def _account(screen: "Screen", found: "Account") -> None:
    from prowess.cli import entries

    screen.line((found.name, "bold"), "  ", (f"{found.tier} {found.tier.name.lower()}", STYLES[found.tier]))
    screen.line("  ", found.why, (f"  (version {found.tree[:12]})", "dim"))
    for title, value in (("declares", found.declared), ("does", found.observed), ("may", found.granted)):
        screen.line(f"  {title}: ", "a manifest that cannot be read" if value is None else str(value))
    if found.gained:
        screen.line("  new in this version: ", str(found.gained))
    people = f" of {found.principals} people" if found.principals > 1 else ""
    learned = f", from {found.trajectories} trajectories{people}" if found.trajectories else ""
    strangers = f" ({', '.join(found.strangers)})" if found.strangers else ""
    screen.line(f"  written by {', '.join(found.authors) or 'nobody known'}{learned}{strangers}")
    if found.evidence:
        screen.line("  attested")
        entries.verdicts(screen, found.evidence)
    for lack in found.lacks:
        screen.line(f"  {found.next} needs: ", lack)
    for event in found.history:
        by = f" by {event.by}" if event.by else ""
        signed = f", signed by {event.signed}" if event.signed else ""
        version = f"  {event.tree[:12]}" if event.tree else ""
        screen.line((f"  {event.when[:16].replace('T', ' ')}  ", "dim"), event.what, (f"{by}{signed}{version}", "dim"))


def _keys(
    screen: "Screen", keyring: "Keyring", pin: Path | None, name: str, roles: "list[Role]", unpin: str | None
) -> None:
    from prowess.core.errors import UserError

    if unpin is not None:
        keyring.unpin(unpin)
    if pin is not None:
        if unknown := [r for r in roles if r not in ("approver", "publisher")]:
            raise UserError(f"no role is called {unknown[0]!r}", "give approver or publisher")
        try:
            public = pin.read_text("utf-8")[:2000]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{pin} cannot be read: {error}", "give a file such as id_ed25519.pub") from error
        keyring.pin(public, name, roles)
    own = keyring.own()
    found = [*([own] if own else ()), *keyring.pinned()]
    if screen.json:
        screen.data({"folder": keyring.folder, "keys": found})
        return
    if own is None:
        screen.note("you have no key yet; the first signature makes one")
    for key in found:
        state = f"revoked: {key.revoked}" if key.revoked else ", ".join(key.roles)
        screen.line((key.name, "bold"), f"  {key.id}  {state}")
        screen.line("  ", (key.public, "dim"))
