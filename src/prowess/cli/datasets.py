"""`prowess export --data`: trajectories and accepted patches as training data of other engines."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.trajectory import Trajectory
    from prowess.trajectories.plain import Json

PATCHES = "patches"


def write_data(screen: "Screen", form: str, out: Path | None, run: Path | None, library: Path | None) -> None:
    """Write the rows of a format as lines of JSON, and say how many there were.

    Raises:
        UserError: the format is unknown, no file is named, the run is none, or nothing fits the format.
    """
    from pydantic_core import to_json

    from prowess.cli.places import write
    from prowess.core.errors import UserError
    from prowess.trajectories.datasets import FORMATS

    if form not in (*FORMATS, PATCHES):
        raise UserError(f"no training data are called {form!r}", f"choose one of {', '.join(FORMATS)}, {PATCHES}")
    if out is None:
        raise UserError("write the data where to?", "give --out FILE")
    rows = list(_patches(library) if form == PATCHES else FORMATS[form](_trajectories(run)))
    if not rows:
        raise UserError(
            f"there is nothing to write as {form}",
            "sft needs runs that a trusted verifier passed, dpo also failures on the same prompt; `atif` takes all",
        )
    write(out, "".join(to_json(row).decode() + "\n" for row in rows))
    if screen.json:
        screen.data({"file": str(out), "format": form, "rows": len(rows)})
    else:
        screen.line(f"{len(rows)} rows of {form}: {out}")


def _trajectories(run: Path | None) -> "Iterator[Trajectory]":
    """Those of a run's folder, else the imported ones."""
    from prowess.cli.outcome import STORE
    from prowess.cli.places import trajectories
    from prowess.core.errors import UserError
    from prowess.core.trajectory import Trajectory
    from prowess.trajectories.runstore import RunStore

    if run is not None:
        if not (run / STORE).is_file():
            raise UserError(f"{run} holds no run", "name the folder that `prowess run` wrote")
        store = RunStore(run / STORE)
        try:
            for key in store.keys("trajectory"):
                if (found := store.get("trajectory", key)) is not None:
                    yield Trajectory.model_validate_json(found)
        finally:
            store.close()
        return
    imported = trajectories()
    if imported.path.is_file():
        with imported:
            for row in imported.find():
                yield imported.get(row.id)


def _patches(library: Path | None) -> "Iterator[Json]":
    """The accepted patches of a library with their lessons, oldest first."""
    from prowess.cli.options import open_library
    from prowess.trajectories.datasets import taught

    for change in reversed(open_library(library).log()):
        if change.patch is not None:
            yield taught(change.patch, change.lessons)
