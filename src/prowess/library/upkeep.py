"""What a library remembers beside its versions: audits, refusals, tasks that must stay solved, skills that are gone.

All of it is ledger entries and blobs, so it travels with the library, comes back when the index is made anew, and a
change that is undone takes its kept tasks with it.
"""

import logging
import tomllib
from collections.abc import Callable, Iterable
from typing import Final

from pydantic import TypeAdapter, ValidationError

from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.gates import known_gates
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.upkeep import Audit, KeptTask
from prowess.library.index import key_of
from prowess.library.records import Audited, Refusal, Version
from prowess.library.store import Store

KEPT_PER_FAMILY: Final = 8
"""Tasks of one family that are asked for; the newest count."""
KEPT_IN_ALL: Final = 400
KEPT_BYTES: Final = 1_000_000
"""A larger task is not kept: a library is not the place for data sets."""
_CONFIG_CAP: Final = 64 * 1024
_log = logging.getLogger(__name__)


class Upkeep:
    """The memory of one library; `Library.upkeep` is the way to it."""

    def __init__(self, store: Store, now: Callable[[], str]) -> None:
        self._store = store
        self._now = now

    # Audits and refusals

    def record_audits(self, audits: Iterable[Audit], by: str = "") -> None:
        """Adds finished audits to the ledger; one that is there already is not added twice."""
        with self._store.writing():
            for audit in audits:
                slim = audit.model_copy(update={"evidence": audit.evidence.model_copy(update={"trials": ()})})
                self._note(lambda number, a=slim: Audited(number=number, when=self._now(), audit=a, by=by))

    def audits(self) -> list[Audited]:
        """All audits, oldest first."""
        with self._store.reading(), self._store.index() as index:
            return [Audited.model_validate_json(body) for body in index.notes("audited")]

    def refuse(
        self, patch: Patch, *, verdicts: Iterable[Verdict], lessons: Iterable[Lesson] = (), by: str = ""
    ) -> None:
        """Records that gates refused `patch`, with all that they asked; the same refusal is recorded once."""
        told, why = tuple(verdicts), tuple(lessons)
        with self._store.writing():
            self._note(
                lambda number: Refusal(
                    number=number, when=self._now(), patch=patch, lessons=why, verdicts=told, by=by
                )
            )  # fmt: skip

    def refused(self) -> list[Refusal]:
        """All refusals, oldest first."""
        with self._store.reading(), self._store.index() as index:
            return [Refusal.model_validate_json(body) for body in index.notes("refusal")]

    def _note(self, make: Callable[[int], Audited | Refusal]) -> None:
        entry = make(self._store.next_number())
        with self._store.index() as index:
            known = index.note(entry.record, key_of(entry))
        if known is None:
            self._store.append(entry)

    # Kept tasks

    def keep(self, tasks: Iterable[KeptTask]) -> tuple[str, ...]:
        """Stores `tasks` among the blobs, for a change that will name them. The caller holds the lock.

        Raises:
            UserError: a task is not of the split `evidence`, so that later gates would see what they must not.
        """
        stored: dict[str, None] = {}
        for kept in tasks:
            if kept.task.split != "evidence":
                raise UserError(
                    f"task {kept.task.id!r} of split {kept.task.split!r} cannot be kept as a regression check",
                    "keep tasks of the split `evidence`: verdicts and reported figures need unseen ones",
                )
            data = kept.model_dump_json().encode()
            if len(data) <= KEPT_BYTES:
                stored[self._store.put_blob(data)] = None
        return tuple(stored)

    def kept(self) -> tuple[KeptTask, ...]:
        """Tasks that changes in force left behind to stay solved: the newest of each family, each task once."""
        found: dict[str, KeptTask] = {}
        families: dict[tuple[str, str], int] = {}
        with self._store.reading():
            with self._store.index() as index:
                blobs = index.kept()
            for sha in blobs:
                kept = self._kept(sha)
                if kept is None or kept.id in found:
                    continue
                family = (kept.task.suite, kept.task.family)
                if families.setdefault(family, 0) < KEPT_PER_FAMILY:
                    families[family] += 1
                    found[kept.id] = kept
                if len(found) == KEPT_IN_ALL:
                    break
        return tuple(found.values())

    def _kept(self, sha: str) -> KeptTask | None:
        try:
            kept = KeptTask.model_validate_json(self._store.blob(sha))
        except (UserError, ValidationError) as error:
            _log.warning("a kept task of %s is damaged and left out: %s", self._store.path, error)
            return None
        return kept if kept.task.split == "evidence" else None

    # Skills that are gone

    def archived(self) -> dict[str, Version]:
        """Skills that are not in the library now but were, each with its last version that was there.

        Nothing that a library ever held is deleted: `prowess.library.archive.restore` brings a skill back.
        """
        found: dict[str, Version] = {}
        with self._store.reading(), self._store.index() as index:
            for name in index.removed():
                there = next((v for v in index.versions(name) if v.tree is not None), None)
                if there is not None:
                    found[name] = there
        return found

    # Policy

    def gates(self) -> tuple[str, ...]:
        """Gates that this library asks for, from `gates = [...]` in its `.prowess/config.toml`; none without the file.

        They come on top of those of the user and the recipe, and take none away: the file travels with the library,
        and a library that one has cloned must not be able to switch a scan off.

        Raises:
            UserError: the file cannot be read, has another key, or names a gate that does not exist.
        """
        file = self._store.own / "config.toml"
        if not file.is_file() or file.is_symlink():
            return ()
        try:
            with file.open("rb") as stream:
                values = tomllib.loads(stream.read(_CONFIG_CAP).decode())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UserError(f"cannot read {file}: {error}", "mend the file, or remove it") from error
        for key in values:
            if key != "gates":
                raise UserError(f"{file} has an unknown key {key!r}", "its only key is `gates`, a list of names")
        try:
            gates = TypeAdapter(list[str]).validate_python(values.get("gates", []))
        except ValidationError as error:
            raise UserError(f"`gates` in {file} is no list of names", 'write gates = ["format", "scan"]') from error
        return known_gates(gates, str(file))
