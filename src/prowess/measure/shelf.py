"""The shelf: what an agent's list of skills shows of a library, what it leaves out, and why.

The lists themselves are made by `prowess.measure.triggers.catalogue`, which knows the rules of each agent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prowess.core.skill import Snapshot
from prowess.measure.triggers.catalogue import CHARS_PER_TOKEN, Listing, Preset, Shown, listing
from prowess.search.lint import Problem


@dataclass(frozen=True, slots=True)
class Loss:
    """What of a skill an agent does not see."""

    name: str
    shown: Shown
    lost: int
    """Characters of the description that are not shown."""
    why: str


def rendered(listed: Listing, preset: Preset) -> str:
    """The list as the agent writes it."""
    lines: list[str] = []
    for entry in listed.entries:
        if entry.shown != "left out":
            line = preset.line.format(name=entry.name, description=entry.description)
            lines.append(line if entry.description else line.rstrip(": "))
    return "\n".join(lines)


def tokens(listed: Listing) -> int:
    """What the list takes of the context, by the agents' own reckoning."""
    return -(-listed.used // CHARS_PER_TOKEN)


def losses(listed: Listing, preset: Preset, uses: Mapping[str, int] | None = None) -> tuple[Loss, ...]:
    """Everything that is not shown, each with its reason."""
    counts = uses or {}
    found: list[Loss] = []
    for rank, entry in enumerate(listed.entries, 1):
        if entry.shown == "whole":
            continue
        if preset.most is not None and len(entry.description) == preset.most:
            why = f"{preset.title} shows {preset.most:,} characters of a description"
        else:
            by = f"used {counts.get(entry.name, 0)} times, " if preset.order == "use" else ""
            why = f"the list may have {listed.budget:,} characters; {by}place {rank} of {len(listed.entries)}"
        found.append(Loss(entry.name, entry.shown, entry.length - len(entry.description), why))
    return tuple(found)


def crowded(snapshot: Snapshot, agents: Sequence[Preset], uses: Mapping[str, int] | None = None) -> tuple[Problem, ...]:
    """A lint problem for each agent that does not show all of the library."""
    found: list[Problem] = []
    for agent in agents:
        listed = listing(snapshot, agent, uses)
        lost = losses(listed, agent, uses)
        if not lost:
            continue
        kinds = {kind: sum(loss.shown == kind for loss in lost) for kind in ("shortened", "name only", "left out")}
        told = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
        limit = f" in {listed.budget:,} characters" if listed.budget is not None else ""
        longest = sorted(listed.entries, key=lambda e: (-e.length, e.name))[:3]
        advice = (
            f"shorten the longest descriptions first ({', '.join(e.name for e in longest)}), or retire what is unused"
        )
        names = tuple(loss.name for loss in lost)
        found.append(Problem("shelf", names, f"{agent.title} does not show all of it{limit}: {told}", advice))
    return tuple(found)
