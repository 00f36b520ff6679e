"""Answers as data: from a pydantic type to a request and back. Model output is parsed, never evaluated."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from prowess.core.errors import ModelError
from prowess.core.model import Message, Model, Request

T = TypeVar("T")

ATTEMPTS = 256
"""Places in one answer at which JSON is looked for; holds the work on a hostile answer."""
_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
_OPENING = re.compile(r"[{\[]")


async def ask(model: Model, request: Request, kind: type[T], schema: dict[str, JsonValue] | None = None) -> T:
    """The model's answer to `request` as a `kind`: a pydantic model, or any type that pydantic can check.

    The schema goes with the request, so that an engine with a grammar cannot answer anything else; `schema` is a
    narrower one where only some values of the type make sense in this call. An answer that does not fit is shown to
    the model once more with what was wrong. Raises `ModelError`, with the raw text in its message and as `raw`, when
    the second does not fit either.
    """
    adapter: TypeAdapter[T] = TypeAdapter(kind)
    shaped = request.model_copy(update={"json_schema": schema or adapter.json_schema()})
    first = await model.complete(shaped)
    try:
        return read(first.text, adapter)
    except ValueError as error:
        wrong = str(error)
    again = shaped.model_copy(
        update={
            "messages": (
                *shaped.messages,
                Message(role="assistant", content=first.text),
                Message(
                    role="user",
                    content=f"That answer cannot be used: {wrong}\n"
                    f"Answer again, with only JSON that fits this schema: {json.dumps(shaped.json_schema)}",
                ),
            )
        }
    )
    second = await model.complete(again)
    try:
        return read(second.text, adapter)
    except ValueError as error:
        raise Unreadable(f"{model.name} gave no usable answer, asked twice: {error}", second.text) from None


class Unreadable(ModelError):
    """The answer did not fit its type; `raw` is the whole text."""

    def __init__(self, message: str, raw: str) -> None:
        super().__init__(f"{message}\nIt said: {raw[:2000]!r}", retryable=False)
        self.raw = raw


def read(text: str, adapter: TypeAdapter[T]) -> T:
    """The first JSON value in `text` that fits; raises `ValueError` with what was wrong with the likeliest one."""
    problem = ""
    for found in candidates(text):
        try:
            return (
                adapter.validate_python(found) if isinstance(found, str) else adapter.validate_json(json.dumps(found))
            )
        except ValidationError as error:
            problem = problem or "; ".join(
                f"{'.'.join(str(p) for p in e['loc']) or 'the value'}: {e['msg']}" for e in error.errors()[:5]
            )
    raise ValueError(problem or "it holds no JSON")


def json_in(text: str) -> JsonValue:
    """The JSON value that `text` is, or holds in a code fence, or has among other words. Raises `ValueError`."""
    for found in candidates(text):
        return found
    raise ValueError("it holds no JSON")


def candidates(text: str) -> Iterator[JsonValue]:
    """JSON values in `text`, likeliest first: all of it, each code fence, then objects and lists among other words."""
    seen = 0
    for piece in (text, *_FENCE.findall(text)):
        try:
            yield _DECODER.decode(piece.strip())
        except (ValueError, RecursionError):
            continue
        seen += 1
    if seen:
        return
    at, tries = 0, 0
    while tries < ATTEMPTS and (opening := _OPENING.search(text, at)):
        tries += 1
        try:
            found, at = _DECODER.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            at = opening.start() + 1
        else:
            yield found


def no_constant(name: str) -> NoReturn:
    """For `parse_constant`: NaN and infinities are not JSON."""
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is too large")
    return number


# strict=False: small models write line breaks inside strings as they are
_DECODER: Any = json.JSONDecoder(strict=False, parse_constant=no_constant, parse_float=_finite)
