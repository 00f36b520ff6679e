"""Patches that wait for a person."""

from collections.abc import Iterable

from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.library.records import Proposal, Rejection
from prowess.library.store import Store


class Queue:
    """The proposals of one library. The caller holds the library's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, patch: Patch, lessons: Iterable[Lesson], verdicts: Iterable[Verdict], by: str, when: str) -> Proposal:
        """Queues a patch; one that waits or was decided already is not queued again, its first proposal comes back."""
        with self._store.index() as index:
            known = index.proposal(patch.id)
        if known is not None:
            return known[0]
        proposal = Proposal(
            number=self._store.next_number(), id=patch.id, when=when, patch=patch,
            lessons=tuple(lessons), verdicts=tuple(verdicts), by=by,
        )  # fmt: skip
        self._store.append(proposal)
        return proposal

    def get(self, id: str) -> Proposal:
        """A proposal that was not rejected; UserError where there is none."""
        with self._store.index() as index:
            known = index.proposal(id)
        if known is None:
            raise UserError(f"there is no proposal {id!r}", "`proposals` lists those that wait")
        proposal, rejected = known
        if rejected is not None:
            raise UserError(f"proposal {id!r} was rejected: {rejected}", "propose another patch")
        return proposal

    def reject(self, id: str, reason: str, when: str) -> None:
        """Takes a proposal from the queue for good; raises as `get` does."""
        proposal = self.get(id)
        number = self._store.next_number()
        self._store.append(Rejection(number=number, proposal=proposal.id, when=when, reason=reason))
