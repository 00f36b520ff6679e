"""What verbs that run trials have in common: a model with a budget, the bench, and the families that they draw from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prowess.cli.progress import Waiting
    from prowess.core.model import Model
    from prowess.measure.trials import Bench
    from prowess.suites.base import Suite


def open_bench(suite: "Suite", model: "Model", concurrency: int | None, waiting: "Waiting") -> "Bench":
    """The agent that runs have by default, with the store of trials that verbs share; `waiting` shows the progress."""
    from prowess.evolve.run import agent_of
    from prowess.measure.trials import Bench
    from prowess.sandbox import find_sandbox
    from prowess.settings import load
    from prowess.trajectories.runstore import RunStore

    settings = load().settings
    return Bench(
        agent=agent_of(model, find_sandbox(), suite),
        suite=suite,
        store=RunStore(settings.data / "trials.db"),
        concurrency=concurrency or settings.concurrency,
        on_progress=waiting.trials,
    )


def chosen_families(suite: "Suite", given: Sequence[str] | None) -> Sequence[str]:
    """The families of `suite` that are given, else all.

    Raises:
        UserError: it has no family of that name.
    """
    from prowess.core.errors import UserError

    if unknown := [f for f in given or () if f not in suite.families]:
        raise UserError(f"{suite.name} has no family {unknown[0]!r}", f"choose among {', '.join(suite.families)}")
    return given or suite.families
