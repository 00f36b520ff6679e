"""What a finished run leaves in its folder, and how the terminal sums it up.

<folder>/run.db        all that was paid for, by content key; the same command resumes from it
<folder>/record.json   what was tried, decided and measured
<folder>/report.html   the page
"""

from pathlib import Path
from typing import TYPE_CHECKING

from prowess.cli.entries import STYLES
from prowess.cli.screen import BOLD, Screen
from prowess.core.errors import UserError
from prowess.library.disk import write_file
from prowess.report import render, sentence
from prowess.report.summary import TITLES, arm_names, noise, rows
from prowess.report.text import points, probability

if TYPE_CHECKING:
    from prowess.core.trajectory import Trajectory
    from prowess.evolve.record import RunRecord

STORE, RECORD, PAGE = "run.db", "record.json", "report.html"


def finish(screen: Screen, record: "RunRecord", folder: Path) -> None:
    """Write record and page, then say what came out.

    Raises:
        UserError: the folder cannot be written.
    """
    store = folder / STORE
    page = render(record, lambda id: load_trajectory(store, id))
    for name, text in ((RECORD, record.model_dump_json(indent=1)), (PAGE, page)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_file(folder / name, text.encode(), folder)
        except OSError as error:
            raise UserError(
                f"cannot write {folder / name}: {error}", "free some space; the same command resumes"
            ) from error
    show_record(screen, record, folder)


def show_record(screen: Screen, record: "RunRecord", folder: Path) -> None:
    """A run in a few lines, and where its page lies."""
    if screen.json:
        screen.data({"summary": sentence(record), "report": folder / PAGE, "record": record})
        return
    table = rows(record.comparisons)
    names = arm_names(table)
    if table:
        screen.table(
            ("held-out tasks", *(TITLES.get(n, n) for n in names), "difference", "verdict"),
            [
                (
                    row.label,
                    *(f"{arm.passed} of {arm.n}" if (arm := row.arm(n)) else "–" for n in names),
                    f"{points(row.main.effect)} [{points(row.main.low)}, {points(row.main.high)}]",
                    (f"{row.main.outcome}, n = {row.main.n}, {probability(row.main.p)}", STYLES[row.main.outcome]),
                )
                for row in table
            ],
        )
        screen.line()
    screen.line((sentence(record), BOLD))
    if record.noise is not None:
        screen.line(noise(record))
    screen.line(f"Open {folder / PAGE} to see why.")


def is_run(folder: Path) -> bool:
    return (folder / RECORD).is_file()


def read_record(folder: Path) -> "RunRecord":
    """Raises UserError when the record in `folder` cannot be read."""
    from pydantic import ValidationError

    from prowess.evolve.record import RunRecord

    try:
        return RunRecord.model_validate_json((folder / RECORD).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise UserError(
            f"{folder / RECORD} is not a record of a run", "run the same command again: it resumes"
        ) from error


def load_trajectory(store: Path, id: str) -> "Trajectory | None":
    """A trajectory of a run, or None when its store lacks it."""
    from prowess.core.trajectory import Trajectory
    from prowess.trajectories.runstore import RunStore

    if not store.is_file():
        return None
    opened = RunStore(store)
    try:
        data = opened.get("trajectory", id) or opened.get("exploration", id)
    finally:
        opened.close()
    return None if data is None else Trajectory.model_validate_json(data)
