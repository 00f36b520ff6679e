"""The request side of the three dialects: where they live, what was asked, how text is added, how errors look."""

import json
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from prowess.serve.proxy.upstreams import Dialect
from prowess.trajectories.importers.records import as_dict, as_list, as_text
from prowess.trajectories.plain import Json

PATHS: Final[Mapping[Dialect, str]] = {
    "chat": "/chat/completions", "responses": "/responses", "messages": "/messages",
}  # fmt: skip
"""Below the address of an upstream, and below `/v1` of the proxy."""
_KINDS: Final = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    408: "timeout_error", 413: "request_too_large", 503: "overloaded_error",
}  # fmt: skip


def error(dialect: Dialect, status: int, message: str) -> bytes:
    """An error of the proxy itself, as the dialect's own clients expect it."""
    kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    inner: Json = {"type": kind, "message": message}
    if dialect == "messages":
        return json.dumps({"type": "error", "error": inner}).encode()
    return json.dumps({"error": {**inner, "param": None, "code": None}}).encode()


def asked(dialect: Dialect, body: Json) -> str:
    """The first thing that the user said: the same in every request of a conversation."""
    given = body.get("input" if dialect == "responses" else "messages")
    if isinstance(given, str):
        return given
    users = (as_dict(item) for item in as_list(given) if as_dict(item).get("role") == "user")
    return next((text for user in users if (text := text_of(user.get("content")))), "")


def with_text(dialect: Dialect, body: Json, text: str) -> Json:
    """The request with `text` behind the instructions that it has, where it takes nothing from a prompt cache."""
    if dialect == "responses":
        return {**body, "instructions": _behind(as_text(body.get("instructions")), text)}
    if dialect == "messages":
        system = body.get("system")
        blocks: list[JsonValue] = [{"type": "text", "text": system}] if isinstance(system, str) else as_list(system)
        return {**body, "system": [*blocks, {"type": "text", "text": text}]}
    messages = as_list(body.get("messages"))
    leading = next((i for i, m in enumerate(messages) if as_dict(m).get("role") not in ("system", "developer")), 0)
    return {**body, "messages": [*messages[:leading], {"role": "system", "content": text}, *messages[leading:]]}


def text_of(content: JsonValue) -> str:
    """The text of a message's content, whichever form it has; what is no text is passed over."""
    if isinstance(content, str):
        return content
    parts = (as_dict(part).get("text") for part in as_list(content))
    return "\n".join(part for part in parts if isinstance(part, str))


def _behind(there: str, text: str) -> str:
    return f"{there}\n\n{text}" if there else text
