"""Which ledger entry wrote each line of a skill.

`blame` walks back from the present text. A line that the state before held already is passed on to that state; one that
no earlier state held was written here. A state may have several states before it, asked in this order: the same skill
just before; for an undo, the skill before the change that was taken back, so that a line which comes back keeps the
entry that first wrote it; and the other skills that the same entry changed, so that lines survive renaming and merging.

Lines are compared without the space at their ends, so that another editor's line endings change nothing.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from prowess.core.errors import UserError
from prowess.library.index import Index
from prowess.library.merging import matches
from prowess.library.store import Store

MOVED: Final = 20
"""Letters and digits that a stretch of lines needs to count as moved from another skill; as in `git blame -M`."""
NOW: Final = 2**62
"""In place of a number: the folder as it lies on disk, which no entry of the ledger may know yet."""


class State(NamedTuple):
    """A skill after a ledger entry that changed it."""

    name: str
    number: int


class History(Protocol):
    """The states of skills, each with those before it."""

    def lines(self, state: State) -> list[str]:
        """Text of the file that is blamed; none where it was not there."""
        ...

    def before(self, state: State) -> Iterable[tuple[State, bool]]:
        """States that lines may come from, each with whether it is the same skill; all have smaller numbers."""
        ...


def blame(history: History, state: State) -> list[int]:
    """For each line of `state` the number of the state that wrote it. Stops as soon as all are known."""
    found = [state.number] * len(history.lines(state))
    waiting: dict[State, dict[int, list[int]]] = {state: {i: [i] for i in range(len(found))}}
    queue = [(-state.number, state.name)]
    while queue:
        number, name = heapq.heappop(queue)
        here = State(name, -number)
        open_ = waiting.pop(here)
        own = history.lines(here)
        for earlier, same_skill in history.before(here):
            if not open_:
                break
            for was, now, length in _shared(history.lines(earlier), own, same_skill):
                for offset in range(length):
                    targets = open_.pop(now + offset, None)
                    if targets is None:
                        continue
                    if earlier not in waiting:
                        waiting[earlier] = {}
                        heapq.heappush(queue, (-earlier.number, earlier.name))
                    waiting[earlier].setdefault(was + offset, []).extend(targets)
        for targets in open_.values():
            for target in targets:
                found[target] = here.number
    return found


def _shared(old: list[str], new: list[str], same_skill: bool) -> Iterator[tuple[int, int, int]]:
    for was, now, length in matches([line.rstrip() for line in old], [line.rstrip() for line in new]):
        text = "".join(new[now : now + length])
        if same_skill or sum(map(str.isalnum, text)) >= MOVED:
            yield was, now, length


def split_lines(data: bytes) -> list[str]:
    """Lines as an editor counts them."""
    lines = data.decode("utf-8", "replace").split("\n")
    return lines[:-1] if not lines[-1] else lines


class Recorded:
    """The history of one file of a skill, by the ledger and the folder as it lies now."""

    def __init__(self, index: Index, store: Store, now: Mapping[str, bytes], file: str) -> None:
        self._index, self._store, self._now, self._file = index, store, now, file
        self._lines: dict[State, list[str]] = {}

    def lines(self, state: State) -> list[str]:
        if state not in self._lines:
            self._lines[state] = split_lines(self._data(state))
        return self._lines[state]

    def _data(self, state: State) -> bytes:
        if state.number == NOW:
            return self._now.get(self._file, b"")
        tree = self._index.tree_at(*state)
        try:
            return (self._store.file(tree, self._file) if tree else None) or b""
        except UserError:  # a blob is damaged: nothing is known of this state, so its lines count as written after it
            return b""

    def before(self, state: State) -> Iterator[tuple[State, bool]]:
        yield from self._last(state.name, state.number, True)
        if state.number == NOW:
            others = self._gone() if self._index.last_state(state.name, NOW) is None else []
        else:
            if (undone := self._index.undone_by(state.number)) is not None:
                yield from self._last(state.name, undone, True)
            others = self._index.touched_with(*state)
        for other in others:
            yield from self._last(other, state.number, False)

    def _last(self, name: str, before: int, same_skill: bool) -> Iterator[tuple[State, bool]]:
        last = self._index.last_state(name, before)
        if last is not None and last[1] is not None:
            yield State(name, last[0]), same_skill

    def _gone(self) -> list[str]:
        """Skills of the ledger whose folders are gone: one of them may have been renamed by hand."""
        return [name for name in sorted(self._index.trees()) if not (self._store.path / name).exists()]
