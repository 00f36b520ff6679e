"""What the tests of triggers share: a small library, models that choose as they are told, a bench."""

from collections.abc import Callable
from pathlib import Path

import anyio

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.model import Request, Response, ToolCall
from prowess.core.skill import Skill, Snapshot
from prowess.core.view import View
from prowess.measure.trials import Arm, Bench
from prowess.measure.triggers import choosers
from prowess.measure.triggers.catalogue import listing, preset, view
from prowess.measure.triggers.sets import Query
from prowess.measure.triggers.trials import Decision, Unjudged, run
from prowess.trajectories.runstore import RunStore


def skill(name: str, description: str = "", body: str = "Do it.\n") -> Skill:
    return Skill(name=name, description=description or f"Knows all about {name}.", body=body)


LIBRARY = Snapshot.of(
    [
        skill("pdf-forms", "Fills in PDF forms and reads their fields."),
        skill("ledger-totals", "Sums ledgers by account."),
        skill("using-superpowers", "Use when starting any conversation."),
    ]
)


def query(text: str, should: str = "", should_not: str = "", need: str = "", part: str = "held-out") -> Query:
    return Query.model_validate(
        {
            "query": text,
            "should": tuple(should.split()),
            "should_not": tuple(should_not.split()),
            "need": need,
            "part": part,
        }
    )


def call(name: str, **arguments: str) -> Response:
    asked = ToolCall(id=f"{name}-{sorted(arguments.values())}", name=name, arguments=dict(arguments))
    return Response(text="", tool_calls=(asked,), finish_reason="tool_calls", model="scripted", cost=Cost(calls=1))


def load(*names: str) -> Response:
    calls = tuple(ToolCall(id=f"l{i}", name="load_skill", arguments={"name": n}) for i, n in enumerate(names))
    return Response(text="", tool_calls=calls, finish_reason="tool_calls", model="scripted", cost=Cost(calls=1))


Moves = Callable[[str, int], Response | str]
"""From the query and the number of the turn, from 0, to what the model says."""


def model(moves: Moves) -> ScriptedModel:
    def answer(request: Request) -> Response | str:
        turn = sum(m.role == "assistant" for m in request.messages)
        return moves(request.messages[1].content, turn)

    return ScriptedModel(answer, "scripted:moves")


def shown(snapshot: Snapshot = LIBRARY, name: str = "all") -> View:
    return view(snapshot, listing(snapshot, preset(name)))


def bench(moves: Moves | ScriptedModel, path: Path, **more: object) -> Bench:
    chosen = moves if isinstance(moves, ScriptedModel) else model(moves)
    agent = choosers.agent("tools", lambda: chosen)
    return Bench(agent=agent, suite=Unjudged(), store=RunStore(path / "triggers.db"), **more)  # type: ignore[arg-type]


def ask(
    queries: list[Query], moves: Moves | ScriptedModel, path: Path, seeds: int = 1, arms: list[Arm] | None = None
) -> tuple[Decision, ...]:
    listed = shown()
    chosen = arms or [Arm("library", lambda task: listed)]
    return anyio.run(run, queries, chosen, range(seeds), bench(moves, path))
