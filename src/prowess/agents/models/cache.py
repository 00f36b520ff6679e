"""Answers kept on disk, so that a run that is repeated or resumed never pays for the same request twice."""

import sqlite3
from pathlib import Path

import anyio
from pydantic import ValidationError

from prowess.agents.models.meter import bound
from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import Model, Request, Response


class Cached:
    """A model that asks only what it was never asked before: by its name and the whole request, seed included.

    A kept answer costs nothing and says so: its cost has no calls. With `as_paid` it says instead what it had cost when
    it was paid for: what a run reports then does not depend on how often it was stopped. Several processes may share
    one file; within a process, equal requests in flight are asked once. Put `Metered` inside, around the model itself,
    so that a kept answer is given even when the budget is spent.
    """

    def __init__(self, model: Model, path: Path, *, as_paid: bool = False) -> None:
        self._model = model
        self._path = path
        self._as_paid = as_paid
        self._pending: dict[str, anyio.Event] = {}
        self.hits = 0
        self.misses = 0
        self.saved = Cost()
        """What the kept answers had cost when they were paid for."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, response TEXT) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"the cache {path} cannot be opened: {error}", "move the file away; it is made anew"
            ) from None

    @property
    def name(self) -> str:
        return self._model.name

    def bound(self, request: Request) -> Cost:
        return bound(self._model, request)

    async def complete(self, request: Request) -> Response:
        key = digest([self.name, request.digest])
        while (other := self._pending.get(key)) is not None:
            await other.wait()
        if (kept := self._read(key)) is not None:
            self.hits += 1
            self.saved += kept.cost
            return kept if self._as_paid else kept.model_copy(update={"cost": Cost()})
        done = self._pending[key] = anyio.Event()
        try:
            response = await self._model.complete(request)
            self._write(key, response)
        finally:
            del self._pending[key]
            done.set()
        self.misses += 1
        return response

    def close(self) -> None:
        self._database.close()

    def _read(self, key: str) -> Response | None:
        try:
            row = self._database.execute("SELECT response FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from None
        try:
            return Response.model_validate_json(row[0]) if row else None
        except ValidationError:
            return None  # written by another version: asked again and replaced

    def _write(self, key: str, response: Response) -> None:
        try:
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, response.model_dump_json()))
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from None

    def _broken(self, error: sqlite3.Error) -> UserError:
        return UserError(f"the cache {self._path} cannot be used: {error}", "free the disk, or move the file away")
