"""The functions of the loop that verbs call, with the signatures that they rely on.

They are found when a verb runs, so that `prowess --help` need not load the loop.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from prowess.evolve.parts import Event
    from prowess.evolve.record import RunRecord
    from prowess.library import Library, Proposal
    from prowess.trajectories.store import TrajectoryStore


class Demo(Protocol):
    """`prowess.evolve.demo.demo`: the whole loop on this machine. Keeps its run store in `out / "run.db"`."""

    async def __call__(
        self,
        *,
        out: Path,
        model: str,
        short: bool,
        seed: int,
        concurrency: int,
        budget_usd: float | None,
        report: "Callable[[Event], None]",
    ) -> "RunRecord": ...


class RunRecipe(Protocol):
    """`prowess.evolve.run.run_recipe`: one recipe on one suite; accepted changes go into the library at `library`.

    No families means all; `rounds` None and no `gates` mean the recipe's own. Keeps its run store in `out / "run.db"`.
    """

    async def __call__(
        self,
        recipe: str,
        *,
        suite: str,
        families: tuple[str, ...],
        rounds: int | None,
        gates: tuple[str, ...],
        out: Path,
        library: Path,
        model: str,
        seed: int,
        concurrency: int,
        budget_usd: float | None,
        report: "Callable[[Event], None]",
    ) -> "RunRecord": ...


class Learn(Protocol):
    """`prowess.evolve.learn.learn`: proposals for `library` from the sessions below `source`, else from `sessions`."""

    async def __call__(
        self,
        *,
        source: Path | None,
        sessions: "TrajectoryStore",
        library: "Library",
        model: str,
        concurrency: int,
        budget_usd: float | None,
        report: "Callable[[Event], None]",
    ) -> "tuple[Proposal, ...]": ...


def demo() -> Demo:
    return cast(Demo, import_module("prowess.evolve.demo").demo)


def run_recipe() -> RunRecipe:
    return cast(RunRecipe, import_module("prowess.evolve.run").run_recipe)


def learn() -> Learn:
    return cast(Learn, import_module("prowess.evolve.learn").learn)
