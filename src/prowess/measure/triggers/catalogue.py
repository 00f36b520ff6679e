"""What of a library an agent is shown before it loads anything: names and descriptions within a budget.

Agents list their skills in a small share of the context window, and quietly shorten or drop what does not fit. The
table `catalogue.toml` says how each does it and where that is written. A description never shown cannot be blamed.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.core.view import View

CHARS_PER_TOKEN = 4
"""How the agents themselves turn their budgets of tokens into characters."""

Shown = Literal["whole", "shortened", "name only", "left out"]


class Preset(Frozen):
    """How one agent lists skills."""

    name: str
    title: str
    window: int | None = None
    """Tokens of the context window that the budget is a share of; None for no budget."""
    share: float = 0.0
    most: int | None = None
    """Longest description, in characters."""
    line: str = "- {name}: {description}"
    """An entry; what it takes beside the description counts too."""
    order: Literal["name", "use"] = "name"
    """Who comes first: by name, or those that were loaded most in the past."""
    overflow: Literal["drop", "share"] = "drop"
    """`drop`: the descriptions of the last skills go, whole. `share`: all are cut to one length; where not even the
    names fit, those that do not are left out."""
    source: str

    @property
    def budget(self) -> int | None:
        """Characters for the whole list."""
        return None if self.window is None else round(self.window * self.share * CHARS_PER_TOKEN)


class Entry(Frozen):
    """One skill in the list."""

    name: str
    shown: Shown
    description: str
    """As the agent sees it."""
    length: int
    """Characters of the whole description."""


class Listing(Frozen):
    """What an agent sees of a library."""

    preset: str
    budget: int | None
    used: int
    """Characters."""
    entries: tuple[Entry, ...]

    def entry(self, name: str) -> Entry | None:
        return next((e for e in self.entries if e.name == name), None)


@cache
def presets() -> dict[str, Preset]:
    """All presets, by name."""
    table = tomllib.loads(files("prowess.measure.triggers").joinpath("catalogue.toml").read_text("utf-8"))
    return {name: Preset.model_validate({"name": name, **row}) for name, row in table.items()}


def preset(name: str, window: int | None = None) -> Preset:
    """The preset called `name`, for a context window of `window` tokens where that is not the usual one.

    Raises:
        UserError: no such preset.
    """
    found = presets().get(name)
    if found is None:
        raise UserError(f"no catalogue is called {name!r}", f"choose one of {', '.join(presets())}")
    return found if window is None or found.window is None else found.model_copy(update={"window": window})


def listing(snapshot: Snapshot, preset: Preset, uses: Mapping[str, int] | None = None) -> Listing:
    """What an agent with this preset sees of `snapshot`.

    Args:
        uses: how often each skill was loaded before, for agents that keep what is used most. None at all, as after a
            fresh installation, leaves the order of names.
    """
    uses = uses if uses is not None and preset.order == "use" else {}
    skills = sorted(snapshot.skills, key=lambda s: (-uses.get(s.name, 0), s.name))
    full = [" ".join(s.description.split()) for s in skills]
    wanted = [d[: preset.most] for d in full]
    bare = [len(preset.line.format(name=s.name, description="")) + 1 for s in skills]
    limits = _limits(bare, [len(d) for d in wanted], preset)
    entries: list[Entry] = []
    used = 0
    for skill, whole, most, cost, limit in zip(skills, full, wanted, bare, limits, strict=True):
        text, shown = most[: limit or 0], "left out"
        if limit is not None:
            used += cost + len(text)
            shown = "whole" if text == whole else "shortened" if text else "name only"
        entries.append(Entry(name=skill.name, shown=shown, description=text, length=len(whole)))
    return Listing(preset=preset.name, budget=preset.budget, used=used, entries=tuple(entries))


def view(snapshot: Snapshot, listing: Listing) -> View:
    """The view of an agent that sees this list and reads the rest on demand."""
    skills: list[Skill] = []
    for entry in listing.entries:
        skill = snapshot.get(entry.name)
        if skill is not None and entry.shown != "left out":
            skills.append(skill.model_copy(update={"description": entry.description}))
    return View(snapshot=snapshot.digest, skills=tuple(skills), disclosure="progressive")


def _limits(bare: list[int], lengths: list[int], preset: Preset) -> list[int | None]:
    """Characters of description that each skill gets; None for one that is left out."""
    budget = preset.budget
    room = None if budget is None else budget - sum(bare)
    if room is None or sum(lengths) <= room:
        return list(lengths)
    if preset.overflow == "drop":
        kept = 0
        while kept < len(lengths) and sum(lengths[: kept + 1]) <= room:
            kept += 1
        return [length if i < kept else 0 for i, length in enumerate(lengths)]
    if room >= 0:
        return list(_level(lengths, room))
    limits: list[int | None] = []
    left = budget or 0
    for cost in bare:
        limits.append(0 if cost <= left else None)
        left -= cost if cost <= left else 0
    return limits


def _level(lengths: list[int], room: int) -> list[int]:
    """`room` given out one character at a time, in turn, to all that can still use one."""
    level, left = 0, room
    for rank, length in enumerate(sorted(lengths)):
        users = len(lengths) - rank
        step = min(length - level, left // users)
        level, left = level + step, left - step * users
        if level < length:
            break
    out: list[int] = []
    for length in lengths:
        extra = 1 if length > level and left > 0 else 0
        left -= extra
        out.append(min(length, level) + extra)
    return out
