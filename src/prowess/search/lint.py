"""What in a library keeps the right skill from being found: look-alikes, descriptions that never win or say little.

Each skill is judged as an agent sees it before it reads anything: by name and description. Everything here goes by
words, no model is asked; advice names the words. What is wrong with the text of one skill alone is found by
`prowess.library.lint`, and told along; what agents leave out of their lists, by `prowess.measure.shelf`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from prowess.core.skill import Skill
from prowess.library.lint import lint as lint_text
from prowess.library.sections import sections
from prowess.search.background import rarity, tells
from prowess.search.index import SearchIndex, listed
from prowess.search.likeness import about, cosines, lexical
from prowess.search.words import words

ALIKE: Final = 0.6
"""Cosine of two descriptions from which they count as look-alikes; chosen by looking at pairs of real skills."""
MOST_QUERIES: Final = 6
LITTLE: Final = 8.0
"""Nats: a description that tells less fits nearly any request, about as much as four words of a request tell."""
_ASKS: Final = 5.0
"""Nats that a request tells at least."""
_COMMON: Final = 1.0
"""Nats: words that tell less set nothing apart."""

Kind = Literal["look-alike", "never-wins", "says-little", "shelf", "error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend."""

    kind: Kind
    """`error` and `warning` are those of `prowess.library.lint`."""
    skills: tuple[str, ...]
    """Those concerned, the one to change first."""
    what: str
    advice: str = ""
    """Empty where `what` says it."""


def lint(skills: Sequence[Skill], *, queries: Mapping[str, Sequence[str]] | None = None) -> tuple[Problem, ...]:
    """Every problem of `skills`, the same for the same input.

    Args:
        queries: For each skill requests that it answered in real life; they come before those made from its own text.
    """
    ordered = sorted(skills, key=lambda s: s.name)
    return (*_look_alikes(ordered), *_never_wins(ordered, queries or {}), *_says_little(ordered), *_texts(ordered))


def own_queries(skill: Skill) -> tuple[str, ...]:
    """Requests that the skill should answer, made from its text but not from its description.

    Its title, and the headings and first sentences below it: what its author thought about before the description.
    """
    found: dict[str, None] = {}
    for section in sections(skill.body)[: MOST_QUERIES * 2]:
        first = next(
            (line.strip() for line in skill.body[section.body : section.own_end].splitlines() if _says(line)), ""
        )
        text = " ".join(f"{section.title} {first}".split())[:200]
        if tells(words().count(text)) >= _ASKS:
            found[text] = None
    return tuple(found)[:MOST_QUERIES]


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(("#", "`", "|", "~", "!", "<", ">"))


def similar(skills: Sequence[Skill], least: float = ALIKE) -> list[tuple[float, str, str]]:
    """(cosine, name, name) of every pair of descriptions at least so much alike, most alike first."""
    rows = lexical([about(s) for s in skills])
    found: list[tuple[float, str, str]] = []
    for i, skill in enumerate(skills):
        near: list[float] = cosines(rows[i + 1 :], rows[i]).tolist()
        found += [(c, skill.name, skills[j].name) for j, c in enumerate(near, i + 1) if c >= least]
    return sorted(found, key=lambda pair: (-pair[0], pair[1:]))


def _look_alikes(skills: Sequence[Skill]) -> list[Problem]:
    by_name = {s.name: s for s in skills}
    found: list[Problem] = []
    for cosine, a, b in similar(skills):
        only_a, only_b = _sets_apart(by_name[a], by_name[b]), _sets_apart(by_name[b], by_name[a])
        if not only_a and not only_b:
            advice = "merge them, or retire one: nothing in their texts tells them apart"
        else:
            advice = "; ".join(
                f"say in {name} that it is about {', '.join(told)}" for name, told in ((a, only_a), (b, only_b)) if told
            )
        found.append(Problem("look-alike", (a, b), f"their descriptions are alike ({cosine:.2f} of 1)", advice))
    return found


def _sets_apart(skill: Skill, other: Skill, most: int = 4) -> list[str]:
    """Words that the body of `skill` repeats and nothing in `other` has, missing in the description of `skill`."""
    theirs = words().count(f"{about(other)} {other.body} {about(skill)}")
    counts = {term: n for term, n in words().count(skill.body).items() if n > 1 and term not in theirs}
    return _telling(counts, [skill.body], most)


def _never_wins(skills: Sequence[Skill], queries: Mapping[str, Sequence[str]]) -> list[Problem]:
    if len(skills) < 2:
        return []
    index = SearchIndex.of(listed(skills))
    found: list[Problem] = []
    for skill in skills:
        asked = (*queries.get(skill.name, ()), *own_queries(skill))[:MOST_QUERIES]
        winners = [hit.name for query in asked for hit in index.search(query, 1)]
        if not asked or skill.name in winners:
            continue
        thief = Counter(winners).most_common(1)
        lacking = _unsaid(skill, asked)
        advice = f"put {', '.join(lacking)} into its description" if lacking else "say first what sets it apart"
        if thief:
            advice += f"; {thief[0][0]} wins {thief[0][1]} of them"
        what = (
            f"its description wins none of {len(asked)} requests that its own text is about, such as “{asked[0][:80]}”"
        )
        found.append(Problem("never-wins", (skill.name, *(name for name, _ in thief)), what, advice))
    return found


def _unsaid(skill: Skill, asked: Sequence[str], most: int = 5) -> list[str]:
    said = words().count(about(skill))
    counts = Counter(term for query in asked for term in words().count(query) if term not in said)
    return _telling(counts, asked, most)


def _telling(counts: Mapping[str, int], texts: Iterable[str], most: int) -> list[str]:
    """The terms that tell most, by how often they are there, as words of `texts`."""
    weights = {t: n * rarity(t, 0, 0) for t, n in counts.items() if not t.isdigit() and rarity(t, 0, 0) >= _COMMON}
    spelt = words().spelt("\n".join(texts))
    return [spelt.get(term, term) for term in sorted(weights, key=lambda t: (-weights[t], t))[:most]]


def _says_little(skills: Sequence[Skill]) -> list[Problem]:
    what = "its description says too little to be told from others"
    advice = "say what it does and when to use it, with the words of a request"
    return [
        Problem("says-little", (s.name,), what, advice) for s in skills if tells(words().count(s.description)) < LITTLE
    ]


def _texts(skills: Sequence[Skill]) -> list[Problem]:
    return [Problem(p.severity, (s.name,), f"{p.file}: {p.what}") for s in skills for p in lint_text(s)]
