"""Installing skills into the folders where agents look for them, from a table of agents (`targets.toml`).

Only what prowess installed is ever replaced or removed. What that is stands in `.prowess/installs.json` of the library,
never in the skill folders; a copy that somebody has edited since counts as theirs.
"""

import os
import secrets
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.library.disk import read_folder, remove_folder, write_folder
from prowess.library.library import Library
from prowess.library.scopes import Scope
from prowess.library.trees import Tree, tree_digest

Mode = Literal["copy", "link"]
Barred = Callable[[str, Tree], str]
"""Why a skill with this name and content may not lie in an agent's folder; empty where it may."""


def _free(name: str, tree: Tree) -> str:
    return ""


class Variable(Frozen):
    """An environment variable that moves an agent's own folder in the home folder."""

    name: str
    default: str


class Target(Frozen):
    """An agent and where it reads skills."""

    name: str
    title: str
    project: tuple[str, ...]
    """Folders below the project's root; prowess installs into the first."""
    user: tuple[str, ...]
    """Folders below the home folder; prowess installs into the first."""
    variable: Variable | None = None

    def folder(self, scope: Scope, root: Path, environ: Mapping[str, str] | None = None) -> Path:
        """Where skills go. `root` is the project's root or the home folder; `environ` may move a user's folder."""
        first = (self.project if scope == "project" else self.user)[0]
        moved = (environ or {}).get(self.variable.name) if self.variable and scope == "user" else None
        if self.variable and moved:
            return Path(moved) / Path(first).relative_to(self.variable.default)
        return root / first


@dataclass(slots=True)
class Report:
    """What an installation did, or with `dry_run` would do. Each list holds skill names."""

    folder: Path
    installed: list[str] = field(default_factory=list[str])
    updated: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """Skill name to the reason why it was left alone."""


@cache
def targets() -> dict[str, Target]:
    """All agents of the table, by name."""
    table = tomllib.loads(files("prowess.library").joinpath("targets.toml").read_text("utf-8"))
    return {name: Target.model_validate({"name": name, **row}) for name, row in table.items()}


def target(name: str) -> Target:
    """Raises UserError for an agent that is not in the table."""
    found = targets().get(name)
    if found is None:
        raise UserError(f"no agent is named {name!r}", f"choose one of {', '.join(sorted(targets()))}")
    return found


def install(
    library: Library,
    agent: str,
    scope: Scope,
    root: Path,
    *,
    names: tuple[str, ...] | None = None,
    mode: Mode = "copy",
    dry_run: bool = False,
    environ: Mapping[str, str] | None = None,
    barred: Barred = _free,
) -> Report:
    """Makes the agent's folder hold the library's skills; what we put there and the library has no more is removed.

    So is a copy of what is barred by now.

    Args:
        agent: A name of the table.
        root: The project's root, or the home folder for scope `user`.
        names: Only these skills; none are removed then.
        mode: `copy` the files, or `link` to the library's folder, so that later changes are seen at once.

    Raises:
        UserError: no such agent or skill, or the folder cannot be written.
    """
    folder = target(agent).folder(scope, root, environ)
    report = Report(folder)
    trees = library.trees()
    if names is not None and (unknown := sorted(set(names) - trees.keys())):
        raise UserError(f"the library has no skill {', '.join(unknown)}", "`show` lists its skills")
    wanted = {name: tree for name, tree in trees.items() if names is None or name in names}
    if folder.exists() and library.path.exists() and folder.samefile(library.path):
        report.unchanged = sorted(wanted)
        return report
    with library.installs() as owned:
        try:
            for name, tree in wanted.items():
                if why := barred(name, tree):
                    report.refused[name] = why
                    continue
                aim = library.path / name if mode == "link" else None
                _install_one(folder / name, aim or tree, owned, report, dry_run)
            here = [path for path in owned if Path(path).parent == folder.absolute()]
            for path in _barred_copies(here, barred):
                _remove_one(path, owned, dry_run, report)
            if names is None:
                for path in [p for p in owned if Path(p).parent == folder.absolute() and Path(p).name not in wanted]:
                    _remove_one(Path(path), owned, dry_run, report)
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror or error}", "give yourself access") from error
    return report


def uninstall(
    library: Library,
    agent: str,
    scope: Scope,
    root: Path,
    *,
    dry_run: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Report:
    """Takes away what `install` put into the agent's folder and nobody has edited since."""
    folder = target(agent).folder(scope, root, environ)
    report = Report(folder)
    with library.installs() as owned:
        try:
            for path in [p for p in owned if Path(p).parent == folder.absolute()]:
                _remove_one(Path(path), owned, dry_run, report)
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror or error}", "give yourself access") from error
    return report


def withdraw(library: Library, barred: Barred) -> list[Path]:
    """Takes back every copy and link, in whatever agent's folder, that is barred by now; returns where they lay.

    One that was edited since is left where it is: it is not what was installed any more.

    Raises:
        UserError: a folder cannot be written.
    """
    gone: list[Path] = []
    with library.installs() as owned:
        try:
            for path in _barred_copies(list(owned), barred):
                report = Report(path.parent)
                _remove_one(path, owned, False, report)
                gone += [path] if report.removed else []
        except OSError as error:
            raise UserError(f"a copy could not be removed: {error}", "remove it by hand") from error
    return gone


def _barred_copies(paths: Iterable[str], barred: Barred) -> list[Path]:
    found: list[Path] = []
    for place in map(Path, paths):
        with suppress(OSError):
            if barred(place.name, read_folder(place.resolve()).files):
                found.append(place)
    return found


def _install_one(
    place: Path, source: Path | dict[str, bytes], owned: dict[str, str], report: Report, dry_run: bool
) -> None:
    """Puts a link to `source`, or a copy of these files, at `place`."""
    name, wanted = place.name, f"link {source}" if isinstance(source, Path) else f"copy {tree_digest(source)}"
    there = _found(place)
    key = str(place.absolute())
    if there == wanted:
        # Equal by chance or by an earlier run that was killed before it could note it: either way now ours.
        if not dry_run:
            owned[key] = wanted
        report.unchanged.append(name)
        return
    if there is not None and owned.get(key) != there:
        report.refused[name] = "edited since it was installed" if key in owned else "not installed by prowess"
        return
    (report.installed if there is None else report.updated).append(name)
    if dry_run:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.parent / f".prowess-{secrets.token_hex(6)}"
    try:
        if isinstance(source, Path):
            os.symlink(source, fresh, target_is_directory=True)
        else:
            write_folder(fresh, source)
        if there is not None:
            old = place.parent / f".prowess-{secrets.token_hex(6)}"
            os.rename(place, old)
            os.rename(fresh, place)
            remove_folder(old)
        else:
            os.rename(fresh, place)
    except OSError:
        with suppress(OSError):
            remove_folder(fresh)
        raise
    owned[key] = wanted


def _remove_one(place: Path, owned: dict[str, str], dry_run: bool, report: Report) -> None:
    there = _found(place)
    if there is not None and there != owned[str(place)]:
        report.refused[place.name] = "edited since it was installed"
        return
    if there is not None:
        report.removed.append(place.name)
    if not dry_run:
        remove_folder(place)
        del owned[str(place)]


def _found(place: Path) -> str | None:
    """What lies at `place`: a link and its aim, a copy and its digest, something else, or nothing."""
    if place.is_symlink():
        return f"link {os.readlink(place)}"
    if not os.path.lexists(place):
        return None
    try:
        folder = read_folder(place)
    except OSError:
        return "file"
    return f"copy {tree_digest(folder.files)}" if not folder.problems else "mixed"
