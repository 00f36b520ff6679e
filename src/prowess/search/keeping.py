"""Keeps the search index of a library current: what changed since the last time is read, nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from prowess.core.errors import UserError
from prowess.core.skill import Skill
from prowess.library import Library
from prowess.search.encoders import Encoder, open_encoder
from prowess.search.index import SearchIndex

_AT_ONCE: Final = 500
"""Folders that are read under one hold of the library's lock."""

Progress = Callable[[int, int], None]
"""Called with skills indexed and skills to index."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one refresh did."""

    indexed: int
    removed: int
    unreadable: tuple[str, ...] = ()
    """Folders that are no readable skills."""


def index_path(library: Library) -> Path:
    return library.own / "search.db"


def router_path(library: Library) -> Path:
    """Where a router that was learned for the library lies."""
    return library.own / "router.npz"


def open_current(library: Library, cache: Path, note: Callable[[str], None] = lambda said: None) -> SearchIndex:
    """The index of `library`, brought up to date; without its vectors, with a remark, where their encoder is gone.

    Raises:
        UserError: the index cannot be used.
    """
    try:
        index = open_index(library, cache)
    except UserError as error:
        note(f"search by words alone: {error.message}")
        index = SearchIndex(index_path(library))
    refresh(index, library)
    return index


def open_index(library: Library, cache: Path, encoder: Encoder | None = None) -> SearchIndex:
    """The index of `library`, with `encoder`, or else with the one that made its vectors.

    Raises:
        UserError: the index cannot be used, or its encoder is not here any more.
    """
    index = SearchIndex(index_path(library), encoder)
    if encoder is not None or not (source := index.source):
        return index
    index.close()
    return SearchIndex(index_path(library), open_encoder(source, cache))


def refresh(index: SearchIndex, library: Library, progress: Progress = lambda done, total: None) -> Kept:
    """Brings the index to what lies in the library's folder now, edits by hand included.

    Killed on the way, it leaves what is done; the next call goes on. A folder that is no readable skill is left out.
    """
    known, now = index.stamps(), library.stamps()
    unreadable: list[str] = []
    changed = [name for name, stamp in now.items() if known.get(name) != stamp]
    gone = [name for name in known if name not in now]

    def read() -> Iterator[tuple[Skill, str]]:
        rest, done = iter(changed), 0
        while names := list(islice(rest, _AT_ONCE)):
            skills = library.skills(names)
            unread = sorted({*names} - {skill.name for skill in skills})
            unreadable.extend(unread)
            gone.extend(name for name in unread if name in known)
            yield from ((skill, now[skill.name]) for skill in skills)
            done += len(names)
            progress(done, len(changed))

    indexed = index.update(read())
    if gone:
        index.update((), gone)
    return Kept(indexed, len(gone), tuple(unreadable))
