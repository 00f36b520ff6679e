"""The engine behind the worlds of tau2: one service desk, whose every action is a call of one of its tools.

It knows the package's three domains. In telecom the desk holds the customer's phone too (the package's *solo* mode);
in airline and retail there is a customer, who has said all that it knows and wants before the first action, and agrees
to whatever is asked of it. How an episode went is said as the package's own evaluators say it, from the state of its
databases, the calls that were made and the texts that the customer was told.
"""

import json
import pickle
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Final, cast

from prowess.suites.worlds.engine import Outcome, Scene, Start

DONE: Final = "done"
SAY: Final = "say"
TRANSFER: Final = "transfer_to_human_agents"
ASKED: Final = ("reason_for_call", "known_info", "unknown_info", "task_instructions")
"""What a customer is told to say, in the order in which it says it."""
AGREES: Final = "The customer says: Yes, please go ahead."
HOW: Final = (
    'An action is the name of a tool, then its arguments as a JSON object, such as `NAME {"argument": "value"}`.'
)
_LATER: Final = {"DB": "databases", "ENV_ASSERTION": "state", "ACTION": "calls", "COMMUNICATE": "told"}
_LINE: Final = ("status", "plan_id", "roaming_enabled", "data_used_gb", "data_refueling_gb", "contract_end_date")
_IDS: Final = {
    "customer_id": r"\bC\d{4}\b",
    "line_id": r"\bL\d{4}\b",
    "bill_id": r"\bB\d{4,}\b",
    "id": r"\b[CLBPD]\d{4,}\b",
    "phone_number": r"\b\d{3}-\d{3}-\d{4}\b",
    "gb_amount": r"\b\d+(?:\.\d+)?(?= GB)",
}
"""What an argument looks like in the texts of telecom."""
_CUSTOMER: Final = ("John Smith", "555-123-2002", "C1001", "L1002", "B1234321")
"""Of all of the package's tasks in telecom: name, telephone number, customer, line, and the bill that may be late."""
_FIRST_NAMES: Final = ("Ada", "Bram", "Chidi", "Dilek", "Elif", "Farid", "Greta", "Hanna", "Ivo", "Jun", "Kemal", "Lin")
_LAST_NAMES: Final = ("Adler", "Brandt", "Conti", "Dogan", "Eriksen", "Fischer", "Garcia", "Haas", "Ito", "Jansen")


