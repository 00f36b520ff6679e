"""`prowess doctor`: is everything here that prowess needs, and what to do where it is not."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from prowess.cli.options import Json, LibraryPath, chosen_library

SIGNS = {"ok": ("✓", "green"), "note": ("–", "bold"), "bad": ("✗", "red")}
NEEDED = 2 << 30
"""Bytes of disk below which the models and runs get tight."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `note` is worth knowing and hinders nothing."""

    name: str
    state: Literal["ok", "note", "bad"]
    found: str
    do: str = ""


def doctor(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the twelve escapes from the sandbox.")] = False,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Check what prowess needs, and say what to do.

    Looks at Python, sandbox, models, library, disk and settings. Exit code 1 when something is bad.
    """
    from prowess.cli.screen import Screen

    screen, checks = Screen(json), list[Check]()
    for look in (_settings, _python, lambda: _sandbox(quick), _models, lambda: _library(library), _disk):
        for check in _guarded(look):
            checks.append(check)
            if not json:
                screen.line(SIGNS[check.state], f" {check.name:<10} ", check.found)
                if check.do:
                    screen.line("             → ", check.do)
    bad = any(check.state == "bad" for check in checks)
    if json:
        screen.data({"ok": not bad, "checks": [asdict(check) for check in checks]})
    if bad:
        raise typer.Exit(1)


def _guarded(look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What `look` finds; an error raised on purpose is a finding too."""
    from prowess.core.errors import ProwessError, UserError

    try:
        yield from look()
    except ProwessError as error:
        told = isinstance(error, UserError)
        yield Check("problem", "bad", error.message if told else str(error), error.hint if told else "")


def _settings() -> Iterator[Check]:
    from prowess.settings import load

    loaded = load()
    read = "read" if loaded.file.is_file() else "not there, defaults hold"
    yield Check("settings", "ok", f"{loaded.file}: {read}")


def _python() -> Iterator[Check]:
    import platform

    from prowess import __version__

    found = f"prowess {__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Check("python", "ok", found)  # an older Python cannot have come this far
    yield Check("network", "ok", "not needed, except by `prowess model pull` and by models of providers")


def _sandbox(quick: bool) -> Iterator[Check]:
    import anyio

    from prowess.core.errors import SandboxError
    from prowess.sandbox import ESCAPES, find_sandbox, probe
    from prowess.sandbox.abilities import abilities

    yield Check("system", "note", ", ".join(f"{name}: {found}" for name, found in abilities().items()))
    try:
        sandbox = find_sandbox()
    except SandboxError as error:
        yield Check("sandbox", "bad", str(error), "without one, no program that a model or a skill brings is run")
        return
    if quick:
        yield Check("sandbox", "ok", f"{sandbox.name} runs programs, out of reach of host files, ports and processes")
        return
    probes = anyio.run(probe, sandbox)
    closed = [p.name for p in probes if p.passed and p.name in ESCAPES]
    state = "ok" if len(closed) == len(ESCAPES) else "bad"
    yield Check(
        "sandbox", state, f"{sandbox.name}: {len(closed)} of {len(ESCAPES)} escapes closed ({'; '.join(closed)})"
    )
    for p in probes:
        if not p.passed:
            what = "did not close" if p.name in ESCAPES else "failed at"
            yield Check("sandbox", "bad", f"{what} “{p.name}”: {p.detail}", "update the kernel or bubblewrap")


def _models() -> Iterator[Check]:
    from prowess.agents.models.pull import default_name, installed
    from prowess.settings import load, variables

    here, default, chosen = installed(), default_name(), load().settings.model
    if default in {m.name for m in here}:
        yield Check("model", "ok", f"{default} is here and used where `{chosen}` says embedded")
    else:
        yield Check("model", "note", f"the embedded model {default} is not here", f"run `prowess model pull {default}`")
    keys = variables("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
    for kind in ("openai", "anthropic"):
        if chosen.startswith(kind) and f"{kind.upper()}_API_KEY" not in keys:
            yield Check("model", "bad", f"{chosen} needs a key", f"set {kind.upper()}_API_KEY")


def _library(given: Path | None) -> Iterator[Check]:
    from prowess.library import Library

    path = chosen_library(given)
    if not (path / ".prowess").is_dir():
        yield Check("library", "note", f"none at {path} yet", "it is made by `prowess run`, `learn` or `demo`")
        return
    opened = Library.open(path)
    damage = opened.check()
    for line in damage:
        yield Check("library", "bad", line, "`prowess log` shows what is sound; restore the rest from a copy")
    for name, problems in opened.problems().items():
        yield Check("library", "note", f"{name}: {'; '.join(problems)}", f"mend {path / name}")
    if not damage:
        waiting = len(opened.proposals())
        queue = f", {waiting} proposals wait" if waiting else ""
        yield Check("library", "ok", f"{path}: {len(opened.snapshot().skills)} skills, all sound{queue}")


def _disk() -> Iterator[Check]:
    import shutil

    from prowess.settings import load

    settings = load().settings
    for name, folder in (("data", settings.data), ("cache", settings.cache)):
        there = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(there).free
        found = f"{free / 1e9:.1f} GB free at {folder}"
        if free < NEEDED:
            yield Check(name, "bad", found, "free some space, or move it in the settings")
        else:
            yield Check(name, "ok", found)
