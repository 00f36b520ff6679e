"""BFCL v4, multi-turn: requests of a user, done by calls of stateful APIs (Berkeley; package `bfcl-eval`, Apache-2.0).

Each of the 200 conversations has one API for its main matter (files, a vehicle, trading, travel), which is its family,
and often a second one (messages, posts, tickets, mathematics). The variants are the package's own categories, and ask
the same: `base`; `miss-func`, where a tool is there only after it was missed; `miss-param`, where the user has to be
asked for what is lacking; `long-context`, where answers of the tools are long. The package names no splits: number `i`
of a family belongs to split `i` modulo 3, in all variants alike.

The judge is the package's own: after each request the state must be that of the right calls, and the answers of the
right calls must have been seen. A score is 0 or 1. The package executes calls by evaluating text; it is only given
calls that were read as data and written anew.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from prowess.core.task import Split, Task
from prowess.suites.worlds import toolcalls
from prowess.suites.worlds.engine import Outcome, Scene, Start
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import OFFSETS, WorldSuite
from prowess.suites.worlds.toolcalls import SAY, Call, Misread, Tool

FAMILIES: Final = {"files": 0, "vehicle": 50, "trading": 100, "travel": 150}
"""Number of the first conversation of each family; a family has `EACH`."""
EACH: Final = 50
VARIANTS: Final = ("base", "miss-func", "miss-param", "long-context")
LEFT_OUT: Final = frozenset({("miss-func", 49)})
"""Its right calls use a tool that is not there yet."""
STEPS: Final = 100
"""Actions of an episode. Right calls take at most 40; the package gives up after 20 answers to one request."""

PROMPT: Final = (
    f"You do what a user asks, one request after the other. {toolcalls.HOW} When a request is done, or when you lack a "
    "tool for it, or something that only the user knows, the action `say TEXT` says so; then the next request comes."
)


class Bfcl(WorldSuite):
    """The conversations of each family: every third one, from the offset of the split."""

    name = "bfcl"
    about = "requests of a user, one after the other, by calls of stateful APIs"
    licence = "Apache-2.0"
    engine = "prowess.suites.worlds.bfcl:Conversation"
    needs = Needs(
        module="bfcl_eval", extra="bfcl",
        apart=("mpmath==1.3.0", "pydantic>=2.11", "platformdirs>=4.3"), alone=("bfcl-eval==2026.3.23",),
    )  # fmt: skip
    can = frozenset({"gold"})
    apart = True

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(FAMILIES)

    def variants(self, family: str) -> tuple[str, ...]:
        return VARIANTS

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1`; a split has 16 or 17 of each family."""
        self.known(family, variant, n, start)
        first = FAMILIES[family]
        numbers = [i for i in range(OFFSETS[split], EACH, 3) if (variant, first + i) not in LEFT_OUT]
        category = f"multi_turn_{variant.replace('-', '_')}"
        return tuple(
            self.drawn(
                family, variant, split, number, PROMPT,
                {"category": category, "number": first + number}, STEPS,
            )
            for number in numbers[start : start + n]
        )  # fmt: skip


