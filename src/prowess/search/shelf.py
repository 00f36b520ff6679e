"""The shelf: the catalogue of names and descriptions that an agent shows its model, within the agent's own budget.

What does not fit is not seen, however good it is; agents drop it without a word. The shelf says what, and why. Equal
skills, uses and presets always give an equal shelf.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.skill import Skill

CHARACTERS_PER_TOKEN = 4
"""What agents reckon with; English prose has about that many."""


class Preset(Frozen):
    """How one agent makes its catalogue."""

    name: str
    title: str
    share: float | None = None
    """Part of the context window, 0 to 1; None where the agent sets no limit."""
    context: int | None = None
    """Tokens that the agent reckons with when it is not told."""
    characters: int | None = None
    """The whole budget where no context is known."""
    entry: int
    """Characters of one description that are shown at most."""
    line: str
    over: Literal["names", "shorten", "leave-out"]
    source: str

    def budget(self, context: int | None = None) -> int | None:
        """Characters of the whole catalogue with a context window of so many tokens; None for no limit."""
        known = context or (self.context if self.characters is None else None)
        if self.share is None or known is None:
            return self.characters
        return max(1, int(known * self.share * CHARACTERS_PER_TOKEN))


@cache
def presets() -> dict[str, Preset]:
    """All agents whose catalogue is known, by name."""
    table = tomllib.loads(files("prowess.search").joinpath("shelf.toml").read_text("utf-8"))
    return {name: Preset.model_validate({"name": name, **row}) for name, row in table.items()}


def preset(name: str) -> Preset:
    """Raises UserError for an agent whose catalogue is not known."""
    if name not in presets():
        raise UserError(f"the catalogue of {name!r} is not known", f"choose one of {', '.join(sorted(presets()))}")
    return presets()[name]


@dataclass(frozen=True, slots=True)
class Loss:
    """What of a skill the agent does not see."""

    name: str
    lost: Literal["entry", "description", "end of description"]
    characters: int
    """Of the description that are not shown."""
    why: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """What an agent sees of a library before it reads any skill."""

    agent: str
    text: str
    budget: int | None
    """Characters; None for no limit."""
    shown: tuple[str, ...]
    """Names in the catalogue, in its order."""
    losses: tuple[Loss, ...]

    @property
    def tokens(self) -> int:
        """Estimated: a token is four characters."""
        return -(-len(self.text) // CHARACTERS_PER_TOKEN)

    @property
    def over(self) -> int:
        """Characters by which the catalogue is still too long, with everything gone that may go."""
        return max(0, len(self.text) - self.budget) if self.budget is not None else 0


def shelve(
    skills: Sequence[Skill], preset: Preset, *, budget: int | None = None, uses: Mapping[str, int] | None = None
) -> Shelf:
    """The catalogue of `skills` as the agent of `preset` shows it.

    Args:
        budget: Characters of the whole catalogue; the preset's own where None.
        uses: How often each skill was used; those used least give way first, and of equals those later in the alphabet.

    Raises:
        UserError: the budget is below one character.
    """
    limit = preset.budget() if budget is None else budget
    if limit is not None and limit < 1:
        raise UserError(f"a budget of {limit} characters", "give at least 1")
    counts = uses or {}
    ranked = sorted(skills, key=lambda s: (-counts.get(s.name, 0), s.name))
    whole = {skill.name: " ".join(skill.description.split()) for skill in ranked}
    shown = {name: _shortened(text, preset.entry) for name, text in whole.items()}
    why = dict.fromkeys(
        (name for name in whole if shown[name] != whole[name]),
        f"{preset.title} shows {preset.entry:,} characters of a description",
    )
    if limit is not None and _size(shown, preset) > limit:
        before = dict(shown)
        if preset.over == "names":
            _drop_descriptions(shown, preset, limit)
        elif preset.over == "shorten":
            _shorten(shown, preset, limit)
        if preset.over != "names":
            _leave_out(shown, preset, limit)
        for rank, name in enumerate(whole, 1):
            if shown.get(name) != before[name]:
                used = f"used {counts.get(name, 0)} times, rank {rank} of {len(whole)}"
                why[name] = f"the catalogue may have {limit:,} characters; {used}"
    return Shelf(
        agent=preset.name,
        text="\n".join(_line(name, shown[name], preset) for name in sorted(shown)),
        budget=limit,
        shown=tuple(sorted(shown)),
        losses=tuple(_loss(name, whole[name], shown.get(name), why[name]) for name in sorted(why)),
    )


def _drop_descriptions(shown: dict[str, str], preset: Preset, limit: int) -> None:
    for name in reversed(list(shown)):
        if _size(shown, preset) <= limit:
            return
        shown[name] = ""


def _shorten(shown: dict[str, str], preset: Preset, limit: int) -> None:
    """The longest length for which all fit, found by halving; the same for every description."""
    low, high = 0, max(len(text) for text in shown.values())
    while low < high:
        middle = (low + high + 1) // 2
        if _size({name: _shortened(text, middle) for name, text in shown.items()}, preset) <= limit:
            low = middle
        else:
            high = middle - 1
    for name, text in shown.items():
        shown[name] = _shortened(text, low)


def _leave_out(shown: dict[str, str], preset: Preset, limit: int) -> None:
    """Entries in their order for as long as they fit; one that is too long does not keep out those after it."""
    left = limit + 1  # the last line has no line break
    for name, text in list(shown.items()):
        length = len(_line(name, text, preset)) + 1
        if length <= left:
            left -= length
        else:
            del shown[name]


def _size(shown: Mapping[str, str], preset: Preset) -> int:
    return max(0, sum(len(_line(name, text, preset)) + 1 for name, text in shown.items()) - 1)


def _line(name: str, description: str, preset: Preset) -> str:
    """An entry; the colon of an empty description goes with it."""
    line = preset.line if description else preset.line.replace(": {description}", "")
    return line.replace("{name}", name).replace("{description}", description)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)] + "…" * min(1, length)


def _loss(name: str, whole: str, shown: str | None, why: str) -> Loss:
    if shown is None:
        return Loss(name, "entry", len(whole), why)
    if not shown:
        return Loss(name, "description", len(whole), why)
    return Loss(name, "end of description", len(whole) - len(shown) + 1, why)
