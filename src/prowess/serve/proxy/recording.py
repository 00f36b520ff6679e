"""What passed through the proxy, as trajectories in the store of imported sessions.

The importers know the messages of all three dialects, since agents' logs are made of them; here each exchange is put
into the form that they read. It happens in a process of its own: parsing and redacting long conversations would hold up
the streams of others. Recording never holds up a client either: what comes faster than it can be written is counted and
let go.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, cast

from pydantic import JsonValue

from prowess.agents.models.prices import UNKNOWN, price_of
from prowess.core.cost import Cost
from prowess.core.trajectory import Step, Trajectory
from prowess.guard.redact import redact_trajectory
from prowess.serve.proxy.dialects import text_of
from prowess.serve.proxy.replies import reply_of
from prowess.serve.proxy.sessions import placed
from prowess.serve.proxy.upstreams import Dialect
from prowess.trajectories.importers.chat import trajectory_of as trajectory_of_chat
from prowess.trajectories.importers.claude_steps import Builder as ClaudeBuilder
from prowess.trajectories.importers.claude_steps import cost_of
from prowess.trajectories.importers.codex import Builder as CodexBuilder
from prowess.trajectories.importers.records import (
    Draft,
    Record,
    Report,
    add_costs,
    as_dict,
    as_int,
    as_list,
    as_name,
    as_text,
    clean_json,
    is_own_run,
    main_model,
)
from prowess.trajectories.plain import Json
from prowess.trajectories.skill_use import with_skills
from prowess.trajectories.store import TrajectoryStore

REMEMBERED: Final = 512
"""Replies of the responses dialect that a later request may refer to instead of repeating them."""
_AGENTS: Final = {"claude-cli": "claude-code", "codex_cli_rs": "codex", "codex_exec": "codex", "codex-tui": "codex"}
_SESSION = re.compile(r"session_([0-9a-fA-F-]{36})")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its whole reply."""

    dialect: Dialect
    request: bytes
    """JSON, as the client sent it (decompressed), without what was shown of the library."""
    reply: bytes
    """Decompressed."""
    streamed: bool
    started: str
    """ISO 8601."""
    seconds: float
    provider: str
    user_agent: str
    session: str
    """What the client calls its session, where it does."""
    shown: tuple[str, ...] = ()
    """Skills of the library that were put into the request."""
    snapshot: str | None = None
    """Digest of the library as it was then."""


class Recorded(NamedTuple):
    """What became of one exchange, for counting."""

    outcome: str
    """`kept`, `own` (a run that prowess started itself), `partial` (no whole reply), or `unreadable`."""
    provider: str
    model: str = "unknown"
    prompt_tokens: int = 0
    completion_tokens: int = 0


_past: OrderedDict[str, list[JsonValue]] = OrderedDict()
"""Conversation up to a reply of the responses dialect, by the id of the reply."""


def record(path: Path, exchanges: Iterable[Exchange]) -> list[Recorded]:
    """Keep exchanges in the store at `path`, all in one transaction."""
    told: list[Recorded] = []
    fresh: dict[str, Trajectory] = {}
    with TrajectoryStore(path) as store:

        def known(id: str) -> Trajectory | None:
            return fresh.get(id) or (store.get(id) if id in store else None)

        for exchange in exchanges:
            made, outcome = _made(exchange)
            if made is None:
                told.append(Recorded(outcome, exchange.provider))
                continue
            whole = placed(made, known)
            fresh[whole.id] = _with_use(whole)
            last = made.steps[-1]
            cost = last.cost or Cost()
            model = last.model or made.model
            told.append(Recorded("kept", exchange.provider, model, cost.prompt_tokens, cost.completion_tokens))
        store.put_all(fresh.values())
    return told


def _made(exchange: Exchange) -> tuple[Trajectory | None, str]:
    """The conversation of one exchange, without secrets; else why there is none."""
    report = Report(Path("proxy"), exchange.dialect)
    found = clean_json(exchange.request, report, ())  # secrets are taken out of the whole, below
    if not isinstance(found, dict):
        return None, "unreadable"
    request = cast(Json, found)
    reply = reply_of(exchange.dialect, exchange.reply, exchange.streamed)
    if reply is None:
        return None, "partial"
    steps, offered = {"chat": _chat, "messages": _messages, "responses": _responses}[exchange.dialect](request, reply)
    if not steps or steps[-1].source != "agent":
        return None, "unreadable"
    if is_own_run(steps, None):
        return None, "own"
    steps[-1] = _told(steps[-1], exchange, reply)
    made = Trajectory(
        id="",
        agent=agent_of(exchange.user_agent),
        model=main_model(steps, request.get("model")),
        snapshot=exchange.snapshot,
        offered=tuple(dict.fromkeys([*exchange.shown, *offered])),
        steps=tuple(steps),
        cost=add_costs(steps),
        extra={
            "source": "proxy",
            "dialect": exchange.dialect,
            **({"session_id": session} if (session := exchange.session or _session(request)) else {}),
            **({"shown": list[JsonValue](exchange.shown)} if exchange.shown else {}),
        },
    )
    return redact_trajectory(made)[0], "kept"


def _with_use(trajectory: Trajectory) -> Trajectory:
    shown = [(0, name) for name in as_list(trajectory.extra.get("shown")) if isinstance(name, str)]
    return with_skills(trajectory, trajectory.offered, shown)