class Conversation:
    """One conversation at a time, with the package's APIs and its judge."""

    def __init__(self) -> None:
        self._executor = import_module("bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils")
        self._checker = import_module("bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker")
        self._entry: Mapping[str, Any] = {}
        self._gold: Sequence[Sequence[str]] = ()
        self._tools: dict[str, Tool] = {}
        self._calls: list[list[list[str]]] = []
        """Of each request so far, the calls, each in a list of its own."""

    def reset(self, start: Start) -> Scene:
        self._forget(_LIVE)
        self._entry, self._gold = entry(start["category"], start["number"])
        held = {name for names in self._entry.get("missed_function", {}).values() for name in names}
        self._tools = {name: tool for name, tool in tools(self._entry).items() if name not in held}
        self._calls = [[]]
        return self._scene("Your tools", self._tools)

    def step(self, action: str) -> Scene:
        try:
            call = toolcalls.read(action, self._tools)
        except Misread as error:
            return Scene(str(error), understood=False)
        if call.name == SAY:
            return self._next()
        answers, _ = self._executor.execute_multi_turn_func_call(
            [_source(call)], self._entry["initial_config"], self._entry["involved_classes"], _LIVE, self._entry["id"],
            long_context=self._long,
        )  # fmt: skip
        self._calls[-1].append([_source(call)])
        return Scene(answers[0])

    def score(self) -> Outcome:
        if len(self._calls) < len(self._gold):
            return Outcome(0.0, False, f"of {len(self._gold)} requests, the user came to make {len(self._calls)}")
        self._forget(_JUDGED)
        said = self._checker.multi_turn_checker(
            self._calls, self._gold, self._entry, self._entry["id"].rsplit("_", 1)[0], _JUDGED
        )
        valid = bool(said["valid"])
        return Outcome(
            float(valid), valid, "" if valid else _WRONG.get(said.get("error_type"), "a request was not met")
        )

    def gold(self, start: Start) -> Sequence[str]:
        found, gold = entry(start["category"], start["number"])
        known = tools(found)
        return [action for turn in gold for action in (*(str(_read(call, known)) for call in turn), f"{SAY} Done.")]

    def close(self) -> None:
        """Nothing is open."""

    @property
    def _long(self) -> bool:
        return "long_context" in self._entry["id"]

    def _next(self) -> Scene:
        """The next request, or the end."""
        if len(self._calls) == len(self._entry["question"]):
            return Scene("The user has no more requests.", done=True)
        self._calls.append([])
        names = self._entry.get("missed_function", {}).get(str(len(self._calls) - 1), ())
        new = {name: tool for name, tool in tools(self._entry).items() if name in names}
        self._tools |= new
        return self._scene("New tools", new)

    def _scene(self, title: str, tools: Mapping[str, Tool]) -> Scene:
        """What the user asks now; a turn that only brings tools asks for what could not be done before."""
        turn = self._entry["question"][len(self._calls) - 1]
        asked = "\n".join(message["content"] for message in turn) or NEW_TOOLS
        told = f"\n\n{title}:\n{toolcalls.described(tools.values())}" if tools else ""
        return Scene(f"This is the user's request number {len(self._calls)}.", goal=f"{asked}{told}")

    def _forget(self, whose: str) -> None:
        """The executor keeps its instances in its own globals, for good."""
        kept = vars(self._executor)
        for name in [name for name in kept if name.startswith(whose)]:
            del kept[name]


NEW_TOOLS: Final = "You have more tools now. Try it again with them."
_LIVE: Final = "prowess_live"
_JUDGED: Final = "prowess_judged"
_WRONG: Final = {
    "multi_turn:empty_turn_model_response": "a request was answered without a call",
    "multi_turn:instance_state_mismatch": "after a request, the state was not what it should be",
    "multi_turn:execution_response_mismatch": "something that a request needed was not looked up",
}


def _source(call: Call) -> str:
    """A call as the executor takes it, which evaluates it, after it has prefixed whatever looks like a call, in texts
    too: so there are no opening brackets in texts."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
    return f"{call.name}({arguments.replace('(', _BRACKET)})"


_BRACKET: Final = r"\x28"


def _read(source: str, tools: Mapping[str, Tool]) -> Call:
    """A right call, as the package has it."""
    found = cast(ast.Call, ast.parse(source, mode="eval").body)
    name = cast(ast.Name, found.func).id
    given = dict(zip(tools[name].parameters, map(ast.literal_eval, found.args), strict=False))
    return Call(name, given | {str(k.arg): ast.literal_eval(k.value) for k in found.keywords})


def tools(entry: Mapping[str, Any]) -> dict[str, Tool]:
    """What can be called in a conversation, in all of it."""
    named = import_module("bfcl_eval.constants.executable_backend_config").MULTI_TURN_FUNC_DOC_FILE_MAPPING
    found: list[Tool] = []
    for api in entry["involved_classes"]:
        for line in _lines(f"multi_turn_func_doc/{named[api]}"):
            about = line["description"].rpartition("Tool description: ")[2]
            found.append(toolcalls.tool(line["name"], about, line["parameters"]))
    return {tool.name: tool for tool in found}


def entry(category: str, number: int) -> tuple[Mapping[str, Any], Sequence[Sequence[str]]]:
    """A conversation, and the right calls of each of its requests."""
    id = f"{category}_{number}"
    file = f"BFCL_v4_{category}.json"
    found, right = _lines(file)[number], _lines(f"possible_answer/{file}")[number]
    if not found["id"] == right["id"] == id:
        raise LookupError(f"{id} is not where it should be in {file}")
    return found, right["ground_truth"]


@lru_cache(maxsize=32)
def _lines(file: str) -> list[dict[str, Any]]:
    """A file of the package's data."""
    folder = Path(str(import_module("bfcl_eval").__file__)).parent / "data"
    return [json.loads(line) for line in (folder / file).read_text("utf-8").splitlines() if line.strip()]
