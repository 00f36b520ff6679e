"""Whether a query needs a skill at all: the chance that the best match fits, and a line below which none is shown.

Best is not good: in a library without a fitting skill, some skill is still the best match, and models load what they
are shown whether it fits or not (SRA-Bench, arXiv 2604.24593). So the best match is judged by how much of the query it
holds, how much of its name the query holds, how much the query has to say, and from how many skills it was chosen:
logistic regression on logarithms (J. Platt, 1999). The line is drawn by split conformal prediction
(V. Vovk, A. Gammerman, G. Shafer, 2005): of queries like those it was drawn on, for which no skill fits, at most the
share `FALSE_TRIGGERS` is shown one. `need.json` is made by `benchmarks/need.py`, which also states the held-out rates.
"""

import json
import math
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from prowess.core.skill import Skill
from prowess.search.index import SearchIndex
from prowess.search.scoring import SCALE, impacts

FALSE_TRIGGERS: Final = 0.1
"""Share of queries without a fitting skill that are shown one all the same."""
FEATURES: Final = ("matched", "title", "query", "library")
"""Logarithms of the score of the skill, of what the query tells and of the number of skills; `title` is the share of
the skill's name that the query holds."""


class Fit(NamedTuple):
    """How well one skill fits one query."""

    chance: float
    """That it fits, 0 to 1, where half of all queries have a fitting skill."""
    needed: bool
    """Whether that is above the line."""


class Calibration(NamedTuple):
    weights: tuple[float, ...]
    """Of `FEATURES`."""
    offset: float
    line: float
    """Chance above which a skill is shown."""


def features(query: str, skill: Skill, skills: SearchIndex) -> tuple[float, ...]:
    """What the chance depends on, in the order of `FEATURES`."""
    wanted = skills.weights(query)
    held = {term: int(found.impacts[0]) * SCALE for term, found in impacts([skill]).items()}
    title = skills.weights(skill.name)
    return (
        math.log1p(sum(weight * held[term] for term, weight in wanted.items() if term in held)),
        sum(weight for term, weight in title.items() if term in wanted) / (sum(title.values()) or 1),
        math.log1p(sum(wanted.values())),
        math.log1p(len(skills)),
    )


def fit(query: str, skill: Skill, skills: SearchIndex) -> Fit:
    """How well `skill`, the best of `skills` for `query`, fits it."""
    known = calibration()
    found = known.offset + sum(w * x for w, x in zip(known.weights, features(query, skill, skills), strict=True))
    chance = 1 / (1 + math.exp(-max(-700.0, min(700.0, found))))
    return Fit(chance, chance > known.line)


@cache
def calibration() -> Calibration:
    stored = json.loads(files("prowess.search").joinpath("need.json").read_text("utf-8"))
    return Calibration(tuple(stored["weights"][name] for name in FEATURES), stored["offset"], stored["line"])
