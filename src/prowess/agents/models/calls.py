"""Calls to a provider over the network: faults told apart, time bounded, tried again a bounded number of times."""

import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, Protocol, TypeVar, cast

import anyio

from prowess.agents.models.structured import no_constant
from prowess.core.cost import Cost
from prowess.core.errors import ModelError

T = TypeVar("T")

TRIES = 5
"""Attempts at one request, the first included."""
LONGEST_WAIT = 60.0
"""Seconds; a provider that asks for a longer pause is not waited for."""
BODY_LIMIT = 16 << 20
"""Bytes of an answer beyond which it is not read as one."""
_sleep = anyio.sleep
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class Busy(ModelError):
    """The provider could not answer now; `after` is the pause in seconds that it asked for, if it did."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message, retryable=True)
        self.after = after


class Paid(ModelError):
    """An answer came and was charged, but it is of no use; `cost` is what it cost. Not tried again by itself."""

    def __init__(self, message: str, cost: Cost, *, retryable: bool = False) -> None:
        super().__init__(message, retryable=retryable)
        self.cost = cost


class Rejected(ModelError):
    """The provider refused the request itself; `status`, `code` and `parameter` are its own words."""

    def __init__(self, message: str, status: int, code: str, parameter: str) -> None:
        super().__init__(message, retryable=False)
        self.status, self.code, self.parameter = status, code, parameter


class Sdk(Protocol):
    """What the two SDKs have in common: the names of their errors."""

    APITimeoutError: type[Exception]
    APIConnectionError: type[Exception]
    APIStatusError: type[Exception]
    APIError: type[Exception]


async def with_retries(once: Callable[[], Awaitable[T]]) -> T:
    """The result of `once`, tried again while it raises `Busy`, `TRIES` times in all.

    The pause is what the provider asked for, else random up to a bound that doubles from one second.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return await once()
        except Busy as error:
            if attempt == TRIES:
                raise ModelError(f"{error} (tried {TRIES} times)", retryable=True) from error
            if error.after is not None and error.after > LONGEST_WAIT:
                raise ModelError(f"{error}; it asks for a pause of {error.after:.0f} s", retryable=True) from error
            bound = min(2.0 ** (attempt - 1), LONGEST_WAIT / 2)
            # beside the asked-for pause some jitter, so that many waiters do not come back at once
            await _sleep(random.uniform(0, bound) if error.after is None else error.after + random.uniform(0, 0.25))
    raise AssertionError("unreachable: the last try returns or raises")


async def post(
    create: Callable[..., Awaitable[Any]], body: dict[str, Any], *, sdk: Sdk, who: str, secret: str, timeout: float
) -> dict[str, Any]:
    """The JSON object with which the provider answers `body`; `timeout` (s) bounds the whole call, drips included.

    Raises `Busy`, `Rejected` or `ModelError`. `secret` never appears in a message.
    """
    try:
        with anyio.fail_after(timeout):
            raw = (await create(**body)).http_response
            content: bytes = await raw.aread()
    except (TimeoutError, sdk.APITimeoutError):
        raise Busy(f"{who} gave no answer within {timeout:g} s") from None
    except sdk.APIConnectionError as error:
        cause = error.__cause__ or error
        raise Busy(_clean(f"{who} cannot be reached: {type(cause).__name__}: {cause}", secret)) from None
    except sdk.APIStatusError as error:
        _raise_for_status(error, who, secret)
    except sdk.APIError as error:
        raise Busy(_clean(f"{who} answered with something unreadable: {error}", secret)) from None
    if len(content) > BODY_LIMIT:
        raise ModelError(f"{who} answered with {len(content)} bytes, more than an answer can have")
    return _object(content, who)


def _object(content: bytes, who: str) -> dict[str, Any]:
    try:
        found: object = json.loads(content, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        what = "an empty body" if not content.strip() else f"no valid JSON ({error}): {content[:200]!r}"
        raise Busy(f"{who} answered with {what}") from None
    if not isinstance(found, dict):
        raise Busy(f"{who} answered with JSON that is no object: {content[:200]!r}")
    return cast("dict[str, Any]", found)


def _raise_for_status(error: Any, who: str, secret: str) -> NoReturn:
    status: int = error.status_code
    said = _details(error.body)
    text = _clean(f"{who} answered {status}: {said['message'] or error.message}"[:2000], secret)
    if status in _RETRYABLE and said["code"] != "insufficient_quota":
        raise Busy(text, pause(error.response.headers)) from None
    hint = {401: "check the key", 403: "check the key and its rights", 404: "check the model's name and base URL"}
    raise Rejected(
        f"{text} ({hint[status]})" if status in hint else text, status, said["code"], said["param"]
    ) from None


def _details(body: object) -> dict[str, str]:
    """`message`, `code` and `param` of an error body, as far as it has them."""
    found: Any = body
    if isinstance(found, dict):
        inner: Any = cast("dict[str, Any]", found).get("error")
        found = cast("dict[str, Any]", inner if isinstance(inner, dict) else found)
        return {key: str(found.get(key) or "") for key in ("message", "code", "param")}
    return {"message": "", "code": "", "param": ""}


def pause(headers: Any) -> float | None:
    """Seconds that the headers ask to wait (`retry-after-ms`, or `retry-after` as seconds or date); None if none."""
    text = str(headers.get("retry-after-ms") or "")
    if text.isdecimal():
        return int(text) / 1000
    text = str(headers.get("retry-after") or "")
    try:
        return max(0.0, float(text)) if float(text) < float("inf") else None
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _clean(text: str, secret: str) -> str:
    return text.replace(secret, "[key]") if secret else text


def estimate(text: str) -> int:
    """Tokens in `text`, roughly, for a provider that does not count them: one in four bytes."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)
