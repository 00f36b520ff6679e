"""A run in a process of its own, which kills itself at a given point: `killed_run.py <out> <point> <n>`.

Points: `call`, when the n-th answer is paid but not yet handed over; `put`, before the n-th value is stored; `stored`,
after it; `apply` and `applied`, before and after the library is changed. Each paid call is a line of `<out>/paid`.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from evolve_parts import SMALL, WeakModel, run

from prowess.core.model import Request
from prowess.library import Library
from prowess.trajectories.runstore import RunStore

PLAN = replace(SMALL, evidence=5, test=2, samples=3, human=False)


def main(out: Path, point: str, n: int) -> None:
    counted = {name: itertools.count(1) for name in ("call", "put", "stored", "apply", "applied")}

    def reach(name: str) -> None:
        if name == point and next(counted[name]) == n:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any], before: str, after: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            reach(before)
            result = function(*args, **more)
            reach(after)
            return result

        return wrapped

    def paid(request: Request) -> None:
        with (out / "paid").open("a") as file:
            file.write(request.digest + "\n")
        reach("call")

    RunStore.put = around(RunStore.put, "put", "stored")
    library = Library.open(out / "library", create=True)
    library.apply = around(library.apply, "apply", "applied")
    record = run(PLAN, WeakModel(on_call=paid), out, library, concurrency=1)
    (out / "record.json").write_text(record.model_dump_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
