"""SRA-Bench, stage by stage: what is found, what is loaded, what helps. Retrieval alone is in `retrieval.py`.

    python benchmarks/sra.py --model embedded --datasets theoremqa --tasks 40 --engine progressive
    python benchmarks/sra.py --model scripted --datasets logicbench --tasks 6   # a dry run of the same path

Without the corpus (`sra/corpus.json`) the skills are stand-ins made of the evidence split, as `prowess.suites.sra`
says; tasks come from the test split. `oracle + 4` hides the right skill among the four best wrong ones; `top 1 if it
fits` offers nothing where `prowess.search.need` says that no skill is needed. Engines: direct (bodies in the prompt),
progressive (the model loads by number), react (a loop of tool calls).
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import anyio
from corpora import data_folder

from prowess.agents.answer import AnswerAgent
from prowess.agents.base import Agent
from prowess.agents.models import open_model
from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.tools import ToolsAgent
from prowess.core.model import Model
from prowess.measure.selection import ByModel
from prowess.measure.sra import (
    AmongDistractors,
    Fitting,
    Oracle,
    Provider,
    Ranking,
    Selected,
    Share,
    Stages,
    Top,
    run_sra,
)
from prowess.measure.trials import Bench
from prowess.sandbox import find_sandbox
from prowess.search.index import SearchIndex
from prowess.search.routers import Lexical
from prowess.suites.sra import DATASETS, SraBench
from prowess.trajectories.runstore import RunStore

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
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of each data set, at most")
    parser.add_argument("--model", required=True, help="`scripted` for a dry run")
    parser.add_argument("--engine", default="progressive", choices=["direct", "progressive", "react"])
    parser.add_argument("--store", type=Path, help="keep trials here, so that a stopped run resumes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    suite = SraBench(options.data)
    library = suite.library()
    ranking = Ranking(Lexical(), SearchIndex.of(library))
    tasks = {name: suite.tasks(name, "test", options.tasks) for name in options.datasets}
    dry = options.model == "scripted"
    model: Model = ScriptedModel(lambda request: "ANSWER: yes") if dry else open_model(options.model)
    providers: dict[str, Provider] = {
        "oracle": Oracle(), "top 1": Top(ranking), "top 1 if it fits": Fitting(ranking), "top 5": Top(ranking, 5),
        "model selects": Selected(ranking, ByModel(model)), "oracle + 4": AmongDistractors(ranking, 4, options.seed),
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
