"""What in a library keeps the right skill from being found: look-alikes, and descriptions that never win.

What agents leave out of their lists is found by `prowess.measure.shelf`. Each skill is judged as an agent sees it
before it reads anything: by name and description. Everything here is words, no model is asked; advice names the words.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prowess.core.skill import Skill
from prowess.library.sections import sections
from prowess.search.descent import by_description
from prowess.search.likeness import about, cosines, lexical, words

ALIKE = 0.6
"""Cosine of two descriptions from which they count as look-alikes; chosen by looking at pairs of real skills."""
MOST_QUERIES = 6
_CHARACTERS = 4
"""Of a token, about."""
BODY_TOKENS = 5_000
"""The specification's advice for a body."""

Kind = Literal["look-alike", "never-wins", "shelf", "long-body", "says-little"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend."""

    kind: Kind
    skills: tuple[str, ...]
    """Those concerned, the one to change first."""
    what: str
    advice: str


def lint(
    skills: Sequence[Skill],
    *,
    queries: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Problem, ...]:
    """Every problem of `skills`, the same for the same input.

    Args:
        queries: For each skill requests that it answered in real life; they come before those made from its own text.
    """
    ordered = sorted(skills, key=lambda s: s.name)
    return (
        *_look_alikes(ordered),
        *_never_wins(ordered, queries or {}),
        *_says_little(ordered),
        *_long_bodies(ordered),
    )


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
        if len(words(text)) >= 3:
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
    theirs = set(words(f"{about(other)} {other.body}")) | set(words(about(skill)))
    counts = Counter(word for word in words(skill.body) if word not in theirs and not word.isdigit())
    return [word for word, times in counts.most_common(most) if times > 1]


def _never_wins(skills: Sequence[Skill], queries: Mapping[str, Sequence[str]]) -> list[Problem]:
    if len(skills) < 2:
        return []
    rank = by_description(skills)
    found: list[Problem] = []
    for skill in skills:
        asked = (*queries.get(skill.name, ()), *own_queries(skill))[:MOST_QUERIES]
        winners = [name for query in asked for name in rank(query)]
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
    said = set(words(about(skill)))
    counts = Counter(word for query in asked for word in dict.fromkeys(words(query)) if word not in said)
    return [word for word, _ in counts.most_common(most) if not word.isdigit()]


def _says_little(skills: Sequence[Skill]) -> list[Problem]:
    least = 4
    what = f"its description has fewer than {least} words that tell anything"
    advice = "say what it does and when to use it, with the words of a request"
    return [Problem("says-little", (s.name,), what, advice) for s in skills if len(set(words(s.description))) < least]


def _long_bodies(skills: Sequence[Skill]) -> list[Problem]:
    found: list[Problem] = []
    for skill in skills:
        tokens = len(skill.body) // _CHARACTERS
        if tokens > BODY_TOKENS:
            what = f"its body has about {tokens:,} tokens; {BODY_TOKENS:,} are advised"
            found.append(Problem("long-body", (skill.name,), what, "move what is seldom needed into references/"))
    return found
