"""What is known of skills from use: which one was used for which request, and whether that helped.

The learned router is trained on it, lint takes real requests from it, and the capacity probe asks them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from prowess.core.errors import UserError
from prowess.trajectories.store import CorruptTrajectory, TrajectoryStore


@dataclass(frozen=True, slots=True)
class Experience:
    """How one skill did on one query."""

    query: str
    skill: str
    helped: bool | None = True
    """None where nothing that can be trusted says so."""


_EXPERIENCE: TypeAdapter[Experience] = TypeAdapter(Experience)


def read_experience(path: Path) -> list[Experience]:
    """Experience from JSON lines.

    Raises:
        UserError: the file cannot be read, or a line is none; its number is said.
    """
    found: list[Experience] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}", "name a file of JSON lines") from error
    for number, line in enumerate(lines, 1):
        try:
            found += [_EXPERIENCE.validate_json(line)] if line.strip() else []
        except ValidationError as error:
            raise UserError(
                f"line {number} of {path} is no experience: {error.errors()[0]['msg']}",
                'each line is an object like {"query": "…", "skill": "…", "helped": true}',
            ) from error
    return found


def stored_experience(store: TrajectoryStore) -> Iterator[Experience]:
    """Skills that stored trajectories used, on the first thing a user said, with their trusted scores."""
    for row in store.find():
        if not row.used:
            continue
        try:
            steps = store.get(row.id).steps
        except CorruptTrajectory:  # told by `prowess doctor`; one bad row must not keep others from teaching
            continue
        query = next((step.message for step in steps if step.source == "user" and step.message.strip()), "")
        yield from (Experience(query, name, row.passed) for name in row.used if query)
