"""`prowess export`: put the library's skills where agents look for them, into an archive, and into a lock file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from prowess.cli.options import Json, LibraryPath, Yes, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.library import Library
    from prowess.library.lock import Trusted
    from prowess.library.scopes import Scope
    from prowess.library.targets import Report


def export(
    *,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", metavar="AGENT", help="claude-code, codex, cursor, gemini, opencode, …"),
    ] = None,
    scope: Annotated[str, typer.Option("--scope", metavar="user|project", help="Whose folder.")] = "project",
    skill: Annotated[
        list[str] | None, typer.Option("--skill", metavar="SKILL", help="Only this skill; may stand more than once.")
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Link to the library instead of copying.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take away what was installed there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="FILE", help="Write the skills as a zip archive.")
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", metavar="FILE", help="Write a lock file; skills-lock.json is one of `npx skills`."),
    ] = None,
    well_known: Annotated[
        Path | None,
        typer.Option("--well-known", metavar="FOLDER", help="Publish the skills in the root of a web site."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Compare the library with a lock file; exit code 1 on drift."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FORMAT", help="Training data: sft, dpo, trl, verl, prime-rl or atif from "
                     "trajectories; or patches, the accepted changes of the library."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="FOLDER", help="With --data: a run's trajectories, not imported sessions."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="With --data: the file, one JSON object a line.")
    ] = None,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Install skills for agents; archives; locks; training data.

    Only what prowess installed is ever replaced or removed. Exit code 1 on drift, or when something was left alone.
    """
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError

    if data is not None:
        from prowess.cli.datasets import write_data

        write_data(Screen(json), data, out, run, library)
        return
    screen, opened = Screen(json), open_library(library)
    if not target and archive is None and lock is None and check is None and well_known is None:
        hint = "give --target, --archive, --well-known, --lock, --check or --data"
        raise UserError("export what, and where to?", hint)
    if check is not None:
        _check(screen, opened, check)
        return
    if (target or archive) and not remove and not opened.snapshot().skills:
        raise UserError("the library is empty, so there is nothing to give", "`prowess run` or `learn` fill it")
    if archive is not None:
        from prowess.library.archives import write_archive

        trees = opened.trees()
        if skill and (absent := sorted(set(skill) - trees.keys())):
            raise UserError(f"the library has no skill {', '.join(absent)}", "`prowess show` lists its skills")
        write_archive(archive, {name: tree for name, tree in trees.items() if not skill or name in skill})
        screen.note(f"wrote {archive}")
    if well_known is not None:
        _publish(screen, opened, well_known)
    if lock is not None:
        _write_lock(screen, opened, lock, yes)
    reports = {
        name: _install(screen, opened, name, scope, skills=skill, link=link, remove=remove, dry_run=dry_run, yes=yes)
        for name in target or ()
    }
    if json:
        screen.data({"targets": {n: _plain(r) for n, r in reports.items()}, "archive": archive, "lock": lock})
    if any(report.refused for report in reports.values()):
        raise typer.Exit(1)


def _install(
    screen: "Screen",
    library: "Library",
    agent: str,
    scope: str,
    *,
    skills: list[str] | None,
    link: bool,
    remove: bool,
    dry_run: bool,
    yes: bool,
) -> "Report":
    from prowess.core.errors import UserError
    from prowess.guard.keys import Keyring
    from prowess.guard.runtime import barred
    from prowess.library import targets
    from prowess.settings import variables

    if scope not in {"user", "project"}:
        raise UserError(f"no scope is called {scope!r}", "give user or project")
    whose = cast("Scope", scope)
    names = tuple(skills) if skills else None
    moved = targets.target(agent).variable
    environ = variables(moved.name) if moved is not None else {}
    root = _root(whose)

    refuses = barred(library, Keyring())

    def go(dry: bool) -> "Report":
        if remove:
            return targets.uninstall(library, agent, whose, root, dry_run=dry, environ=environ)
        mode = "link" if link else "copy"
        return targets.install(
            library, agent, whose, root, names=names, mode=mode, dry_run=dry, environ=environ, barred=refuses
        )  # fmt: skip

    plan = go(dry=True)
    if not dry_run and (plan.removed or plan.updated):
        listed = ", ".join([*plan.updated, *plan.removed])
        screen.confirm(f"Replace or remove {listed} in {plan.folder}?", yes)
    report = plan if dry_run else go(dry=False)
    if not screen.json:
        _say(screen, agent, report, dry_run)
    return report


