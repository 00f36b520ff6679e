"""Asking a model on the way: answers are stored by content key with their cost, and garbage is counted, never fatal."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import JsonValue, TypeAdapter

from prowess.agents.models.meter import Meter, Metered
from prowess.agents.models.structured import Unreadable, ask
from prowess.core.base import digest
from prowess.core.errors import ModelError
from prowess.core.model import Request
from prowess.evolve.protocols import Context

T = TypeVar("T")
R = TypeVar("R")


def fields(**properties: JsonValue) -> dict[str, JsonValue]:
    """JSON schema of an object with exactly these fields."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def text(least: int, most: int) -> dict[str, JsonValue]:
    """JSON schema of a text of so many characters; unbounded, a small model describes until its tokens run out."""
    return {"type": "string", "minLength": least, "maxLength": most}


def texts(least: int, most: int, of: JsonValue) -> dict[str, JsonValue]:
    """JSON schema of a list of so many."""
    return {"type": "array", "items": of, "minItems": least, "maxItems": most}


async def answer(
    context: Context,
    stage: str,
    request: Request,
    kind: type[T],
    use: Callable[[T], R],
    schema: dict[str, JsonValue] | None = None,
) -> R | None:
    """What `use` makes of the model's answer to `request`; None where no usable one came, which is counted and told.

    Args:
        context: Its model is asked, and its store remembers.
        stage: What the answer is for; its costs are listed under this name.
        request: The question.
        kind: Type of the answer.
        use: Turns the answer into what is wanted; raises ValueError where it fits its type and still says nothing
            that can be done.
        schema: A narrower JSON schema than that of `kind`, where only some values make sense in this call.

    Raises:
        BudgetExceeded: a limit was reached.
    """
    adapter: TypeAdapter[T] = TypeAdapter(kind)
    key = digest(["answer/1", stage, request.digest, digest(schema), context.model.name])
    stored = context.store.get(stage, key)
    try:
        if stored is not None:
            found = adapter.validate_json(stored)
        else:
            model = Metered(context.model, Meter())
            try:
                found = await ask(model, request, kind, schema)
            except Unreadable as error:
                context.store.put("unusable", key, error.raw.encode("utf-8", "replace"), model.spent)
                raise
            context.store.put(stage, key, adapter.dump_json(found), model.spent)
        return use(found)
    except ModelError as error:
        context.tell("propose", f"no usable answer ({stage}): {error}", unusable=True)
    except ValueError as error:
        context.store.put("unusable", key, str(error).encode("utf-8", "replace"))
        context.tell("propose", f"no usable answer ({stage}): {error}", unusable=True)
    return None