class Desk:
    """One episode at a time, at one of three desks."""

    def __init__(self) -> None:
        import_module("loguru").logger.disable("tau2")  # it tells each call
        self._calls = import_module("tau2.data_model.message").ToolCall
        self._start: Start = {}
        self._task: Any = None
        self._env: Any = None
        self._domain = ""
        self._made: list[Any] = []
        self._told: list[str] = []
        self._seen: dict[str, None] = {}
        self._actions: tuple[str, ...] = ()
        self._over = False
        self._states: list[bytes] = []

    # --- what there is to do

    def catalogue(self, domain: str) -> dict[str, Any]:
        """The tasks of a domain by the package's splits, `rest` for those of none, and what players are told.

        Tasks that doing nothing would pass, since nothing is to be changed or said, are left out.
        """
        env, splits = _environment(domain), _splits(domain)
        of = {id: split for split in ("train", "test") for id in splits[split]}
        found: dict[str, list[str]] = {"train": [], "test": [], "rest": []}
        for id, task in _tasks(domain).items():
            if domain == "telecom" or _asks_for_something(task["evaluation_criteria"], env.tools):
                found[of.get(id, "rest")].append(id)
        return {"tasks": found, "policy": env.policy, "tools": list(_described(env))}

    # --- an episode

    def reset(self, start: Start) -> Scene:
        self._begin(start)
        self._states = []
        return self._scene(self._opening(), goal=self._goal())

    def step(self, action: str) -> Scene:
        name, _, rest = action.partition(" ")
        if name == DONE:
            self._over = True
            return self._scene("The desk is closed.")
        if name == SAY and self._domain != "telecom":
            self._told.append(rest)
            return self._scene(AGREES, understood=bool(rest))
        if not (self._env.tools.has_tool(name) or (self._env.user_tools and self._env.user_tools.has_tool(name))):
            return self._scene(f"There is no tool {name[:80]!r}. {HOW}", understood=False)
        arguments = _arguments(rest)
        if arguments is None:
            return self._scene(f"The arguments are no JSON object. {HOW}", understood=False)
        call = self._calls(id="", name=name, arguments=arguments, requestor="assistant")
        self._made.append(call)
        answer = self._env.get_response(call)
        self._over = name == TRANSFER and not answer.error
        return self._scene(str(answer.content), understood=not answer.error)

    def score(self) -> Outcome:
        wanted = self._task.evaluation_criteria
        for basis in wanted.reward_basis:
            if not getattr(self, f"_right_{_LATER[basis.value]}")(wanted):
                return Outcome(0.0, False, f"the {_LATER[basis.value]} at the end are not as they should be")
        return Outcome(1.0, True)

    def gold(self, start: Start) -> Sequence[str]:
        wanted = _task(start).evaluation_criteria
        calls = [called(action.name, action.arguments) for action in wanted.actions or ()]
        told = wanted.communicate_info or ()
        return [*calls, *([f"{SAY} {', '.join(told)}"] if told else [])]

    def save(self) -> str:
        self._states.append(pickle.dumps((self._env, self._made, self._told, self._seen, self._actions, self._over)))
        return str(len(self._states) - 1)

    def restore(self, state: str) -> Scene:
        saved = pickle.loads(self._states[int(state)])
        self._env, self._made, self._told, self._seen, self._actions, self._over = saved
        return self._scene("You are back where you were.")

    def predicates(self) -> Sequence[str]:
        """Telecom: settings of the phone, as `airplane_mode(no)`, and records, as `status(L1002,Active)`."""
        where = self._env.user_tools.db.surroundings
        customer = self._env.tools.get_customer_by_phone(where.phone_number)
        line = next(line for line in self._env.tools.db.lines if line.phone_number == where.phone_number)
        device = self._env.user_tools.db.device.model_dump(mode="json", exclude_none=True)
        found = {f"{path}({value})" for path, value in _leaves(device)}
        found |= {f"{name}({line.line_id},{_plain(getattr(line, name))})" for name in _LINE}
        found.add(f"customer_id({line.line_id},{customer.customer_id})")
        found |= {
            f"status({bill.bill_id},{_plain(bill.status)})"
            for bill in self._env.tools.db.bills
            if bill.bill_id in customer.bill_ids
        }
        return sorted(found | ({"transferred(human)"} if any(c.name == TRANSFER for c in self._made) else set()))

    def close(self) -> None:
        """Nothing is open."""

    # --- its parts

    def _begin(self, start: Start) -> None:
        self._start, self._domain, self._task = start, start["domain"], _task(start)
        self._env = _set_up(self._task, start)
        self._made, self._told, self._seen, self._over = [], [], {}, False

    def _goal(self) -> str:
        if self._domain == "telecom":
            return f"Do what this ticket asks for.\n{self._task.ticket}"
        asked = self._task.user_scenario.instructions.model_dump()
        said = [str(asked[name]).strip() for name in ASKED if asked.get(name)]
        return "Serve this customer, who was told:\n" + "\n".join(said)

    def _opening(self) -> str:
        return "The ticket is yours." if self._domain == "telecom" else "The customer waits."

    def _scene(self, text: str, *, goal: str = "", understood: bool = True) -> Scene:
        if self._domain != "telecom":
            return Scene(text, None, self._over, goal, understood)
        before = len(self._seen)
        for shape in _IDS.values():
            self._seen |= dict.fromkeys(re.findall(shape, f"{goal}\n{text}"))
        if goal or len(self._seen) > before:
            self._actions = (*self._listed(), DONE)
        return Scene(text, () if self._over else self._actions, self._over, goal, understood)

    def _listed(self) -> Iterator[str]:
        """All calls with arguments that have been seen in this episode; those of free text are left out."""
        for name, parameters in _signatures().items():
            choices = [self._choices(parameter) for parameter in parameters]
            for values in product(*choices):
                yield called(name, dict(zip(parameters, values, strict=True)))

    def _choices(self, parameter: str) -> list[Any]:
        shape = _IDS.get(parameter)
        if shape is None:
            return list(_closed_sets().get(parameter, ()))
        values = [value for value in self._seen if re.fullmatch(shape.partition("(?= ")[0], value)]
        return [*map(float, values)] if parameter == "gb_amount" else values

    def _right_databases(self, wanted: Any) -> bool:
        return self._env.get_db_hash() == _right_hash(json.dumps(self._start))

    def _right_state(self, wanted: Any) -> bool:
        return all(self._env.run_env_assertion(a, raise_assertion_error=False) for a in wanted.env_assertions or ())

    def _right_calls(self, wanted: Any) -> bool:
        return all(any(a.compare_with_tool_call(call) for call in self._made) for a in wanted.actions or ())

    def _right_told(self, wanted: Any) -> bool:
        told = [text.lower().replace(",", "") for text in self._told]
        return all(any(info.lower() in text for text in told) for info in wanted.communicate_info or ())


