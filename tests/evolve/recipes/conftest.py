"""Tests of recipes use the parts beside those of the loop, and run each program once."""

import sys
from pathlib import Path

import pytest

from prowess.core.base import digest
from prowess.core.task import File
from prowess.sandbox import Limits, Result, Sandbox, find_sandbox

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "suites")]  # the world of lamps


class Remembering:
    """A sandbox that runs the same program on the same files once: recipes try few programs, again and again."""

    def __init__(self, inner: Sandbox) -> None:
        self.name = inner.name
        self._inner = inner
        self._known: dict[str, Result] = {}

    async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
        key = digest([argv, [(file.path, file.sha256) for file in files], limits])
        if key not in self._known:
            self._known[key] = await self._inner.run(argv, files, limits)
        return self._known[key]


SANDBOX = Remembering(find_sandbox())


@pytest.fixture(autouse=True)
def _each_program_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prowess.evolve.run.find_sandbox", lambda: SANDBOX)
