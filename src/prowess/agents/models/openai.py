"""Any endpoint that speaks OpenAI's chat dialect, through OpenAI's own SDK."""

import logging
import time
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from prowess.agents.models import chat
from prowess.agents.models.calls import Busy, Paid, Rejected, estimate, post, with_retries
from prowess.agents.models.meter import tokens_bound
from prowess.agents.models.prices import Price, price_or_warning
from prowess.agents.models.schema import strict
from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import Request, Response

_log = logging.getLogger(__name__)
_OPTIONAL = frozenset({"temperature", "seed", "stop", "logprobs", "top_logprobs"})
"""Parameters without which a request still makes sense; dropped for models that reject them."""


class OpenAIModel:
    """One model behind an endpoint. `timeout` (seconds) bounds each attempt, `price` overrides the table.

    `base_url` and `api_key` default to the SDK's own environment variables. Parameters that the model says it does not
    support (temperature, seed) are left out from then on, with a warning in the log.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        logprobs: bool = False,
        price: Price | None = None,
    ) -> None:
        import openai

        try:
            self._client = openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout)
        except openai.OpenAIError as error:
            raise UserError(f"no access to {model!r}: {error}", "set OPENAI_API_KEY, or pass a key") from None
        self._sdk: Any = openai
        self._model = model
        self._timeout = timeout
        self._logprobs = logprobs
        self._price = price or price_or_warning("openai", model)
        self._left_out: set[str] = set()
        self._limit = "max_tokens"

    @property
    def name(self) -> str:
        address = urlsplit(str(self._client.base_url))
        default = address.hostname is not None and address.hostname.endswith(".openai.com")
        where = "" if default else f"@{address.hostname}:{address.port or ''}{address.path.rstrip('/')}"
        return f"openai:{self._model}{where}"

    def bound(self, request: Request) -> Cost:
        """What `request` may cost at most."""
        most = tokens_bound(request)
        return most.model_copy(update={"usd": self._price.usd(most.prompt_tokens, 0, most.completion_tokens)})

    async def complete(self, request: Request) -> Response:
        start = time.monotonic()
        answer = await with_retries(lambda: self._once(request))
        return self._response(answer, request, time.monotonic() - start)

    async def _once(self, request: Request) -> "_Completion":
        create = self._client.chat.completions.with_raw_response.create
        while True:
            body = self._body(request)
            try:
                found = await post(
                    create, body, sdk=self._sdk, who=self.name, secret=self._client.api_key, timeout=self._timeout
                )
            except Rejected as error:
                if not self._adapt(error, body):
                    raise
            else:
                return _parsed(found, self.name)

    def _body(self, request: Request) -> chat.Body:
        out = chat.body(request)
        out |= {"model": self._model, "temperature": request.temperature, "seed": request.seed}
        out[self._limit] = request.max_tokens
        if request.json_schema is not None:
            constrained = strict(request.json_schema)
            schema = {"name": "answer", "strict": constrained is not None, "schema": constrained or request.json_schema}
            out["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self._logprobs:
            out["logprobs"] = True
        return {key: value for key, value in out.items() if key not in self._left_out}

    def _adapt(self, error: Rejected, body: chat.Body) -> bool:
        """Whether a request that names an unsupported parameter can be sent without it."""
        if error.status != 400 or error.parameter not in body:
            return False
        if error.parameter == "max_tokens" and self._limit == "max_tokens":
            self._limit = "max_completion_tokens"
        elif error.parameter in _OPTIONAL and error.code.startswith("unsupported"):
            self._left_out.add(error.parameter)
            _log.warning("%s does not support %s: it is left out", self.name, error.parameter)
        else:
            return False
        return True

    def _response(self, answer: "_Completion", request: Request, seconds: float) -> Response:
        choice = answer.choices[0]
        text = choice.message.content or ""
        usage = answer.usage or _Usage(
            prompt_tokens=estimate("".join(m.content for m in request.messages)), completion_tokens=estimate(text)
        )
        details = usage.prompt_tokens_details or _Details()
        cached = min(details.cached_tokens or 0, usage.prompt_tokens)
        cost = Cost(
            calls=1,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=cached,
            completion_tokens=usage.completion_tokens,
            seconds=seconds,
            usd=self._price.usd(usage.prompt_tokens - cached, cached, usage.completion_tokens),
        )
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise Paid(f"{self.name} refused to answer: {choice.message.refusal or 'its content filter'}", cost)
        calls = tuple(
            chat.tool_call(call.id, call.function.name, call.function.arguments)
            for call in choice.message.tool_calls or ()
        )
        cut = choice.finish_reason == "length"
        if not text and not calls:
            why = f": all of {request.max_tokens} tokens went into thought; allow more" if cut else ""
            raise Paid(f"{self.name} answered with nothing{why}", cost, retryable=not cut)
        logprobs = [min(0.0, token.logprob) for token in (choice.logprobs or _Logprobs()).content or ()]
        return Response(
            text=text,
            tool_calls=calls,
            finish_reason="length" if cut else "tool_calls" if calls else "stop",
            model=f"openai:{answer.model or self._model}",
            cost=cost,
            logprobs=tuple(logprobs) or None,
        )


class _Function(BaseModel):
    name: str
    arguments: str = ""


class _Call(BaseModel):
    id: str
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Token(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Details(BaseModel):
    cached_tokens: int | None = Field(default=None, ge=0)


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    prompt_tokens_details: _Details | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    model: str = ""
    usage: _Usage | None = None


def _parsed(found: dict[str, Any], who: str) -> _Completion:
    try:
        return _Completion.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Busy(f"{who} answered with something that is no completion: {where}: {first['msg']}") from None
