"""Whether a new router is better than the old one: a paired comparison on queries that neither was trained on.

A router stands in for an agent here: it passes a query when the first skill it names is one that helped with it. So the
comparison is that of any two arms, by the same test, with the same three outcomes.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256

from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Trial
from prowess.measure.compare import compare
from prowess.search.experience import Experience
from prowess.search.index import SearchIndex
from prowess.search.routers import Router

HELD_OUT = 0.3
"""Share of queries kept for the comparison."""
FEWEST = 10
"""Held-out queries below which no answer could be more than luck."""


def split(log: Iterable[Experience]) -> tuple[list[Experience], list[Experience]]:
    """Experience to train on and to compare on; all of one query goes to one side, whatever else is in the log."""
    train, held_out = list[Experience](), list[Experience]()
    for entry in log:
        place = int(sha256(" ".join(entry.query.split()).encode("utf-8", "replace")).hexdigest()[:8], 16) / 2**32
        (held_out if place < HELD_OUT else train).append(entry)
    return train, held_out


async def compare_routers(old: Router, new: Router, skills: SearchIndex, held_out: Sequence[Experience]) -> Evidence:
    """Evidence on the share of queries for which the first skill named is one that helped.

    Raises:
        UserError: fewer than ten queries have a skill that helped.
    """
    helped: defaultdict[str, set[str]] = defaultdict(set)
    for entry in held_out:
        if entry.helped:
            helped[entry.query].add(entry.skill)
    if len(helped) < FEWEST:
        raise UserError(
            f"only {len(helped)} held-out queries have a skill that helped; {FEWEST} are needed to compare routers",
            "run more tasks, or import more sessions",
        )
    trials: list[Trial] = []
    for number, (query, names) in enumerate(sorted(helped.items())):
        for arm, router in (("old", old), ("new", new)):
            hits = await router.rank(query, skills, 1)
            passed = bool(hits) and hits[0].name in names
            trials.append(
                Trial(
                    task_id=f"query-{number}", arm=arm, seed=0, passed=passed, trajectory=f"{arm}-{number}",
                    judged_by="what helped, from the log",
                )
            )  # fmt: skip
    return compare(trials, "old", "new")
