"""A team of agents as data, read from YAML or JSON in three dialects.

Ours, which is also that of the OpenAI Agents SDK written out (a list of agents, each with its hand-offs)::

    name: report-team
    agents:
      - name: planner
        description: Plans the report
        instructions: Write an outline ...
        tools: [search]
        handoffs: [writer]
      - name: writer
        instructions: Write the report ...

one agent of that SDK with its hand-offs nested inside; and a LangGraph graph as `to_json` gives it (`nodes`, `edges`),
with `instructions` (or `prompt`) among the `data` or `metadata` of each node. Only names and texts are taken; nothing
in a definition is imported or run.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import yaml

from prowess.core.base import Frozen
from prowess.core.errors import UserError

CAP: Final = 1024 * 1024
"""Bytes of a definition that are read."""
_DEPTH: Final = 20
_STARTS: Final = {"__start__", "START", "start"}
_ENDS: Final = {"__end__", "END", "end"}
_HINT: Final = "the documentation of `compile` shows the three forms that are read"

Protocol = Literal["sequence", "route", "parallel", "debate", "vote"]


class Role(Frozen):
    """One agent of the team."""

    name: str
    description: str = ""
    instructions: str
    tools: tuple[str, ...] = ()
    model: str | None = None
    private: bool = False
    """It keeps something from the others, or sees less than they do."""


class Hand(Frozen):
    """One agent may go on to another."""

    source: str
    target: str | None
    """None for the end."""
    when: str = ""


class Team(Frozen):
    """A team of agents and how they work together."""

    name: str
    roles: tuple[Role, ...]
    hands: tuple[Hand, ...] = ()
    entry: str
    protocol: Protocol = "route"

    def role(self, name: str) -> Role:
        return next(role for role in self.roles if role.name == name)

    def after(self, name: str) -> tuple[Hand, ...]:
        return tuple(hand for hand in self.hands if hand.source == name)


def read_team(path: Path) -> Team:
    """The team that a file defines.

    Raises:
        UserError: it cannot be read, is none of the known forms, or names agents that it does not define.
    """
    try:
        data = path.read_bytes()
        text = data[: CAP + 1].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", "give a YAML or JSON file") from error
    if len(data) > CAP:
        raise UserError(f"{path} has {len(data):,} bytes; {CAP:,} are read", "leave out what is no definition")
    return team_of(_parse(text, path), path.stem)


def team_of(value: object, name: str) -> Team:
    """The team that parsed YAML or JSON defines, called `name` where it has no name. Raises as `read_team`."""
    if not isinstance(value, dict):
        raise UserError("the definition is no mapping", _HINT)
    top = cast("dict[str, Any]", value)
    if isinstance(top.get("nodes"), list) and isinstance(top.get("edges"), list):
        team = _graph(top, name)
    elif isinstance(top.get("agents"), list):
        team = _listed(top, name)
    elif top.get("instructions"):
        team = _listed({"name": top.get("name"), "agents": list(_nested(top, 0)), "entry": top.get("name")}, name)
    else:
        raise UserError("the definition has neither agents nor nodes and edges", _HINT)
    _check_names(team)
    return team


def _parse(text: str, path: Path) -> object:
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text)
        # Aliases could unfold a short file into gigabytes.
        events: Iterator[object] = cast(Any, yaml).parse(text)
        if any(isinstance(event, yaml.AliasEvent) for event in events):
            raise UserError(f"{path} uses YAML aliases", "write the repeated part out")
        return yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be parsed: {error}", "mend the file") from error


def _listed(top: Mapping[str, Any], name: str) -> Team:
    agents = [_mapping(agent, "an agent") for agent in top["agents"]]
    roles = tuple(_role(agent, _text(agent, "name")) for agent in agents)
    hands: list[Hand] = []
    for agent in agents:
        for hand in _list(agent, "handoffs"):
            target = hand if isinstance(hand, str) else _mapping(hand, "a hand-off")
            if isinstance(target, str):
                hands.append(Hand(source=_text(agent, "name"), target=_end(target)))
            else:
                to = _text(target, "to") or _text(target, "agent") or _text(target, "name")
                when = _text(target, "when") or _text(target, "description")
                hands.append(Hand(source=_text(agent, "name"), target=_end(to), when=when))
    for hand in (_mapping(h, "an entry of flow") for h in _list(top, "flow")):
        hands.append(Hand(source=_text(hand, "from"), target=_end(_text(hand, "to")), when=_text(hand, "when")))
    protocol = _text(top, "protocol") or "route"
    if not roles:
        raise UserError("the definition has no agents", _HINT)
    if not hands and len(roles) > 1 and protocol in ("sequence", "route"):
        # A list of agents that says nothing of hand-offs is a pipeline.
        hands = [Hand(source=a.name, target=b.name) for a, b in pairwise(roles)]
    if protocol not in get_args(Protocol):
        raise UserError(f"the protocol {protocol!r} is not known", f"write one of {', '.join(get_args(Protocol))}")
    if top.get("shared_history") is False:
        roles = tuple(role.model_copy(update={"private": True}) for role in roles)
    return Team(
        name=_text(top, "name") or name,
        roles=roles,
        hands=tuple(hands),
        entry=_text(top, "entry") or _text(agents[0], "name"),
        protocol=cast("Protocol", protocol),
    )


def _nested(agent: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    """An agent and all that it hands off to, each with the names of its own hand-offs."""
    if depth > _DEPTH:
        raise UserError(f"agents are nested more than {_DEPTH} deep", "list them under `agents` instead")
    inner = [h for h in _mappings(agent, "handoffs") if "instructions" in h]
    names = [h if isinstance(h, str) else _mapping(h, "a hand-off") for h in _list(agent, "handoffs")]
    yield {**agent, "handoffs": [n if isinstance(n, str) else {"to": _text(n, "name")} for n in names]}
    for hand in inner:
        yield from _nested(hand, depth + 1)


def _graph(top: Mapping[str, Any], name: str) -> Team:
    nodes = [_mapping(node, "a node") for node in top["nodes"]]
    roles: list[Role] = []
    for node in nodes:
        id = _text(node, "id") or _text(node, "name")
        if id not in _STARTS | _ENDS:
            told = {
                k: v for key in ("data", "metadata") if isinstance(node.get(key), dict) for k, v in node[key].items()
            }
            roles.append(_role({**told, **{k: v for k, v in node.items() if k not in ("data", "name")}}, id))
    hands: list[Hand] = []
    entry = _text(top, "entry") or (roles[0].name if roles else "")
    for edge in (_mapping(e, "an edge") for e in top["edges"]):
        source, target = _text(edge, "source"), _text(edge, "target")
        if source in _STARTS:
            entry = target
        else:
            when = _text(edge, "data") if edge.get("conditional") else ""
            hands.append(
                Hand(source=source, target=_end(target), when=when or ("it fits" if edge.get("conditional") else ""))
            )
    if not roles:
        raise UserError("the graph has no nodes", _HINT)
    return Team(name=_text(top, "name") or name, roles=tuple(roles), hands=tuple(hands), entry=entry)


def _role(agent: Mapping[str, Any], name: str) -> Role:
    instructions = _text(agent, "instructions") or _text(agent, "prompt") or _text(agent, "system_prompt")
    if not name or not instructions:
        raise UserError(
            f"agent {name!r} has no {'instructions' if name else 'name'}",
            "a graph alone does not say what its agents do: write their instructions into the definition",
        )
    filtered = any(h.get("input_filter") for h in _mappings(agent, "handoffs"))
    return Role(
        name=name,
        description=_text(agent, "description") or _text(agent, "handoff_description") or _text(agent, "role"),
        instructions=instructions,
        tools=tuple(t if isinstance(t, str) else _text(_mapping(t, "a tool"), "name") for t in _list(agent, "tools")),
        model=_text(agent, "model") or None,
        private=bool(agent.get("private")) or _text(agent, "memory") == "private" or filtered,
    )


def _check_names(team: Team) -> None:
    names = [role.name for role in team.roles]
    if len(set(names)) < len(names):
        raise UserError(f"two agents of {team.name!r} have one name", "give each its own")
    asked = [(f"{h.source!r} hands off to", h.target) for h in team.hands if h.target is not None]
    asked += [("the flow starts at", h.source) for h in team.hands] + [("the team starts with", team.entry)]
    for what, name in asked:
        if name not in names:
            raise UserError(
                f"{what} {name!r}, which is no agent of {team.name!r}", f"the agents are {', '.join(names)}"
            )


def _end(name: str) -> str | None:
    return None if name in _ENDS else name


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value.strip() if isinstance(value, str) else ""


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    value: Any = row.get(key) or []
    if not isinstance(value, list):
        raise UserError(f"{key} is {type(value).__name__}, not a list", _HINT)
    return cast("list[Any]", value)


def _mappings(row: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Those entries of a list that are mappings."""
    return [cast("dict[str, Any]", value) for value in _list(row, key) if isinstance(value, dict)]


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{what} is {type(value).__name__}, not a mapping", _HINT)
    return cast("dict[str, Any]", value)
