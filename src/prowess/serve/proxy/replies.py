"""The reply side of the three dialects: a stream of events put together as the reply that it stands for.

What is made here is recorded, never sent: clients get the very bytes of the upstream.
"""

from collections.abc import Iterator
from typing import cast

from pydantic import JsonValue
from pydantic_core import from_json

from prowess.serve.proxy.upstreams import Dialect
from prowess.trajectories.importers.records import as_dict, as_list, as_text
from prowess.trajectories.plain import Json


def reply_of(dialect: Dialect, data: bytes, streamed: bool) -> Json | None:
    """The reply as the dialect has it without streaming; None when it broke off, failed or cannot be read.

    Half a reply is worth nothing to learn from, so there is none.
    """
    if not streamed:
        found = _json(data)
        return found if found and not found.get("error") and _whole(dialect, found) else None
    events = list(_events(data))
    if any("error" in event and event.get("error") for event in events if event.get("type") in (None, "error")):
        return None
    return {"chat": _chat, "messages": _messages, "responses": _responses}[dialect](events)


def _whole(dialect: Dialect, reply: Json) -> bool:
    if dialect == "chat":
        return bool(as_list(reply.get("choices")))
    return isinstance(reply.get("content" if dialect == "messages" else "output"), list)


def _events(data: bytes) -> Iterator[Json]:
    """The data of each event, where it is a JSON object. `[DONE]` and comments are passed over."""
    for block in data.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        if lines and (found := _json(b"\n".join(lines))) is not None:
            yield found


def _json(data: bytes) -> Json | None:
    try:
        found = from_json(data, allow_inf_nan=False)
    except ValueError:
        return None
    return cast(Json, found) if isinstance(found, dict) else None


def _chat(events: list[Json]) -> Json | None:
    """The first choice; several are alternatives, of which an agent goes on with one."""
    reply: Json = {}
    text: dict[str, str] = {}
    calls: dict[int, dict[str, str]] = {}
    logprobs: list[JsonValue] = []
    tokens: list[JsonValue] = []
    finish: JsonValue = None
    for event in events:
        reply |= {k: v for k, v in event.items() if k in ("id", "model", "usage", "prompt_token_ids") and v is not None}
        choice = next((c for c in map(as_dict, as_list(event.get("choices"))) if c.get("index", 0) == 0), {})
        delta = as_dict(choice.get("delta"))
        for name in ("content", "reasoning_content", "reasoning", "refusal"):
            if isinstance(delta.get(name), str):
                text[name] = text.get(name, "") + as_text(delta[name])
        for part in map(as_dict, as_list(delta.get("tool_calls"))):
            number = part.get("index", 0)
            call = calls.setdefault(number if isinstance(number, int) else 0, {"id": "", "name": "", "arguments": ""})
            function = as_dict(part.get("function"))
            call["id"] = call["id"] or as_text(part.get("id"))
            call["name"] = call["name"] or as_text(function.get("name"))
            call["arguments"] += as_text(function.get("arguments"))
        logprobs += as_list(as_dict(choice.get("logprobs")).get("content"))
        tokens += as_list(choice.get("token_ids"))
        finish = choice.get("finish_reason") or finish
    if not finish:
        return None
    message: Json = {"role": "assistant", "content": None, **text}
    if calls:
        message["tool_calls"] = [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for _, c in sorted(calls.items())
        ]
    choice: Json = {"index": 0, "message": message, "finish_reason": finish}
    if logprobs:
        choice["logprobs"] = {"content": logprobs}
    if tokens:
        choice["token_ids"] = tokens
    return {**reply, "choices": [choice]}


def _messages(events: list[Json]) -> Json | None:
    reply: Json = {}
    blocks: dict[int, Json] = {}
    inputs: dict[int, str] = {}
    ended = False
    for event in events:
        kind, index = event.get("type"), event.get("index")
        if kind == "message_start":
            reply = dict(as_dict(event.get("message")))
        elif kind == "content_block_start" and isinstance(index, int):
            blocks[index] = dict(as_dict(event.get("content_block")))
        elif kind == "content_block_delta" and isinstance(index, int):
            delta, block = as_dict(event.get("delta")), blocks.setdefault(index, {})
            if delta.get("type") == "input_json_delta":
                inputs[index] = inputs.get(index, "") + as_text(delta.get("partial_json"))
            for name in ("text", "thinking", "signature"):
                if isinstance(delta.get(name), str):
                    block[name] = as_text(block.get(name)) + as_text(delta[name])
        elif kind == "message_delta":
            reply |= as_dict(event.get("delta"))
            reply["usage"] = {**as_dict(reply.get("usage")), **as_dict(event.get("usage"))}
        ended = ended or kind == "message_stop"
    if not ended or not reply:
        return None
    for index, text in inputs.items():
        if text:
            blocks[index]["input"] = _json(text.encode("utf-8", "surrogatepass")) or {"input": text}
    content: list[JsonValue] = [blocks[index] for index in sorted(blocks)]
    return {**reply, "content": content}


def _responses(events: list[Json]) -> Json | None:
    ended = next((e for e in events if e.get("type") in ("response.completed", "response.incomplete")), None)
    if ended is None:
        return None
    reply = as_dict(ended.get("response"))
    if not as_list(reply.get("output")):
        done: list[JsonValue] = [e.get("item") for e in events if e.get("type") == "response.output_item.done"]
        return {**reply, "output": done}
    return reply
