"""Where the command line keeps things that are no library."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prowess.core.trajectory import Trajectory
    from prowess.trajectories.store import TrajectoryStore


def trajectories() -> "TrajectoryStore":
    """The store of imported sessions, in the data folder of the settings."""
    from prowess.settings import load
    from prowess.trajectories.store import TrajectoryStore

    return TrajectoryStore(load().settings.data / "trajectories.db")


def write(path: Path, text: str) -> None:
    """Put `text` at `path`, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    from prowess.core.errors import UserError

    scratch = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, "utf-8")
        scratch.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}", "name another file") from error


def trajectory(id: str, beside: Path = Path()) -> "Trajectory | None":
    """The trajectory of this very id: an imported one, else that of a run in the folder `beside` or below this one.

    Raises:
        CorruptTrajectory: it is damaged.
    """
    from prowess.cli.outcome import STORE, load_trajectory

    imported = trajectories()
    if imported.path.is_file():
        with imported:
            if id in imported:
                return imported.get(id)
    runs = dict.fromkeys((beside / STORE, *sorted(Path().glob(f"*/{STORE}")), *sorted(Path().glob(f"runs/*/{STORE}"))))
    return next((found for run in runs if (found := load_trajectory(run, id)) is not None), None)


def whole_id(beginning: str) -> str:
    """The id of the only imported trajectory that begins so; else what was given."""
    imported = trajectories()
    if not imported.path.is_file():
        return beginning
    with imported:
        begun = [row.id for row in imported.find() if row.id.startswith(beginning)]
    return begun[0] if len(begun) == 1 else beginning
