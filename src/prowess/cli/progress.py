"""Progress for a person who waits: what is being done, how far it is, time and money left. On stderr.

On a terminal it is one line per stage that moves; elsewhere a line when a stage begins and at most one every
`SILENCE` seconds, so that logs stay short.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from prowess.core.cost import Cost
from prowess.core.text import one_line
from prowess.report.text import duration, money, visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from prowess.evolve.protocols import Event
    from prowess.measure.trials import Progress as Trials

SILENCE = 15.0
"""Seconds between two lines where there is no terminal."""


class Waiting:
    """Shows progress while its block runs.

    Stages are told by `at`; `tell` takes the events of the loop, whose `data` may hold `done` and `total` (work of the
    stage) and `cost` (a `Cost`, or its dump, that was just spent); `trials` takes the progress of trials.
    """

    def __init__(self, budget_usd: float | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget_usd = budget_usd
        self.cost = Cost()
        self._clock = clock
        self._started = self._said = clock()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}

    def __enter__(self) -> "Waiting":
        if sys.stderr.isatty():
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def tell(self, event: "Event") -> None:
        """Takes an event of the loop."""
        spent: Any = event.data.get("cost")
        if spent is not None:
            self.cost += spent if isinstance(spent, Cost) else Cost.model_validate(spent)
        done: int = event.data.get("done", self._done.get(event.stage, 0) + 1)
        self.at(event.stage, done, event.data.get("total"), event.message)

    def trials(self, progress: "Trials") -> None:
        """Takes the progress of a batch of trials."""
        missing = f"{progress.missing} missing" if progress.missing else ""
        self.at("trials", progress.done, progress.total, missing)

    def at(self, stage: str, done: int, total: int | None = None, message: str = "") -> None:
        """Says that `done` of `total` pieces of a stage are finished."""
        new = stage not in self._done
        self._done[stage] = done
        if self._bars is not None:
            if new:
                self._tasks[stage] = self._bars.add_task(stage, total=total, note="")
            self._bars.update(self._tasks[stage], completed=done, total=total, note=self._note(message))
        elif new or self._clock() - self._said >= SILENCE or done == total:
            self._said = self._clock()
            part = f"{done:,} of {total:,}" if total is not None else f"{done:,}"
            sys.stderr.write(f"{stage} {part} {self._note(message)}\n")
            sys.stderr.flush()

    def _note(self, message: str) -> str:
        parts = [duration(self._clock() - self._started)] if self._bars is None else []
        if self.budget_usd is not None:
            parts.append(f"{money(max(0.0, self.budget_usd - self.cost.usd))} left")
        elif self.cost.usd:
            parts.append(money(self.cost.usd))
        if message:
            parts.append(visible(one_line(message, 70)))
        return " · ".join(parts)


def _bars() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    return Progress(
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
        console=Console(stderr=True, highlight=False, markup=False),
        transient=True,
        expand=True,
    )
