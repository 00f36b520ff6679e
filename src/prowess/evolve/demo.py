"""The demo: an agent with a real model gets better at real tasks through skills that it learned and that were proven.

The whole loop of `trace2skill` on a few families of the workbench, with the embedded model, in about ten minutes on
two cores. Nothing in it is prepared: the searches, the trials and the figures are made while one watches.
"""

from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from prowess.agents.models import open_metered
from prowess.agents.models.pull import pull
from prowess.evolve.protocols import Event
from prowess.evolve.record import RunRecord
from prowess.evolve.run import Plan, Report, run_plan
from prowess.library import Library

PLAN = Plan(
    "trace2skill",
    families=("ledger-totals",),  # a family that the default model can learn on two cores: docs/demo.md
    gate=12,
    test=6,
    shifted=1,
)
SHORT = replace(PLAN, gate=9, test=6, shifted=0)
"""For a machine that builds: hardly more trials than can decide."""


async def demo(
    *, out: Path, model: str, short: bool, seed: int, concurrency: int, budget_usd: float | None, report: Report
) -> RunRecord:
    """`prowess demo`: see the module. The library it fills is `<out>/library`; stop it and run it again, it resumes."""
    await _pull(model, report)
    metered = open_metered(model, budget_usd)
    library = Library.open(out / "library", create=True)
    plan = replace(SHORT if short else PLAN, seed=seed)
    return await run_plan(plan, model=metered, out=out, library=library, concurrency=concurrency, report=report)


async def _pull(model: str, report: Report) -> None:
    """Fetch the embedded model where it is wanted and not there yet."""
    kind, _, name = model.partition(":")
    if kind != "embedded" or name.endswith(".gguf"):
        return

    def told(done: int, total: int, what: str) -> None:
        mb = {"done": done // 1_000_000, "total": total // 1_000_000}
        report(Event("download", f"{what}: {mb['done']} of {mb['total']} MB", mb))

    await to_thread.run_sync(pull, name, told)