def called(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as an action."""
    return f"{name} {json.dumps(arguments, ensure_ascii=False)}" if arguments else name


def _arguments(text: str) -> dict[str, Any] | None:
    """The arguments of an action; None where they are no JSON object."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        found: Any = json.loads(text or "{}", parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _plain(value: Any) -> str:
    """A value as the argument of a fact."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(getattr(value, "value", value))


def _leaves(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(cast("dict[str, Any]", value), f"{before}{name}.")
        elif name != "app_name":  # which is the name of the branch, too
            yield f"{before}{name}", _plain(value)


# --- the package's own data, read once


@cache
def _module(domain: str) -> Any:
    return import_module(f"tau2.domains.{domain}.environment")


def _file(domain: str, name: str) -> Any:
    folder = Path(import_module("tau2.utils").DATA_DIR, "tau2", "domains", domain)
    return json.loads((folder / name).read_text("utf-8"))


@cache
def _tasks(domain: str) -> dict[str, dict[str, Any]]:
    return {task["id"]: task for task in _file(domain, "tasks.json")}


@cache
def _splits(domain: str) -> dict[str, list[str]]:
    return _file(domain, "split_tasks.json")


@lru_cache(maxsize=64)
def _pickled(domain: str, customer: int) -> bytes:
    """An untouched environment: reading it from the package's files takes hundreds of times as long."""
    if domain != "telecom":
        return pickle.dumps(_module(domain).get_environment())
    env = _module(domain).get_environment(solo_mode=True)
    database: Any = env.tools.db
    env.tools.db = database.model_validate_json(renamed(database.model_dump_json(), customer))
    return pickle.dumps(env)


def _environment(domain: str, customer: int = 0) -> Any:
    return pickle.loads(_pickled(domain, customer))


def _set_up(task: Any, start: Start) -> Any:
    """The environment in which `task`, that of `start`, begins."""
    env, begin = _environment(start["domain"], start.get("customer", 0)), task.initial_state
    env.set_state(
        initialization_data=begin.initialization_data if begin else None,
        initialization_actions=begin.initialization_actions if begin else None,
        message_history=[],
    )
    return env


def _task(start: Start) -> Any:
    """The package's task of a start, told of its customer."""
    text = renamed(json.dumps(_tasks(start["domain"])[start["task"]]), start.get("customer", 0))
    return import_module("tau2.data_model.tasks").Task.model_validate_json(text)


def renamed(text: str, customer: int) -> str:
    """A text of telecom in which the package's one customer, its line and its late bill are called otherwise.

    Number 0 is the package's own; every other number draws a name, a telephone number and ids that no one else has.
    """
    if customer:
        draw = random.Random(customer)
        theirs = (
            f"{draw.choice(_FIRST_NAMES)} {draw.choice(_LAST_NAMES)}",
            f"555-{draw.randint(200, 999)}-{draw.randint(1000, 9999)}",
            *(f"{letter}{draw.randint(2000, 9999)}" for letter in "CL"),
            f"B{draw.randint(2_000_000, 9_999_999)}",
        )
        for old, new in zip(_CUSTOMER, theirs, strict=True):
            text = text.replace(old, new)
    return text


@lru_cache(maxsize=256)
def _right_hash(start: str) -> str:
    """The databases after the right actions of a start, which is given as JSON; what they fail at stays as it was."""
    task = _task(json.loads(start))
    env = _set_up(task, json.loads(start))
    for action in task.evaluation_criteria.actions or ():
        with suppress(Exception):  # the package's evaluator takes any failure of a right action for a step that was
            env.make_tool_call(tool_name=action.name, requestor=action.requestor, **action.arguments)
    return env.get_db_hash()


def _asks_for_something(wanted: Mapping[str, Any], kit: Any) -> bool:
    """Whether anything is to be changed or said."""
    return bool(wanted.get("communicate_info")) or any(
        kit.tool_type(action["name"]).value == "write" for action in wanted["actions"]
    )


def _kits(env: Any) -> Iterable[Any]:
    return (kit for kit in (env.tools, env.user_tools) if kit is not None)


def _described(env: Any) -> Iterator[str]:
    """The tools, as players are told of them."""
    for kit in _kits(env):
        for name, tool in kit.get_tools().items():
            schema = tool.openai_schema["function"]
            properties = schema["parameters"].get("properties", {})
            described = " ".join(schema["description"].split())
            arguments = f" Arguments: {json.dumps(properties)}" if properties else ""
            yield f"- {name}: {described}{arguments}"


@cache
def _signatures() -> dict[str, tuple[str, ...]]:
    """Of telecom: the arguments that each tool needs."""
    return {
        name: tuple(tool.openai_schema["function"]["parameters"].get("required") or ())
        for kit in _kits(_environment("telecom"))
        for name, tool in kit.get_tools().items()
    }


@cache
def _closed_sets() -> dict[str, tuple[str, ...]]:
    """Of telecom: the values that an argument may have, whatever was seen."""
    model = import_module("tau2.domains.telecom.user_data_model")
    apps = _environment("telecom").user_tools.db.device.app_statuses
    return {
        "mode": tuple(mode.value for mode in model.NetworkModePreference),
        "app_name": tuple(apps),
        "permission": tuple(dict.fromkeys(p for app in apps.values() for p in app.permissions.model_dump())),
        "summary": ("The issue cannot be solved at this desk.",),
    }
