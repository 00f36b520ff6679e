"""What a comparison could see, said before anything is spent."""

from typing import NamedTuple

from prowess.core.evidence import Noise
from prowess.measure.sequential import plan
from prowess.measure.stats.design import Design, expect, pairs_for
from prowess.measure.stats.power import minimum_detectable_effect, pairs_needed

GUESSED_FLIP_RATE = 0.1
"""Where no A/A run is known. A guess, and called one wherever it is used."""
POWER = 0.8


class Assumed(NamedTuple):
    """The noise that a forecast reckons with."""

    flip_rate: float
    source: str
    """In words, for the reader to judge."""

    @classmethod
    def of(cls, noise: Noise | None) -> "Assumed":
        if noise is None:
            return cls(GUESSED_FLIP_RATE, "a guess: no A/A run of this suite with this agent and model yet")
        return cls(noise.flip_rate, f"A/A: {noise.flips} of {noise.n} pairs flipped")

    @property
    def loss(self) -> float:
        """Share of pairs that are lost by chance alone, under a treatment that harms nothing by itself."""
        return self.flip_rate / 2


class Fixed(NamedTuple):
    """What so many pairs, all of them run, could see."""

    pairs: int
    effect: float | None
    """Smallest gain in success rate that is shown with 80 % chance; None when none could be."""

    def __str__(self) -> str:
        if self.effect is None:
            return f"{self.pairs} pairs can show no gain with {POWER:.0%} chance"
        return f"{self.pairs} pairs show a gain of {100 * self.effect:.0f} points or more with {POWER:.0%} chance"


class Needed(NamedTuple):
    """What it takes to see a gain with 80 % chance."""

    effect: float
    fixed: int
    """Pairs of the exact test of fixed size."""
    at_most: int | None
    """Pairs after which a sequential comparison gives up; None when 200 are not enough."""
    if_so: float | None
    """Pairs that it takes on average when the gain is that large."""
    if_none: float | None
    """Pairs that it takes on average when there is no gain."""


def fixed(pairs: int, assumed: Assumed, alpha: float = 0.05) -> Fixed:
    """What `pairs` pairs of a comparison of fixed size could see."""
    return Fixed(pairs, minimum_detectable_effect(pairs, assumed.loss, alpha, POWER))


def needed(effect: float, assumed: Assumed, alpha: float = 0.05) -> Needed:
    """How many pairs show a gain of `effect` (0 to 1).

    Raises:
        UserError: the effect is not between 0 and 1, cannot stand beside so much noise, or needs over 5,000 pairs.
    """
    loss = assumed.loss
    size = pairs_needed(effect + loss, loss, alpha, POWER)
    design = pairs_for(effect, loss, POWER, alpha)
    if design is None:
        return Needed(effect, size, None, None, None)
    return Needed(effect, size, design.max_pairs, *(expect(design, loss + gain, loss).pairs for gain in (effect, 0.0)))


def gate_forecast(design: Design, assumed: Assumed) -> str:
    """The forecast of a sequential gate in one sentence."""
    return f"{plan(design, assumed.flip_rate, POWER)}; noise: {assumed.source}"
