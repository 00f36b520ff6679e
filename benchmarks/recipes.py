"""Recipes side by side for the documents: `prowess bench recipes`, and then the latest results for `prowess recipes`.

Takes the options of `prowess bench recipes`. What is shown with the plan's first model on held-out tasks goes into
`src/prowess/evolve/recipes/measured.json`, unless the model is a played one.

    python benchmarks/recipes.py -s workbench:ledger-totals,address-list -r human -r oracle -r trace2skill -r skillos
    python benchmarks/recipes.py --model pretend -s workbench:ledger-totals --seeds 1    # a dry run, no model
"""

import sys
from itertools import pairwise
from pathlib import Path

from pydantic import TypeAdapter

from prowess.agents.models import PROVIDERS
from prowess.cli.main import app
from prowess.evolve.bench.gains import NONE
from prowess.evolve.bench.record import BenchRecord
from prowess.evolve.recipes import Measured, measured
from prowess.report.bench import standings

LATEST = Path(__file__).parents[1] / "src/prowess/evolve/recipes/measured.json"


def pretend(name: str, options: object) -> object:
    """A model that is played, for all families."""
    from pretend import SUITE, PretendModel

    return PretendModel(tuple(name.split(",")) if name else SUITE.families)


def keep(record: BenchRecord) -> None:
    """Put the results of the recipes themselves in place of older ones."""
    latest = dict(measured())
    for number, part in enumerate(record.plan.parts):
        for row in standings(record, number):
            if row.is_ablation or row.gain is None or row.success is None or row.recipe in (NONE, "seed", "oracle"):
                continue
            e = row.gain.evidence
            latest[row.recipe] = Measured(
                date=record.date, suite=part.suite, families=part.families, model=row.model,
                seeds=len(record.plan.seeds), n=e.n, success=row.success, effect=e.effect, low=e.low, high=e.high,
                tokens=row.learning,
            )  # fmt: skip
    text = TypeAdapter(dict[str, Measured]).dump_json(dict(sorted(latest.items())), indent=1)
    LATEST.write_bytes(text + b"\n")


def main() -> None:
    PROVIDERS["pretend"] = pretend  # type: ignore[assignment]
    words = sys.argv[1:]
    out = Path(next((b for a, b in pairwise(words) if a in ("-o", "--out")), "runs/bench"))
    app(["bench", "recipes", *words], standalone_mode=False)
    record = BenchRecord.model_validate_json((out / "bench.json").read_bytes())
    if not any(model.startswith("pretend") for model in record.plan.models):
        keep(record)


if __name__ == "__main__":
    main()
