"""Connecting an agent and disconnecting it again, with a journal that outlives any crash in between.

The journal has every file as it was and as it becomes, and is on the disk before the first file is touched. So at any
moment each file is either as it was or as we made it, unless somebody else has written it, and then only our own
entries are taken out.
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from prowess.core.base import Frozen
from prowess.core.errors import Refused, UserError
from prowess.library.disk import flush
from prowess.serve.connect.agents import Way, edits_for
from prowess.serve.connect.edits import Conflict, Edit, applied, undone

_PRIVATE = 0o600
"""Of new files: some agents keep secrets in theirs."""


class Touched(Frozen):
    """One file of the agent."""

    path: Path
    before: bytes | None
    """None where there was none."""
    after: bytes
    edits: tuple[Edit, ...]
    made: tuple[Path, ...] = ()
    """Folders that were made for it, the outermost first."""


class Connection(Frozen):
    """What was done to one agent."""

    agent: str
    ways: tuple[Way, ...]
    files: tuple[Touched, ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A file that is to be written, or with no text removed."""

    path: Path
    old: bytes | None
    new: bytes | None


@dataclass(frozen=True, slots=True)
class Journal:
    """The connections that there are, one file for each agent in `folder`."""

    folder: Path

    def connection(self, agent: str) -> Connection | None:
        """How the agent is connected; None when it is not.

        Raises:
            UserError: the journal is damaged.
        """
        try:
            return Connection.model_validate_json(self._file(agent).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{self._file(agent)} cannot be read: {error}", "restore the agent's files by hand"
            ) from error

    def plan(self, agent: str, ways: tuple[Way, ...], home: Path, values: Mapping[str, object]) -> Connection:
        """What connecting would do; nothing is written. An agent that is connected is looked at as if it were not.

        Args:
            values: What the table's placeholders stand for, and variables that move the agent's folder.

        Raises:
            UserError: the agent is not known, knows no such way, or a file cannot be edited.
            Refused: it is connected, and that cannot be taken back.
        """
        there = {rewrite.path: rewrite.new for rewrite in self.unplan(agent)}
        known = self.connection(agent)
        ours = {folder for file in known.files for folder in file.made} if known is not None else set[Path]()
        files: list[Touched] = []
        for path, edits in edits_for(agent, ways, home, values).items():
            real = path.resolve()  # a link into a folder of dotfiles stays one
            before = there[real] if real in there else _read(real)
            twin = real.with_suffix(".jsonc")
            if real.suffix == ".json" and before is None and twin.exists():
                raise UserError(f"{twin} may hold comments, which would be lost", "edit it by hand, or make it a .json")
            text = applied(real, _decoded(real, before), edits)
            made = tuple(reversed([f for f in real.parents if f in ours or not f.exists()]))
            files.append(Touched(path=real, before=before, after=text.encode(), edits=edits, made=made))
        return Connection(agent=agent, ways=ways, files=tuple(files))

    def connect(self, planned: Connection) -> None:
        """Does what was planned; an earlier connection of the agent is taken back first."""
        self.disconnect(planned.agent)
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self._file(planned.agent), planned.model_dump_json().encode())
        for file in planned.files:
            if _read(file.path) != file.before:
                self.disconnect(planned.agent)
                raise UserError(f"{file.path} has changed just now", "try again")
            file.path.parent.mkdir(parents=True, exist_ok=True)
            _write(file.path, file.after)

    def unplan(self, agent: str) -> tuple[Rewrite, ...]:
        """What disconnecting would do, which is nothing for an agent that is not connected; nothing is written.

        Raises:
            Refused: what we wrote was edited since. The message says where, and the originals stay in the journal.
        """
        there = self.connection(agent)
        rewrites: list[Rewrite] = []
        for file in there.files if there is not None else ():
            now = _read(file.path)
            if now == file.before or now is None:
                continue
            if now == file.after:
                rewrites.append(Rewrite(file.path, now, file.before))
                continue
            before = _decoded(file.path, file.before)
            try:
                text = undone(file.path, _decoded(file.path, now), before, file.edits).encode()
            except (Conflict, UserError) as error:
                hint = (
                    f"take the entries of prowess out by hand, then delete {self._file(agent)}, which has the original"
                )
                raise Refused(f"{file.path} was edited since: {error}", hint) from error
            if text != now:
                rewrites.append(Rewrite(file.path, now, text))
        return tuple(rewrites)

    def disconnect(self, agent: str) -> tuple[Rewrite, ...]:
        """Takes the connection back; every file is as it was, to the byte, unless others have written it since.

        Returns:
            What was done. Repeating it after a crash does the rest.
        """
        done = self.unplan(agent)
        for rewrite in done:
            if rewrite.new is None:
                rewrite.path.unlink(missing_ok=True)
                flush([rewrite.path.parent])
            else:
                _write(rewrite.path, rewrite.new)
        there = self.connection(agent)
        if there is not None:
            for folder in (f for file in there.files for f in reversed(file.made)):
                with suppress(OSError):  # somebody else uses it by now
                    folder.rmdir()
            self._file(agent).unlink()
            flush([self.folder])
        return done

    def _file(self, agent: str) -> Path:
        return self.folder / f"{agent}.json"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", "give yourself access") from error


def _decoded(path: Path, data: bytes | None) -> str:
    try:
        return (data or b"").decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8", "mend the file") from error


def _write(path: Path, data: bytes) -> None:
    """Puts `data` at `path`, whole and for good, with the permissions that the file had."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}.prowess")
    try:
        mode = path.stat().st_mode & 0o7777 if path.exists() else _PRIVATE
        with scratch.open("xb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
        flush([scratch])
        scratch.replace(path)
        flush([path.parent])
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise UserError(f"{path} cannot be written: {error.strerror}", "make room or give yourself access") from error
