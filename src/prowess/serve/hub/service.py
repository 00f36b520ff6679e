"""A hub: its database, the libraries of its projects on the disk beside it, and its key.

The skills of a project are a library like any other, so that versions, gates, trust and undo are the same code as on
one's own machine; everything that is about people and work lies in the database.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from prowess.core.errors import UserError
from prowess.core.patch import CreateSkill, DeleteSkill, Operation, Patch
from prowess.guard.keys import Keyring
from prowess.guard.redact import redact, redact_patch
from prowess.guard.scan import scan_change
from prowess.library import Library, Proposal, well_known
from prowess.library.skillmd import validate
from prowess.library.trees import Tree, is_component, skill_of
from prowess.serve.access import Served
from prowess.serve.hub.accounts import Accounts, Clock, NotFound
from prowess.serve.hub.database import Database, open_database
from prowess.serve.hub.jobs import Jobs
from prowess.serve.hub.sessions import Inbox, Sessions

_TICK = 20_000_000
"""Nanoseconds that are longer than a tick of any file system's clock that matters."""
MAX_FILES = 200
MAX_BYTES = 5_000_000
"""Of all files of one proposed skill."""


@dataclass(slots=True)
class Project:
    """One project's library, opened."""

    name: str
    library: Library
    keyring: Keyring
    listing: tuple[str, bytes] | None = None
    """The list of its skills as it goes out, with what tells it from others."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _served: Served | None = None
    _published: tuple[Served, dict[str, bytes]] | None = None
    _ledger: str = field(init=False)

    def __post_init__(self) -> None:
        self._ledger = str(self.library.own / "ledger")

    def served(self) -> Served:
        """What members' agents may have of it now. Made anew when its ledger has grown, by whatever process."""
        state, found = self._state(), self._served
        if found is None or found.state != state:
            with self._lock:
                state, found = self._state(), self._served
                if found is None or found.state != state:
                    # Two entries within one tick of the file system have one time stamp: the tick must be over first.
                    while 0 <= time.time_ns() - state < _TICK:
                        time.sleep(_TICK / 1e9)
                        state = self._state()
                    found = self._served = Served.of(self.library, self.keyring, state)
        return found

    def published(self) -> dict[str, bytes]:
        """The same as files for `/.well-known/agent-skills/`."""
        now, found = self.served(), self._published
        if found is None or found[0] is not now:
            found = self._published = (now, well_known.published(now.trees))
        return found[1]

    def is_current(self) -> bool:
        """Whether `served` answers from memory."""
        return self._served is not None and self._served.state == self._state()

    def _state(self) -> int:
        """Nanoseconds since 1970 at which the ledger got its last entry."""
        return os.stat(self._ledger).st_mtime_ns

    def propose(self, name: str, tree: Tree | None, reason: str, by: str) -> Proposal:
        """Queues the whole text of a skill, or its removal (None), as a member has it.

        Raises:
            UserError: it cannot be read, is too large, says what is there already, or holds something dangerous.
        """
        snapshot = self.library.snapshot()
        there = snapshot.get(name)
        removal: list[Operation] = [] if there is None else [DeleteSkill(name=name)]
        if tree is None and there is None:
            raise NotFound(f"there is no skill {name!r}")
        operations = removal
        if tree is not None:
            checked_tree(name, tree)
            parsed = skill_of(name, tree)
            problems = parsed.problems if parsed.skill is None else validate(parsed.skill)
            if parsed.skill is None or problems:
                raise UserError(f"{name} is not a valid skill: {'; '.join(problems)}", "mend it, and propose it again")
            if parsed.skill == there:
                raise UserError(f"skill {name!r} says just that already", "propose what should change")
            if blocked := [f for f in scan_change(parsed.skill, there) if f.severity == "block"]:
                raise UserError(f"the proposed skill is not safe: {blocked[0].why}", "take that out")
            operations = [*removal, CreateSkill(skill=parsed.skill)]
        patch = Patch(base=snapshot.digest, operations=tuple(operations), reason=redact(reason), author=by)
        return self.library.propose(redact_patch(patch), by=by)


def checked_tree(name: str, tree: Tree) -> None:
    """Raises UserError where a folder from outside cannot be the folder of a skill."""
    if len(tree) > MAX_FILES or sum(map(len, tree.values())) > MAX_BYTES:
        raise UserError(f"{name!r} is too large", f"{MAX_FILES} files and {MAX_BYTES // 10**6} MB are the most")
    for path in (name, *tree):
        parts = path.split("/")
        if not all(is_component(part) for part in parts) or parts[0].startswith(".") or len(path) > 240:
            raise UserError(f"{path!r} cannot be a file of a skill", "use a relative path")
    folded = [path.casefold() for path in tree]
    if len(set(folded)) < len(folded):
        raise UserError(f"{name!r} has files whose names differ in case alone", "rename one of them")


class Hub:
    """Everything behind one hub's address. Safe to use from many threads; several processes may share its parts."""

    def __init__(self, db: Database, data: Path, clock: Clock = time.time) -> None:
        """Args: data: Folder of the libraries and the hub's key; on a disk of this machine, not of the network."""
        self.db, self.data, self.clock = db, data, clock
        self.accounts = Accounts(db, clock)
        self.jobs = Jobs(db, clock)
        self.sessions = Sessions(db, clock)
        self.inbox = Inbox(self.sessions)
        """Of the event loop that serves."""
        self._keyring = Keyring(data / "keys")
        self._projects: dict[str, Project] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, data: Path, database: str = "") -> "Hub":
        """The hub in the folder `data`; its database is the SQLite file there unless a URL is given."""
        return cls(open_database(database or str(data / "hub.db")), data)

    def project(self, name: str) -> Project:
        """Raises NotFound where the database knows no such project."""
        found = self._projects.get(name)
        if found is None:
            self.accounts.settings(name)
            with self._lock:
                found = self._projects.get(name)
                if found is None:
                    library = Library.open(self.data / "projects" / name, create=True)
                    found = self._projects[name] = Project(name, library, self._keyring)
        return found

    def close(self) -> None:
        self.db.close()
