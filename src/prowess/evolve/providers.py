"""What an agent is shown of the library for a task."""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.view import View

if TYPE_CHECKING:
    from prowess.search.index import SearchIndex


_recent: "deque[tuple[Snapshot, str, SearchIndex]]" = deque(maxlen=4)
"""Snapshots that were searched last, with digest and index: trials search the same few again and again."""


@dataclass(frozen=True, slots=True)
class NoSkills:
    """The baseline arm: nothing is shown."""

    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot=library.digest)


@dataclass(frozen=True, slots=True)
class Everything:
    """The whole library, with all bodies in the prompt: for methods that keep one skill, or a few."""

    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot=library.digest, skills=library.skills)


@dataclass(frozen=True, slots=True)
class BestMatches:
    """The `k` skills that match the prompt best and fit it, with their bodies in the prompt; none where none fits.

    SkillOS shows five; a small model on a CPU pays for every token it reads, so one is the default here.
    """

    k: int = 1

    def view(self, task: Task, library: Snapshot) -> View:
        from prowess.search.need import fit

        digest, index = _searchable(library)
        found = [library.get(hit.name) for hit in index.search(task.prompt, self.k)]
        skills = tuple(s for s in found if s is not None and fit(task.prompt, s, index).needed)
        return View(snapshot=digest, skills=skills)


def _searchable(library: Snapshot) -> "tuple[str, SearchIndex]":
    """Digest and index of `library`; both take time that grows with its text."""
    from prowess.search.index import SearchIndex

    for known, digest, index in tuple(_recent):
        if known is library:
            return digest, index
    made = (library, library.digest, SearchIndex.of(library))
    _recent.append(made)
    return made[1:]
