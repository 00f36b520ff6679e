"""SRA-Bench, stage by stage: retrieval without a model, or all of it with one.

    python benchmarks/sra.py                                        # retrieval only: is a right skill ranked first?
    python benchmarks/sra.py --model embedded --datasets theoremqa --tasks 40 --engine progressive
    python benchmarks/sra.py --model scripted --datasets logicbench --tasks 6   # a dry run of the same path

Without the corpus (`sra/corpus.json`) the skills are stand-ins made of the evidence split, as `prowess.suites.sra`
says; tasks come from the test split. `oracle + 4` hides the right skill among the four best wrong ones. Engines: direct
(bodies in the prompt), progressive (the model loads by number), react (a loop of tool calls).
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

import anyio

from prowess.agents.answer import AnswerAgent
from prowess.agents.base import Agent
from prowess.agents.models import open_model
from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.sandbox import find_sandbox
from prowess.agents.tools import ToolsAgent
from prowess.core.model import Model
from prowess.core.task import Task
from prowess.measure.selection import ByModel
from prowess.measure.sra import Oracle, Provider, Selected, Share, Stages, Top, gold, question, run_sra
from prowess.measure.stats.proportions import wilson
from prowess.measure.trials import Bench
from prowess.search.descent import lexical
from prowess.suites.sra import DATASETS, SraBench
from prowess.trajectories.runstore import RunStore

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def retrieval(tasks: list[Task], rank: object) -> dict[str, float]:
    """Shares of tasks with a right skill among the first 1, 5 and 10, and the mean reciprocal rank."""
    assert callable(rank)
    places: list[float] = []
    for task in tasks:
        names = list(rank(question(task)))
        places.append(next((i for i, name in enumerate(names, 1) if name in gold(task)), float("inf")))
    at = {f"recall@{k}": sum(p <= k for p in places) / len(places) for k in (1, 5, 10)}
    low, high = wilson(sum(p <= 1 for p in places), len(places))
    return {**at, "low@1": low, "high@1": high, "mrr": sum(1 / p for p in places) / len(places), "n": len(places)}


HEAD = (
    "| provider | found | loads, right one there | loads, none there | loaded is right | passed | passed with it "
    "| need | against none | against oracle | tokens |"
)


def agent(engine: str, model: Model) -> Agent:
    return ToolsAgent(model, find_sandbox(), native_tools=False) if engine == "react" else AnswerAgent(model)


def shown(share: Share) -> str:
    if share.value is None:
        return "–"
    low, high = share.interval
    return f"{share.k} of {share.n}, {share.value:.0%} [{low:.0%}, {high:.0%}]"


def row(s: Stages) -> str:
    need = "–" if s.need.value is None else f"{s.need.value:+.0%} [{s.need.low:+.0%}, {s.need.high:+.0%}]"
    paired = " | ".join(
        "–" if e is None else f"{e.effect:+.0%} [{e.low:+.0%}, {e.high:+.0%}], {e.outcome}"
        for e in (s.against_none, s.against_oracle)
    )
    cells = (s.found, s.loaded_found, s.loaded_missed, s.loaded_right, s.passed, s.passed_with)
    return f"| {s.provider} | " + " | ".join(map(shown, cells)) + f" | {need} | {paired} | {s.cost.tokens} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of each data set, at most")
    parser.add_argument("--model", help="`scripted` for a dry run; without one only retrieval is measured")
    parser.add_argument("--engine", default="progressive", choices=["direct", "progressive", "react"])
    parser.add_argument("--store", type=Path, help="keep trials here, so that a stopped run resumes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    suite = SraBench(options.data)
    library = suite.library()
    rank = lexical(library.skills)
    tasks = {name: list(suite.tasks(name, "test", options.tasks)) for name in options.datasets}
    found = {name: retrieval(some, rank) for name, some in tasks.items()}
    if options.json and options.model is None:
        print(json.dumps({"skills": len(library.skills), "datasets": found}, indent=1))
        return
    print(f"{len(library.skills)} skills\n\n| data set | n | recall@1 | @5 | @10 | MRR |\n|---|---|---|---|---|---|")
    for name, r in found.items():
        first = f"{r['recall@1']:.2f} [{r['low@1']:.2f}, {r['high@1']:.2f}]"
        print(f"| {name} | {r['n']} | {first} | {r['recall@5']:.2f} | {r['recall@10']:.2f} | {r['mrr']:.2f} |")
    if options.model is None:
        return
    dry = options.model == "scripted"
    model: Model = ScriptedModel(lambda request: "ANSWER: yes") if dry else open_model(options.model)
    providers: dict[str, Provider] = {
        "oracle": Oracle(), "top 1": Top(rank, 1), "top 5": Top(rank, 5),
        "model selects": Selected(rank, ByModel(model)), "oracle + 4": Oracle(4, rank, options.seed),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        store = RunStore(options.store or Path(scratch) / "sra.db")
        bench = Bench(agent=agent(options.engine, model), suite=suite, store=store, concurrency=1)
        how = "preload" if options.engine == "direct" else "progressive"
        for name, some in tasks.items():
            run = partial(run_sra, some, library, providers, bench, disclosure=how, seed=options.seed)
            print(f"\n{name}, engine {options.engine}, {model.name}\n\n{HEAD}\n" + "|---" * 11 + "|")
            print("\n".join(row(s) for s in anyio.run(run)))
        store.close()


if __name__ == "__main__":
    main()
