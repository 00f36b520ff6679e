"""A model whose answers are known beforehand, for tests and for benchmarks of everything that is not the model."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.errors import ModelError, UserError
from prowess.core.model import Request, Response

Answers = Sequence[str | Response] | Callable[[Request], str | Response]
"""The script: answers in order, or a function of the request."""


class ScriptedModel:
    """Answers from a list, in order, or from a function of the request. Costs nothing and is deterministic.

    A list that has run out raises `ModelError`. A function may return a whole `Response`, e.g. one with tool calls,
    or raise `ModelError` to play a fault.
    """

    def __init__(self, answers: Answers, name: str | None = None) -> None:
        if callable(answers):
            self._function, self._answers = answers, None
            self._name = name or "scripted:function"
        else:
            self._function, self._answers = None, iter(tuple(answers))
            self._name = name or f"scripted:{digest(list(answers))[:12]}"
        self.requests: list[Request] = []
        """Every request seen, in order."""

    @classmethod
    def from_file(cls, path: Path) -> "ScriptedModel":
        """Answers from a JSON file: a list of texts. Raises `UserError` when it is not one."""
        try:
            found: object = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read answers from {path}: {error}", "give a JSON list of texts") from None
        if not isinstance(found, list) or not all(isinstance(x, str) for x in cast("list[object]", found)):
            raise UserError(f"{path} is not a JSON list of texts", 'write, for example, ["first answer", "second"]')
        return cls(cast("list[str]", found))

    @property
    def name(self) -> str:
        return self._name

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self._function(request) if self._function is not None else self._next()
        if isinstance(answer, Response):
            return answer
        return Response(text=answer, model=self._name, cost=Cost(calls=1))

    def _next(self) -> str | Response:
        assert self._answers is not None
        answer = next(self._answers, None)
        if answer is None:
            raise ModelError(f"{self._name} has no more answers; this was request {len(self.requests)}")
        return answer
