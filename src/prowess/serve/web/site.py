"""What the pages show, and to whom: one library with its sessions and work, wherever they lie."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from prowess.core.trajectory import Trajectory
from prowess.evolve.record import RunRecord
from prowess.guard.keys import Keyring
from prowess.library import Library, Proposal
from prowess.trajectories.store import TrajectoryStore, Use

Decide = Callable[[str, str | None, bool], str]
"""Takes a proposal's id, another text or None, and whether foreign skills may change; says what became of it."""


class Line(Protocol):
    """A session in a list."""

    @property
    def id(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def task_id(self) -> str | None: ...
    @property
    def passed(self) -> bool | None: ...
    @property
    def steps(self) -> int: ...
    @property
    def tokens(self) -> int: ...
    @property
    def usd(self) -> float: ...
    @property
    def used(self) -> tuple[str, ...]: ...


class SessionSource(Protocol):
    """Where sessions come from."""

    def recent(self, limit: int) -> Sequence[Line]:
        """The newest first."""
        ...

    def whole(self, id: str) -> Trajectory | None:
        """None where there is none of this id, or none that may be seen."""
        ...

    def use(self) -> Iterable[Use]: ...

    def spent(self) -> list[tuple[str, int, int, float]]:
        """Model, sessions, tokens, dollars; the dearest first."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """Something that goes on in the background, or went on."""

    what: str
    state: str
    """`waiting`, `running`, `done` or `failed`."""
    said: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a recipe in a folder."""

    name: str
    folder: Path
    record: RunRecord | None
    """None while it has not finished."""
    stages: tuple[tuple[str, int, int, float], ...] = ()
    """Kind, values, tokens and seconds so far, of one that has not finished."""


@dataclass(frozen=True, slots=True)
class Site:
    """One library as its pages show it to one person."""

    title: str
    at: str
    """Begins every address of it: empty, or `/p/<project>`."""
    person: str
    guard: str
    """What a form must send back, so that no other site can send it in this person's name."""
    library: Library
    keyring: Keyring
    sessions: SessionSource
    decide: Decide | None
    """None where this person may not decide."""
    skip: Callable[[str, str], None] | None
    runs: Callable[[], list[Run]] = lambda: []
    work: Callable[[], list[Work]] = lambda: []
    learn: Callable[[], str] | None = None
    """Starts learning; None where this person may not, or it is not to be had here."""
    others: tuple[str, ...] = ()
    """Other projects of this person."""
    own: Callable[[Proposal], bool] = field(default=lambda proposal: False)
    """Whether a proposal is this person's own, so that somebody else decides."""


class LocalSessions:
    """The sessions that were imported on this machine."""

    def __init__(self, store: TrajectoryStore) -> None:
        self._store = store

    def recent(self, limit: int) -> Sequence[Line]:
        return self._store.find()[::-1][:limit] if self._store.path.is_file() else []

    def whole(self, id: str) -> Trajectory | None:
        return self._store.get(id) if self._store.path.is_file() and id in self._store else None

    def use(self) -> Iterable[Use]:
        return self._store.skill_use() if self._store.path.is_file() else ()

    def spent(self) -> list[tuple[str, int, int, float]]:
        found: dict[str, tuple[int, int, float]] = {}
        for row in self._store.find() if self._store.path.is_file() else ():
            n, tokens, usd = found.get(row.model, (0, 0, 0.0))
            found[row.model] = (n + 1, tokens + row.tokens, usd + row.usd)
        return sorted(((m, *values) for m, values in found.items()), key=lambda row: (-row[3], -row[2], row[0]))


def runs_below(folder: Path) -> list[Run]:
    """The runs of recipes in `folder`, in folders in it, and below its `runs`; the newest first."""
    from prowess.trajectories.runstore import RunStore

    places = {p.parent for pattern in ("", "*/", "runs/*/") for p in folder.glob(f"{pattern}run.db")}
    found: list[tuple[float, Run]] = []
    for place in places:
        record = place / "record.json"
        name = str(place.relative_to(folder))
        if record.is_file():
            try:
                whole = RunRecord.model_validate_json(record.read_bytes())
            except ValueError:
                continue  # another program's, or another version's
            found.append((record.stat().st_mtime, Run(name, place, whole)))
        else:
            store = RunStore(place / "run.db")
            try:
                stages = tuple((s.kind, s.values, s.cost.tokens, s.cost.seconds) for s in store.spent() if s.cost.calls)
            finally:
                store.close()
            found.append(((place / "run.db").stat().st_mtime, Run(name, place, None, stages)))
    return [run for _, run in sorted(found, key=lambda pair: (-pair[0], pair[1].name))]


def shown(value: Any) -> str:
    """A time of the ledger as a person reads it."""
    return str(value)[:16].replace("T", " ")
