"""Where the command line keeps things that are no library."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
