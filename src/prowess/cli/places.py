"""Where the command line keeps things that are no library."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prowess.trajectories.store import TrajectoryStore


def trajectories() -> "TrajectoryStore":
    """The store of imported sessions, in the data folder of the settings."""
    from prowess.settings import load
    from prowess.trajectories.store import TrajectoryStore

    return TrajectoryStore(load().settings.data / "trajectories.db")
