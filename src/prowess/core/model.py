"""What is said to a model and what comes back. The clients live in `prowess.agents.models`."""

from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, JsonValue

from prowess.core.base import Frozen, digest
from prowess.core.cost import Cost


class ToolCall(Frozen):
    """A tool that the model wants run."""

    id: str
    name: str
    arguments: dict[str, JsonValue]


class Tool(Frozen):
    """A tool offered to the model; `parameters` is a JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, JsonValue]


class Message(Frozen):
    """One turn. A `tool` message answers the call named by `tool_call_id`."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Request(Frozen):
    """One completion. Two equal requests (seed included) may be answered from a cache."""

    messages: tuple[Message, ...]
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    json_schema: dict[str, JsonValue] | None = None
    """The answer must be JSON that fits this schema; constrained by grammar where the engine can."""
    tools: tuple[Tool, ...] = ()

    @property
    def digest(self) -> str:
        return digest(self)


def storable(text: str) -> str:
    """`text` with halves of surrogate pairs replaced: JSON may hold them, but UTF-8 and so our files may not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Response(Frozen):
    """What the model said, and what it cost."""

    text: Annotated[str, AfterValidator(storable)]
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: Literal["stop", "length", "tool_calls", "refusal"] = "stop"
    model: str
    cost: Cost
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each sampled token, where the engine gives them."""


class Model(Protocol):
    """Anything that completes a conversation.

    `complete` raises `ModelError` when no usable answer came (after its own bounded retries) and `BudgetExceeded`
    when a limit was reached before the call.
    """

    @property
    def name(self) -> str:
        """Identity that belongs into content keys: provider, model and weights digest or version."""
        ...

    async def complete(self, request: Request) -> Response: ...
