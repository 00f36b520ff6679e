"""Suites: where tasks come from, and who checks the answers."""

from importlib import import_module
from pathlib import Path
from typing import Any

from prowess.core.errors import UserError
from prowess.suites.base import Suite

__all__ = ["SUITES", "WORLDS", "Suite", "open_suite", "world_class"]

WORLDS = {
    "alfworld": "prowess.suites.worlds.alfworld:ALFWorld",
    "babyai": "prowess.suites.worlds.babyai:BabyAI",
    "miniwob": "prowess.suites.worlds.miniwob:MiniWob",
    "reasoning-gym": "prowess.suites.worlds.reasoninggym:ReasoningGym",
    "scienceworld": "prowess.suites.worlds.scienceworld:ScienceWorld",
    "textworld": "prowess.suites.worlds.textworld:TextWorld",
    "textworld-express": "prowess.suites.worlds.textworldexpress:TextWorldExpress",
}
"""Suites whose tasks are played, and the classes that make them; `docs/worlds.md` has a section for each."""
SUITES = ("workbench", "spreadsheetbench", "sra", *WORLDS)


def open_suite(name: str, *, root: Path | None = None) -> Suite:
    """The suite called `name`.

    Args:
        root: folder of downloaded data (`../shared/data` by default); only suites that need data look at it.

    Raises:
        UserError: no such suite, or its data or its package are not there.
    """
    if name == "workbench":
        from prowess.suites.workbench import Workbench

        return Workbench()
    if name == "spreadsheetbench":
        from prowess.suites.spreadsheetbench import DATA, SpreadsheetBench

        return SpreadsheetBench(root or DATA)
    if name == "sra":
        from prowess.suites import sra

        return sra.SraBench(root or sra.DATA)
    if name in WORLDS:
        return world_class(name)()
    raise UserError(f"there is no suite {name!r}", f"choose one of {', '.join(SUITES)}")


def world_class(name: str) -> Any:
    """The class of a world: what it needs is said without making one."""
    module, _, suite = WORLDS[name].partition(":")
    return getattr(import_module(module), suite)
