"""Yunjue (2601.18226): tools made from zero while tasks stream by in batches: request, write, test, repair, merge.

As in the paper: a manager names the tool that is missing, by what it does and not by the task at hand; a developer
writes it in up to three tries; each tool lives in an environment of its own; a tool that has failed and never helped is
written anew with the same arguments; after each batch, tools that one function could replace become one, the smallest
file where names are the same words; tools made for each use (EGL) tell how far the library has converged, without
labels.

Ours: a tool is a skill whose tests it must pass before it is kept, where the paper only loads and runs it; its
environment is a sandbox folder with nothing but its files and the packages at hand; requests come after a failed task
and not before it, since the agent writes one program; answers are judged by the suite where the paper asks whether
there is one; batches of 4 in place of 16. Tools of the library before are not clustered again.

Reconstructed: the words of all questions.

Without the paper's ideas: `unmerged` keeps every tool; `unrepaired` never writes a tool anew.
"""

from prowess.evolve.consolidate import Unmerged
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.requests import Requests
from prowess.evolve.selectors import Last
from prowess.evolve.selftest import SelfTestGate
from prowess.evolve.sources import Retry
from prowess.evolve.tools import Developer, OneTool

BATCH = 4
TRIES = 2


def recipe(setup: Setup, merged: bool = True, repairs: bool = True) -> Recipe:
    ask, stream = prompts("common") | prompts("yunjue"), setup.mixed_tasks("evidence", setup.evidence)
    return Recipe(
        name="yunjue",
        source=Retry(stream, BATCH, TRIES),
        provider=BestMatches(2),
        analyst=Requests(ask["request"]),
        proposer=Developer(ask["tool"], setup.sandbox, "yunjue", repairs),
        consolidator=OneTool(ask["tool"], setup.sandbox, "yunjue") if merged else Unmerged(),
        gates=(*FREE_GATES, SelfTestGate(setup.sandbox, required=True)),
        selector=Last(),
        rounds=-(-len(stream) // BATCH) * TRIES,
    )


METHOD = Method(
    "tools made from zero: requested, written with tests, repaired, merged batch by batch",
    recipe,
    paper="Yunjue (2601.18226)",
    cost="medium",
    ablations=(
        Ablation("unmerged", "merging", lambda setup: recipe(setup, merged=False)),
        Ablation("unrepaired", "writing failed tools anew", lambda setup: recipe(setup, repairs=False)),
    ),
    needs="a developer that writes a general function and a test of it",
)
