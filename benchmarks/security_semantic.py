"""The semantic gate on labelled skills, for `benchmarks/security.py`: what a model fails, and what it does not pass."""

import hashlib
from typing import Any

import anyio
from security_sets import CONFIGS, Item

from prowess.agents.models import open_model
from prowess.core.cost import total
from prowess.guard.scan import scan_files
from prowess.library.trees import skill_of
from prowess.measure.semantic import Review, review
from prowess.measure.stats.proportions import clopper_pearson


def semantic(some: list[Item], model: str, each: int, votes: int) -> dict[str, Any]:
    """Shares of verdicts by source and label, over at most `each` skills of each, chosen by hash."""
    reader = open_model(model)
    order = sorted(some, key=lambda i: hashlib.sha256(b"3" + b"".join(i.files.values())).digest())
    sources = sorted({(i.source, i.bad) for i in some if i.source != CONFIGS})

    async def ask() -> dict[str, Any]:
        out: dict[str, Any] = {}
        for source, bad in sources:
            rows: list[tuple[Item, Review]] = []
            for item in [i for i in order if (i.source, i.bad) == (source, bad)][:each]:
                skill = skill_of("skill", item.files).skill
                if skill is not None:
                    rows.append((item, await review(skill, reader, votes)))
            out[f"{source}, {'attacks' if bad else 'honest'}"] = _row(rows)
        return out

    return {"model": reader.name, "votes": votes, "sources": anyio.run(ask)}


def _row(rows: list[tuple[Item, Review]]) -> dict[str, Any]:
    n = len(rows)
    failed = sum(bool(r.proven) for _, r in rows)
    held = sum(not r.passed for _, r in rows)
    blocked = [any(f.severity == "block" for f in scan_files(item.files)) for item, _ in rows]
    either = sum(b or bool(r.proven) for b, (_, r) in zip(blocked, rows, strict=True))
    return {
        "n": n,
        "failed": [failed, *clopper_pearson(failed, n)],
        "not_passed": [held, *clopper_pearson(held, n)],
        "failed_or_blocked_by_the_scan": [either, *clopper_pearson(either, n)],
        "without_an_answer": sum(bool(r.lost) for _, r in rows),
        "tokens": total([r.cost for _, r in rows]).tokens,
        "seconds": total([r.cost for _, r in rows]).seconds,
    }
