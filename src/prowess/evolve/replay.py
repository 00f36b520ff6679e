"""The gate `replay`: the requests of real sessions, put to a library that has the proposed skill.

Sessions have no checks, so no trial can say whether a skill helps. What they do say is what was asked: a skill must be
found for most requests that it was learned from, and may not push itself into others. The first figure is an upper
bound, since the skill was made from those very requests; the second is none.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from prowess.core.evidence import Verdict
from prowess.core.skill import Snapshot
from prowess.evolve.logs.works import Work
from prowess.library import Library, Proposal
from prowess.measure.stats.proportions import wilson
from prowess.search.index import SearchIndex
from prowess.search.need import FALSE_TRIGGERS, fit

SHOWN: Final = 3
"""Skills that a request is shown at most."""
LEAST: Final = 0.5
"""Share of its own requests for which a skill must be found."""
MOST: Final = 2000
"""Requests of other work that are put to it."""


class Replay(NamedTuple):
    """How a proposed skill fared."""

    skill: str
    own: int
    """Requests that it was learned from."""
    found: int
    """Of these, those for which it is shown."""
    others: int
    false: int
    """Of the others, those for which it is shown."""

    @property
    def verdict(self) -> Verdict:
        """`fail` where it is not found for half of its own requests, or surely for more of the others than is usual."""
        low = wilson(self.false, self.others)[0]
        failed = self.found < LEAST * self.own or low > FALSE_TRIGGERS
        note = f"shown for {self.found} of its {self.own} requests and {self.false} of {self.others} others"
        return Verdict(gate="replay", status="fail" if failed else "propose", note=note)


def replay(proposal: Proposal, library: Library, works: Iterable[Work]) -> Replay | None:
    """Puts the requests of `works` to the library as it would be; None where the proposal shows no skill of its own."""
    before, after = library.snapshot(), library.preview(proposal.patch)
    changed = [skill for skill in after.skills if before.get(skill.name) != skill]
    if len(changed) != 1:
        return None
    behind = {reference.trajectory for lesson in proposal.lessons for reference in lesson.references}
    own: list[str] = []
    others: list[str] = []
    for work in works:
        (own if work.trajectories & behind else others).append(work.request)
    name = changed[0].name
    shown = _shown(after, name, [*own, *others[:MOST]])
    return Replay(name, len(own), sum(shown[: len(own)]), len(others[:MOST]), sum(shown[len(own) :]))


def _shown(library: Snapshot, name: str, requests: Sequence[str]) -> list[bool]:
    skill, index = library.get(name), SearchIndex.of(library)
    assert skill is not None
    return [
        any(hit.name == name for hit in index.search(request, SHOWN)) and fit(request, skill, index).needed
        for request in requests
    ]
