"""What was proposed from which sessions before, and what became of it, so that nothing is proposed twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from prowess.core.lesson import Lesson
from prowess.core.patch import CreateSkill, Patch
from prowess.evolve.logs.groups import Group
from prowess.evolve.logs.works import Work
from prowess.library import Library

AUTHOR = "learn"


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier proposal from sessions."""

    sessions: frozenset[str]
    skill: str
    state: Literal["waiting", "applied", "refused"]
    """Refused: rejected, or applied and taken back."""


def history(library: Library, works: Iterable[Work]) -> list[Past]:
    """All proposals that `learn` ever made in `library`."""
    session = {piece: work.session for work in works for piece in work.trajectories}
    now = set(library.snapshot().names)
    found: list[Past] = []
    for proposal in library.proposals():
        found += _past(proposal.patch, proposal.lessons, "waiting", session)
    for proposal, _ in library.rejected():
        found += _past(proposal.patch, proposal.lessons, "refused", session)
    for change in library.log():
        if change.kind == "apply" and change.patch is not None:
            for past in _past(change.patch, change.lessons, "applied", session):
                gone = past.skill not in now
                found.append(Past(past.sessions, past.skill, "refused" if gone else "applied"))
    return found


def _past(
    patch: Patch,
    lessons: Iterable[Lesson],
    state: Literal["waiting", "applied", "refused"],
    session: Mapping[str, str],
) -> list[Past]:
    if patch.author != AUTHOR or not patch.operations:
        return []
    first = patch.operations[0]
    skill = first.skill.name if isinstance(first, CreateSkill) else first.name
    behind = {r.trajectory for lesson in lessons for r in lesson.references}
    return [Past(frozenset(session.get(id, id) for id in behind), skill, state)]


def reason_to_wait(group: Group, past: list[Past]) -> str:
    """Why nothing is to be proposed for `group` now; empty when something may be.

    Sessions that were used are used up: a proposal needs at least one that no earlier one had, and after a refusal at
    least as many new ones as were refused.
    """
    sessions = set(group.sessions)
    related = [p for p in past if p.sessions & sessions]
    if any(p.state == "waiting" for p in related):
        return "a proposal from these sessions waits for review"
    new = sessions - {s for p in related for s in p.sessions}
    refused = sessions & {s for p in related if p.state == "refused" for s in p.sessions}
    if related and not new:
        return "learned before" if any(p.state == "applied" for p in related) else "refused before"
    return "refused before, with few new sessions since" if len(new) < len(refused) else ""


def learned_skill(group: Group, past: list[Past]) -> str | None:
    """The skill that was learned from most of the group's sessions and is in the library still."""
    sessions = set(group.sessions)
    applied = [p for p in past if p.state == "applied" and p.sessions & sessions]
    return max(applied, key=lambda p: len(p.sessions & sessions)).skill if applied else None