def _root(scope: "Scope") -> Path:
    from prowess.library.scopes import project_root

    if scope == "user":
        return Path.home()
    return project_root(Path.cwd()) or Path.cwd()


def _say(screen: "Screen", agent: str, report: "Report", dry_run: bool) -> None:
    screen.line((agent, "bold"), f"  {report.folder}", ("  (nothing was written)" if dry_run else "", "dim"))
    for word, names in (
        ("installed", report.installed),
        ("updated", report.updated),
        ("removed", report.removed),
        ("unchanged", report.unchanged),
    ):
        if names:
            screen.line(f"  {word}: {', '.join(sorted(names))}")
    for name, why in report.refused.items():
        screen.line(("  left alone: ", "red"), f"{name}: {why}")


def _write_lock(screen: "Screen", library: "Library", file: Path, yes: bool) -> None:
    """Asks first where the file there has a skill that another key has released since."""
    from prowess.library import lock as locks
    from prowess.library import skills_lock

    if file.name == skills_lock.NAME:
        skills_lock.write(file, library.trees())
        screen.note(f"wrote {file}")
        return
    trusted = _trusted(library)
    signers = [d for d in locks.check(file, library, trusted) if d.kind == "signer"] if file.exists() else []
    if signers:
        names = ", ".join(f"{d.name} ({d.found or 'nobody trusted'} instead of {d.locked})" for d in signers)
        screen.confirm(f"Lock skills that somebody else has released: {names}?", yes)
    locks.write(file, locks.of(library, trusted))
    screen.note(f"wrote {file}")


def _publish(screen: "Screen", library: "Library", folder: Path) -> None:
    """What strangers fetch is what somebody has vouched for, as with agents' folders."""
    from prowess.guard.keys import Keyring
    from prowess.guard.runtime import barred
    from prowess.library import well_known

    why, trees = barred(library, Keyring()), library.trees()
    reasons = {name: why(name, tree) for name, tree in trees.items()}
    well_known.write(folder, {name: tree for name, tree in trees.items() if not reasons[name]})
    for name, reason in reasons.items():
        if reason:
            screen.note(f"left out: {name}: {reason}")
    screen.note(f"wrote {folder / well_known.PREFIX}")


def _trusted(library: "Library") -> "dict[str, Trusted]":
    from prowess.guard.keys import Keyring
    from prowess.guard.tiers import standings_now
    from prowess.library.lock import Trusted

    found = standings_now(library, Keyring())
    return {name: Trusted(stands.tier, stands.publisher or None) for name, stands in found.items()}


def _check(screen: "Screen", library: "Library", file: Path) -> None:
    from prowess.library import lock as locks
    from prowess.library import skills_lock

    if file.name == skills_lock.NAME:
        drift = skills_lock.check(file, library.trees())
    else:
        drift = locks.check(file, library, _trusted(library))
    if screen.json:
        screen.data({"drift": drift})
    elif not drift:
        screen.line("no drift: the library is as the lock file says")
    for item in () if screen.json else drift:
        told = f": {item.found}" if item.kind in ("extra", "signer") else ""
        screen.line((item.kind, "red"), f"  {item.name}{told}")
    if drift:
        raise typer.Exit(1)


def _plain(report: "Report") -> dict[str, object]:
    return {
        "folder": str(report.folder),
        "installed": report.installed,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "refused": report.refused,
    }
