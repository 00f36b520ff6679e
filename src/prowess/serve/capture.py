"""Sessions captured where agents leave them: all that is new, or the one that has just ended.

Nothing has to stay in memory for it: a sweep looks at names, sizes and times only, reads what has changed, and ends.
How much one sweep reads is bounded; the next goes on where it stopped, newest first.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from prowess.core.errors import UserError
from prowess.core.trajectory import Trajectory
from prowess.library.disk import write_file
from prowess.trajectories.importers import import_path
from prowess.trajectories.store import TrajectoryStore

FOLDERS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "claude-code": ("CLAUDE_CONFIG_DIR", ".claude", ("projects",)),
    "codex": ("CODEX_HOME", ".codex", ("sessions", "archived_sessions")),
}
"""By agent: the variable that moves its folder, that folder in the home folder, and where in it sessions lie."""
MOST_FILES: Final = 500
MOST_BYTES: Final = 2**30
"""Of session files that one sweep reads."""
MOST_SEEN: Final = 100_000
"""Files that one sweep looks at."""
STATE: Final = "captured.json"


class Swept(NamedTuple):
    """What one sweep did."""

    files: int
    """That had changed, and were read."""
    left: int
    """That have changed, and wait for the next sweep."""
    sessions: int
    new: int
    """Trajectories that the store did not have so."""


def folders(home: Path, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the agents that are known leave their sessions; those that are there."""
    found: list[Path] = []
    for variable, usual, inside in FOLDERS.values():
        base = Path(environment[variable]).expanduser() if environment.get(variable) else home / usual
        found += [base / name for name in inside if (base / name).is_dir()]
    return tuple(found)


def sweep(places: Iterable[Path], store: TrajectoryStore, state: Path) -> Swept:
    """Imports every session below `places` that is new or has grown. `state` remembers which are known.

    A sweep that is killed has lost nothing: what it had not noted is read again, which changes nothing.
    """
    known = _load(state)
    seen = {str(path): mark for path, mark in _files(places)}
    changed = [path for path, stamp in seen.items() if known.get(path) != stamp]
    changed.sort(key=lambda path: seen[path][1], reverse=True)
    chosen: list[str] = []
    size = 0
    for path in changed[:MOST_FILES]:
        if chosen and size + seen[path][0] > MOST_BYTES:
            break
        chosen.append(path)
        size += seen[path][0]
    sessions = new = 0
    for path in chosen:
        made = list(_trajectories(Path(path)))
        sessions += len(made)
        new += store.put_all(made)
    done = set(chosen)
    kept = {path: stamp for path, stamp in seen.items() if path in done or known.get(path) == stamp}
    _save(state, kept)
    return Swept(len(chosen), len(changed) - len(chosen), sessions, new)


def ended(told: bytes, places: Iterable[Path], store: TrajectoryStore) -> int:
    """Imports the session that has just ended, with its sub-agents; how many trajectories are new.

    Args:
        told: What an agent's hook got on standard input: JSON with `transcript_path`.
        places: Where a transcript may lie. Whoever can call a hook could else have any file read.

    Raises:
        UserError: it names no session in one of the places.
    """
    try:
        data: Any = json.loads(told)
    except ValueError:
        data = None
    named = cast(dict[str, Any], data).get("transcript_path") if isinstance(data, dict) else None
    if not isinstance(named, str) or not named:
        raise UserError("the hook was told of no transcript", "it is for the session hooks of Claude Code and Codex")
    path = Path(named).expanduser().resolve()
    if path.suffix != ".jsonl" or not any(path.is_relative_to(place.resolve()) for place in places):
        raise UserError(f"{path} is no session of an agent that is known", "`prowess import` reads any file")
    beside = path.with_suffix("")  # Claude Code keeps those of sub-agents there
    found = [path, *(sorted(beside.rglob("*.jsonl")) if beside.is_dir() else [])]
    return sum(store.put_all(_trajectories(file)) for file in found[:MOST_FILES])


def _files(places: Iterable[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Session files with size and time; links are not followed."""
    left = MOST_SEEN
    for place in places:
        for base, inner, names in os.walk(place):
            inner.sort()
            for name in names:
                if not name.endswith(".jsonl"):
                    continue
                left -= 1
                if left < 0:
                    return
                with suppress(OSError):
                    found = os.lstat(os.path.join(base, name))
                    if stat.S_ISREG(found.st_mode):
                        yield Path(base, name), (found.st_size, found.st_mtime_ns)


def _trajectories(path: Path) -> Iterator[Trajectory]:
    with suppress(UserError):  # no session: agents keep other things there too
        for imported in import_path(path):
            if imported.trajectory is not None:
                yield imported.trajectory


def _load(state: Path) -> dict[str, tuple[int, int]]:
    try:
        data: Any = json.loads(state.read_bytes())
        return {str(path): (int(size), int(time)) for path, (size, time) in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # missing or damaged: everything is read once more


def _save(state: Path, known: Mapping[str, tuple[int, int]]) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    write_file(state, json.dumps(known).encode(), state.parent)