def _chat(request: Json, reply: Json) -> tuple[list[Step], list[str]]:
    message = as_dict(as_dict(as_list(reply.get("choices"))[0]).get("message"))
    conversation: Json = {"messages": [*as_list(request.get("messages")), {**message, "role": "assistant"}]}
    made = trajectory_of_chat(conversation, Report(Path("proxy"), "chat"))
    return (list(made.steps), list(made.offered)) if made is not None else ([], [])


def _messages(request: Json, reply: Json) -> tuple[list[Step], list[str]]:
    builder = ClaudeBuilder()
    if system := text_of(request.get("system")):
        builder.drafts.append(Draft("system", system))
    for line, message in enumerate([*as_list(request.get("messages")), {**reply, "role": "assistant"}]):
        kind = as_dict(message).get("role")
        if kind in ("user", "assistant"):
            builder.add(Record(line, {"type": kind, "message": message}))
    for draft in builder.drafts:
        draft.extra.pop("lines", None)  # of a log's envelope, which there is none of
    return [draft.step() for draft in builder.drafts], builder.offered


def _responses(request: Json, reply: Json) -> tuple[list[Step], list[str]]:
    builder = CodexBuilder()
    builder.model = as_name(reply.get("model")) or as_name(request.get("model"))
    if instructions := as_text(request.get("instructions")):
        builder.drafts.append(Draft("system", instructions))
    given = request.get("input")
    one: Json = {"type": "message", "role": "user", "content": given}
    new: list[JsonValue] = [one] if isinstance(given, str) else as_list(given)
    items = [*_past.get(as_text(request.get("previous_response_id")), []), *new, *as_list(reply.get("output"))]
    if id := as_name(reply.get("id")):
        _past[id] = items
        if len(_past) > REMEMBERED:
            _past.popitem(last=False)
    for item in map(as_dict, items):
        # Messages may come without their type.
        payload = item if "type" in item else {**item, "type": "message"}
        builder.record("response_item", payload, {"type": "response_item", "payload": payload})
    return [draft.step() for draft in builder.drafts], builder.offered


def _told(step: Step, exchange: Exchange, reply: Json) -> Step:
    """The new reply with what only this moment tells: when, by which model, at what cost, in which tokens."""
    model = as_name(reply.get("model")) or step.model
    cost = _cost(exchange, as_dict(reply.get("usage")), model or "")
    extra: Json = dict(step.extra)
    if tokens := _tokens(exchange.dialect, reply):
        metrics: Json = {
            "prompt_tokens": cost.prompt_tokens,
            "completion_tokens": cost.completion_tokens,
            "cached_tokens": cost.cached_tokens,
            "cost_usd": cost.usd,
            **tokens,
        }
        extra["atif"] = {**as_dict(extra.get("atif")), "metrics": metrics}
    return step.model_copy(update={"model": model, "timestamp": exchange.started, "cost": cost, "extra": extra})


def _cost(exchange: Exchange, usage: Json, model: str) -> Cost:
    if exchange.dialect == "messages":
        cost = cost_of(usage)
    else:
        sent, made = ("input", "output") if exchange.dialect == "responses" else ("prompt", "completion")
        cached = as_int(as_dict(usage.get(f"{sent}_tokens_details")).get("cached_tokens"))
        cost = Cost(
            calls=1,
            prompt_tokens=as_int(usage.get(f"{sent}_tokens")),
            cached_tokens=cached,
            completion_tokens=as_int(usage.get(f"{made}_tokens")),
        )
    price = price_of(exchange.provider, model) or UNKNOWN
    written = as_int(usage.get("cache_creation_input_tokens"))
    fresh = max(0, cost.prompt_tokens - cost.cached_tokens - written)
    usd = price.usd(fresh, cost.cached_tokens, cost.completion_tokens, written)
    return cost.model_copy(update={"seconds": exchange.seconds, "usd": usd})


def _tokens(dialect: Dialect, reply: Json) -> Json:
    """Ids and log-probabilities of tokens, under the names that ATIF has for them, where the upstream gave them."""
    found: Json = {}
    if dialect == "chat":
        choice = as_dict(as_list(reply.get("choices"))[0])
        given = as_list(as_dict(choice.get("logprobs")).get("content"))
        found["prompt_token_ids"] = as_list(reply.get("prompt_token_ids") or choice.get("prompt_token_ids"))
        found["completion_token_ids"] = as_list(choice.get("token_ids"))
    elif dialect == "responses":
        parts = [p for item in as_list(reply.get("output")) for p in as_list(as_dict(item).get("content"))]
        given = [token for part in parts for token in as_list(as_dict(part).get("logprobs"))]
    else:
        return {}
    logprobs = [as_dict(token).get("logprob") for token in given]
    if logprobs and all(isinstance(value, (int, float)) for value in logprobs):
        found["logprobs"] = list[JsonValue](logprobs)
    return {name: value for name, value in found.items() if value}


def agent_of(user_agent: str) -> str:
    """Name and version of the program that a `User-Agent` names first."""
    product = user_agent.split("(", maxsplit=1)[0].split()
    name, _, version = (product[0] if product else "").partition("/")
    if name in ("OpenAI", "Anthropic", "AsyncOpenAI", "AsyncAnthropic"):
        name, version = f"{name.removeprefix('Async').lower()}-sdk", product[-1] if len(product) > 1 else version
    return f"{_AGENTS.get(name, name) or 'unknown'}/{version or 'unknown'}"[:80]


def _session(request: Json) -> str:
    """What agents write into the body: Claude Code within the user's id, Codex as the key of its prompt cache."""
    user = as_text(as_dict(request.get("metadata")).get("user_id"))
    if found := _SESSION.search(user):
        return found[1]
    return as_text(request.get("prompt_cache_key"))[:200]
