"""Pieces of work of the same kind, and what such work is called."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from prowess.core.trust import OWN
from prowess.evolve.logs.text import general, legible, line, prose
from prowess.evolve.logs.vocabulary import DULL, STOP
from prowess.evolve.logs.words import cluster, rarity, stem, vector
from prowess.evolve.logs.works import Work
from prowess.guard.taint import supported

ALIKE = 0.2
"""Pieces join a group when the cosine of their words and features is this or more. On 86 sessions of 17 kinds,
pieces of different kinds came to 0.16 at most, and all but 2 pieces joined their kind (docs/decisions/0090)."""
SESSIONS = 40
"""Sessions of a group that are read at most: the latest."""
_TITLE_WORDS = 3
_TERMS = 8


@dataclass(frozen=True, slots=True)
class Group:
    """Work of one kind."""

    works: tuple[Work, ...]
    terms: tuple[str, ...]
    """The words that weigh most in what its sessions say of themselves, heaviest first."""
    rarity: dict[str, float]
    """Over all pieces of work, of all groups."""

    @property
    def sessions(self) -> tuple[str, ...]:
        """Independent sessions, in order."""
        return tuple(dict.fromkeys(work.session for work in self.works))

    def believes(self, sessions: Iterable[str], least: int = 2) -> bool:
        """Whether what these of its sessions show may be learned, by whose sessions they are.

        Args:
            least: So many of one's own are enough, whatever strangers add.
        """
        whose = {work.session: work.principal for work in self.works}
        people = [whose[session] for session in sessions]
        return supported(people) or people.count(OWN) >= least

    @property
    def title(self) -> str:
        return " ".join(self.terms[:_TITLE_WORDS]) or "recurring work"

    @property
    def name(self) -> str:
        """The title as the name of a skill."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")[:60].strip("-") or "learned-work"

    def features(self, kind: str, least: float = 0.5) -> list[tuple[str, int]]:
        """(name, sessions) of features such as `file` or `program` that at least that share of sessions has."""
        seen = Counter(
            name for s in self.sessions for name in {n for w in self.works if w.session == s for n in w.profile}
        )
        n = len(self.sessions)
        found = [
            (name.split(":", 1)[1], k) for name, k in seen.items() if name.startswith(f"{kind}:") and k >= least * n
        ]
        return sorted(found, key=lambda item: (-item[1], item[0]))


def groups(works: list[Work]) -> list[Group]:
    """All works, by kind; those with the most sessions first."""
    weights = rarity(work.profile for work in works)
    clusters = cluster([vector(work.profile, weights) for work in works], ALIKE)
    found: list[Group] = []
    for members in clusters:
        own = [works[i] for i in members]
        latest = list(dict.fromkeys(work.session for work in own))[-SESSIONS:]
        own = [work for work in own if work.session in latest]
        found.append(Group(tuple(own), _terms(own, weights), weights))
    return sorted(found, key=lambda group: (-len(group.sessions), group.name))


def _terms(own: list[Work], weights: dict[str, float]) -> tuple[str, ...]:
    """The words that weigh most in what most sessions say of themselves; the first few in the order of speech."""
    sessions = {work.session for work in own}
    weight: dict[str, float] = {}
    holders: dict[str, set[str]] = {}
    forms: dict[str, Counter[str]] = {}
    after: Counter[tuple[str, str]] = Counter()
    for work in own:
        for word, value in vector(work.profile, weights).items():
            weight[word] = weight.get(word, 0.0) + value
            holders.setdefault(word, set()).add(work.session)
        for text in (work.request, *(saying.text for saying in work.sayings)):
            kept = [w.lower() for w in re.findall(r"[A-Za-z][a-z]{2,}|[A-Z]{2,}", legible(text))]
            for word in kept:
                forms.setdefault(stem(word), Counter())[word] += 1
            after.update((stem(a), stem(b)) for a, b in pairwise(kept))
    dull = {stem(word) for word in DULL | STOP}
    least = -(-2 * len(sessions) // 3)
    fit = [w for w in weight if w in forms and w not in dull and len(holders[w]) >= least]
    best = sorted(fit, key=lambda w: (-weight[w], w))[:_TERMS]
    first = best[:_TITLE_WORDS]
    first.sort(key=lambda w: sum(after[w, other] - after[other, w] for other in first), reverse=True)
    return tuple(forms[w].most_common(1)[0][0] for w in (*first, *best[_TITLE_WORDS:]))


def example_request(group: Group) -> str:
    """How the user asked for such work, shortened; empty where no own session holds it: an agent reads it unasked."""
    asked = sorted((work.request for work in group.works if work.request and work.principal == OWN), key=len)
    return prose(line(general(asked[len(asked) // 2]), 200)) if asked else ""
