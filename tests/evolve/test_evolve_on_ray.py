"""A whole comparison of recipes whose rollouts, trials and questions are tasks of a Ray cluster."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from bench_parts import SHORT, Player, bench

from prowess.agents.executor import OnRay
from prowess.core.model import Model
from prowess.evolve.bench.run import run_bench

PLAN = SHORT.model_copy(update={"recipes": ("human", "skillos"), "seeds": (0,)})


@dataclass(frozen=True)
class OpenPlayer:
    spec: str

    def __call__(self) -> Model:
        return Player(name=self.spec)


def test_it_finds_what_it_finds_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the executor needs Ray: pip install 'prowess[ray]'")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    executor = OnRay()

    async def main() -> object:
        out = tmp_path / "ray"
        return await run_bench(PLAN, open_=OpenPlayer, out=out, executor=executor, report=lambda event: None)

    try:
        there = anyio.run(main)
    finally:
        executor.close()
    here = bench(PLAN, tmp_path / "here", lambda name: Player(name=name))
    assert told(there) == told(here) and executor.lost == 0


def told(record: object) -> object:
    """What was found, without the time it took."""
    assert hasattr(record, "entries")
    return [(e.model_dump(exclude={"seconds"}), e.failure) for e in record.entries]
