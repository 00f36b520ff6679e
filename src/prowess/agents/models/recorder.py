"""Cassettes: what was asked and answered, one JSON object a line, to be played back without a model."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from prowess.agents.models.meter import bound
from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.errors import ModelError, UserError
from prowess.core.model import Model, Request, Response


class Take(Frozen):
    """One line of a cassette: a request and its answer, or the error that came instead."""

    model: str
    digest: str
    request: dict[str, JsonValue]
    response: Response | None = None
    error: str = ""
    retryable: bool = False


class Recorder:
    """A model whose every answer, and every `ModelError`, is appended to a cassette as soon as it comes.

    Each line is written whole and at once; after a crash in mid-line the next recording starts on a line of its own.
    """

    def __init__(self, model: Model, path: Path) -> None:
        self._model = model
        self._path = path

    @property
    def name(self) -> str:
        return self._model.name

    def bound(self, request: Request) -> Cost:
        return bound(self._model, request)

    async def complete(self, request: Request) -> Response:
        try:
            response = await self._model.complete(request)
        except ModelError as error:
            self._append(request, error=str(error), retryable=error.retryable)
            raise
        self._append(request, response=response)
        return response

    def _append(self, request: Request, **outcome: Any) -> None:
        take = Take(model=self.name, digest=request.digest, request=request.model_dump(mode="json"), **outcome)
        line = take.model_dump_json(exclude_defaults=True).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(file).st_size
                torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
                line = b"\n" + line if torn else line
                if os.write(file, line) != len(line):
                    raise OSError("the disk took only a part of it")
            finally:
                os.close(file)
        except OSError as error:
            raise UserError(f"cannot record to {self._path}: {error}", "free the disk, or record elsewhere") from None


class Replayer:
    """Plays a cassette back: answers, costs and errors as they were recorded.

    A request recorded several times is answered in the recorded order, the last answer repeating. One that was never
    recorded raises `ModelError`. Lines that cannot be read (a crash tore them) are counted in `skipped`.
    """

    def __init__(self, path: Path) -> None:
        self.skipped = 0
        self._path = path
        self._takes: dict[str, list[Take]] = defaultdict(list)
        names: set[str] = set()
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise UserError(f"cannot play {path}: {error}", "record a cassette there first") from None
        for line in filter(None, lines):
            try:
                take = Take.model_validate_json(line)
            except ValidationError:
                self.skipped += 1
                continue
            self._takes[take.digest].append(take)
            names.add(take.model)
        if len(names) != 1:
            raise UserError(
                f"{path} holds answers of {len(names)} models; a cassette has those of one",
                "record each model to a cassette of its own",
            )
        self._name = names.pop()

    @property
    def name(self) -> str:
        return self._name

    async def complete(self, request: Request) -> Response:
        takes = self._takes.get(request.digest)
        if not takes:
            last = request.messages[-1].content[:200] if request.messages else ""
            raise ModelError(
                f"{self._path} holds no answer to request {request.digest[:12]} ({json.dumps(last)}); record it again"
            )
        take = takes.pop(0) if len(takes) > 1 else takes[0]
        if take.response is None:
            raise ModelError(take.error, retryable=take.retryable)
        return take.response
