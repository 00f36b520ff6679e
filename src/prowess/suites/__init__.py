"""Suites: where tasks come from, and who checks the answers."""

from importlib import import_module
from pathlib import Path
from typing import Any

from prowess.core.errors import UserError
from prowess.suites.base import Suite
from prowess.suites.data import DataSet

__all__ = ["SUITES", "WORLDS", "Suite", "open_suite", "world_class"]

WORLDS = {
    "spreadsheetbench": "prowess.suites.spreadsheetbench:SpreadsheetBench",
    "sra": "prowess.suites.sra:SraBench",
    "agentdojo": "prowess.suites.worlds.agentdojo:AgentDojo",
    "alfworld": "prowess.suites.worlds.alfworld:ALFWorld",
    "babyai": "prowess.suites.worlds.babyai:BabyAI",
    "bfcl": "prowess.suites.worlds.bfcl:Bfcl",
    "gsm8k": "prowess.suites.gsm8k:Gsm8k",
    "human-eval": "prowess.suites.humaneval:HumanEval",
    "logicbench": "prowess.suites.sra:LogicBench",
    "medcalcbench": "prowess.suites.sra:MedCalcBench",
    "miniwob": "prowess.suites.worlds.miniwob:MiniWob",
    "reasoning-gym": "prowess.suites.worlds.reasoninggym:ReasoningGym",
    "scienceworld": "prowess.suites.worlds.scienceworld:ScienceWorld",
    "tau2": "prowess.suites.worlds.tau2:Telecom",
    "tau2-service": "prowess.suites.worlds.tau2:Service",
    "textworld": "prowess.suites.worlds.textworld:TextWorld",
    "textworld-express": "prowess.suites.worlds.textworldexpress:TextWorldExpress",
    "theoremqa": "prowess.suites.sra:TheoremQA",
    "wikitablequestions": "prowess.suites.wikitables:WikiTableQuestions",
}
"""Suites that others made, and the classes that open them; `docs/worlds.md` has a section for each."""
SUITES = ("workbench", *WORLDS)


def open_suite(name: str, *, root: Path | None = None) -> Suite:
    """The suite called `name`, or the task folders below PATH as `folders:PATH`.

    Args:
        root: Folder of downloaded data; by default that of the settings, else `../shared/data`. Only suites that need
            data look at it.

    Raises:
        UserError: no such suite, or its data or its package are not there.
    """
    if name == "workbench":
        from prowess.suites.workbench import Workbench

        return Workbench()
    if name in WORLDS:
        world = world_class(name)
        return world(root) if isinstance(world.needs, DataSet) else world()
    if name.startswith("folders:"):
        from prowess.sandbox.rooms import LocalRooms
        from prowess.suites.folders import PREFIX, TaskFolders

        return TaskFolders(Path(name.removeprefix(PREFIX)), LocalRooms())
    raise UserError(f"there is no suite {name!r}", f"choose one of {', '.join(SUITES)}, or folders:PATH")


def world_class(name: str) -> Any:
    """The class of a world: what it needs is said without making one."""
    module, _, suite = WORLDS[name].partition(":")
    return getattr(import_module(module), suite)
