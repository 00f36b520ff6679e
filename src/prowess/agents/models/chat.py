"""OpenAI's chat dialect, as both its endpoints and the embedded engine speak it."""

import json
from typing import Any, cast

from pydantic import JsonValue

from prowess.core.errors import ModelError
from prowess.core.model import Message, Request, ToolCall

Body = dict[str, Any]


def body(request: Request) -> Body:
    """The parts of a request that every speaker of the dialect understands."""
    out: Body = {"messages": [message(m) for m in request.messages]}
    if request.stop:
        out["stop"] = list(request.stop)
    if request.json_schema is not None:
        schema = {"name": "answer", "strict": True, "schema": request.json_schema}
        out["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.tools:
        out["tools"] = [{"type": "function", "function": tool.model_dump(mode="json")} for tool in request.tools]
    return out


def message(message: Message) -> Body:
    """One turn in the dialect."""
    out: Body = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        out["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return out


def tool_call(identity: str, name: str, arguments: str) -> ToolCall:
    """A call as the model wrote it. Raises `ModelError` when the arguments are no JSON object."""
    try:
        found: object = json.loads(arguments or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelError(f"the model called {name!r} with arguments that are no JSON object: {arguments[:500]!r}")
    return ToolCall(id=identity, name=name, arguments=cast("dict[str, JsonValue]", found))
