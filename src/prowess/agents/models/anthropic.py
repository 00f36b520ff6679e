"""Anthropic's models, through Anthropic's own SDK."""

import json
import logging
import time
from typing import Any, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, JsonValue, ValidationError

from prowess.agents.models.calls import Busy, Paid, Rejected, post, with_retries
from prowess.agents.models.meter import tokens_bound
from prowess.agents.models.prices import Price, price_or_warning
from prowess.agents.models.schema import strict
from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import Message, Request, Response, ToolCall

Body = dict[str, Any]
_log = logging.getLogger(__name__)


class AnthropicModel:
    """One model of Anthropic. `timeout` (seconds) bounds each attempt, `price` overrides the table.

    `base_url` and `api_key` default to the SDK's own environment variables. There is no seed: equal requests may be
    answered differently. Temperature is left out for models that do not support it.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        price: Price | None = None,
    ) -> None:
        import anthropic

        self._sdk: Any = anthropic
        self._client = anthropic.AsyncAnthropic(base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout)
        if not (self._client.api_key or self._client.auth_token or getattr(self._client, "credentials", None)):
            raise UserError(f"no access to {model!r}: there is no key", "set ANTHROPIC_API_KEY, or pass a key")
        self._model = model
        self._timeout = timeout
        self._price = price or price_or_warning("anthropic", model)
        self._temperature = True

    @property
    def name(self) -> str:
        address = urlsplit(str(self._client.base_url))
        default = address.hostname is not None and address.hostname.endswith(".anthropic.com")
        where = "" if default else f"@{address.hostname}:{address.port or ''}{address.path.rstrip('/')}"
        return f"anthropic:{self._model}{where}"

    def bound(self, request: Request) -> Cost:
        """What `request` may cost at most: its whole prompt written to the provider's cache."""
        most = tokens_bound(request)
        usd = self._price.usd(0, 0, most.completion_tokens, most.prompt_tokens)
        return most.model_copy(update={"usd": usd})

    async def complete(self, request: Request) -> Response:
        start = time.monotonic()
        answer = await with_retries(lambda: self._once(request))
        return self._response(answer, request, time.monotonic() - start)

    async def _once(self, request: Request) -> "_Answer":
        create = self._client.messages.with_raw_response.create
        secret = self._client.api_key or self._client.auth_token or ""
        while True:
            try:
                found = await post(
                    create, self._body(request), sdk=self._sdk, who=self.name, secret=secret, timeout=self._timeout
                )
            except Rejected as error:
                if not (error.status == 400 and self._temperature and "temperature" in str(error)):
                    raise
                self._temperature = False
                _log.warning("%s does not support temperature: it is left out", self.name)
            else:
                return _parsed(found, self.name)

    def _body(self, request: Request) -> Body:
        out: Body = {
            "model": self._model,
            "max_tokens": request.max_tokens,
            "messages": turns(request.messages),
            "timeout": self._timeout,
        }
        if self._temperature:
            out["extra_body"] = {"temperature": request.temperature}  # newer SDKs have no parameter for it
        constrained = strict(request.json_schema) if request.json_schema is not None else None
        told = [m.content for m in request.messages if m.role == "system"]
        if constrained is not None:
            out["output_config"] = {"format": {"type": "json_schema", "schema": constrained}}
        elif request.json_schema is not None:  # free keys cannot be constrained: asked for instead
            told.append(f"Answer with only JSON that fits this schema: {json.dumps(request.json_schema)}")
        system = "\n\n".join(told)
        if system:
            # marked, so that trials with one system prompt read it from the provider's cache
            out["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
        if request.stop:
            out["stop_sequences"] = list(request.stop)
        if request.tools:
            out["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
                for tool in request.tools
            ]
        return out

    def _response(self, answer: "_Answer", request: Request, seconds: float) -> Response:
        usage = answer.usage
        cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        cost = Cost(
            calls=1,
            prompt_tokens=usage.input_tokens + cached + written,
            cached_tokens=cached,
            completion_tokens=usage.output_tokens,
            seconds=seconds,
            usd=self._price.usd(usage.input_tokens, cached, usage.output_tokens, written),
        )
        if answer.stop_reason == "refusal":
            raise Paid(f"{self.name} refused to answer", cost)
        text = "".join(block.text for block in answer.content if block.type == "text")
        calls = tuple(
            ToolCall(id=block.id, name=block.name, arguments=block.input)
            for block in answer.content
            if block.type == "tool_use"
        )
        cut = answer.stop_reason in ("max_tokens", "model_context_window_exceeded")
        if not text and not calls:
            why = f": all of {request.max_tokens} tokens went into thought; allow more" if cut else ""
            raise Paid(f"{self.name} answered with nothing{why}", cost, retryable=not cut)
        return Response(
            text=text,
            tool_calls=calls,
            finish_reason="length" if cut else "tool_calls" if calls else "stop",
            model=f"anthropic:{answer.model or self._model}",
            cost=cost,
        )


def turns(messages: tuple[Message, ...]) -> list[Body]:
    """The conversation in Anthropic's form: no system turns, answers of tools as blocks of a user's turn."""
    out: list[Body] = []
    for message in messages:
        blocks = _blocks(message)
        if message.role == "system" or not blocks:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if out and out[-1]["role"] == role:
            cast("list[Body]", out[-1]["content"]).extend(blocks)
        else:
            out.append({"role": role, "content": blocks})
    return out


def _blocks(message: Message) -> list[Body]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}]
    text: list[Body] = [{"type": "text", "text": message.content}] if message.content else []
    return text + [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in message.tool_calls
    ]


class _Block(BaseModel):
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, JsonValue] = {}


class _Usage(BaseModel):
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cache_read_input_tokens: int | None = Field(default=None, ge=0)
    cache_creation_input_tokens: int | None = Field(default=None, ge=0)


class _Answer(BaseModel):
    content: list[_Block]
    stop_reason: str | None = None
    model: str = ""
    usage: _Usage


def _parsed(found: Body, who: str) -> _Answer:
    try:
        return _Answer.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Busy(f"{who} answered with something that is no message: {where}: {first['msg']}") from None
