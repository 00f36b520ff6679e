"""Does structure help to find a skill? SSL read off the text without a model, against text only.

    python benchmarks/structure.py [--data FOLDER] [--json]

Requests are the task instructions of SkillLearnBench; right is any skill that a person wrote for that family; the
corpus is every skill by people. Texts are indexed as they are (fields, BM25); `+ structure` adds the search text of the
extracted structure to the body. Differences are paired by request, intervals resample families (percentile bootstrap,
2,000 draws): requests of one family are not independent. The paper's normaliser is a model, so a null here says that
extraction alone is not enough, and nothing about the paper.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
from real_skills import Corpus, data_folder, load

from prowess.core.skill import Skill
from prowess.search.descent import lexical
from prowess.search.extract import extract
from prowess.search.views import search_text

DEPTH = 100


def variants(skills: Sequence[Skill]) -> dict[str, list[Skill]]:
    structures = {s.name: search_text(extract(s).layers) for s in skills}
    bare = [s.model_copy(update={"body": "", "files": ()}) for s in skills]
    return {
        "description": bare,
        "description + structure": [s.model_copy(update={"body": structures[s.name]}) for s in bare],
        "full text": list(skills),
        "full text + structure": [s.model_copy(update={"body": f"{s.body}\n{structures[s.name]}"}) for s in skills],
        "structure alone": [
            s.model_copy(update={"name": f"x-{i}", "description": "", "body": structures[s.name]})
            for i, s in enumerate(bare)
        ],
    }


def reciprocal_ranks(corpus: Corpus, skills: Sequence[Skill], shown: Sequence[Skill]) -> list[float]:
    """1 / rank of the first right skill for each request; 0 beyond the hundredth."""
    real = {b.name: a.name for a, b in zip(skills, shown, strict=True)}
    rank = lexical(shown, DEPTH)
    found: list[float] = []
    for family, text in corpus.tasks:
        gold = corpus.gold(family)
        places = [i for i, name in enumerate(rank(text), 1) if real[name] in gold]
        found.append(1 / places[0] if places else 0.0)
    return found


def interval(values: np.ndarray[Any, Any], families: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % of the mean, resampling whole families."""
    groups = [values[[i for i, f in enumerate(families) if f == family]] for family in sorted(set(families))]
    draw = np.random.default_rng(seed)
    means = [
        np.concatenate([groups[i] for i in draw.integers(len(groups), size=len(groups))]).mean() for _ in range(2_000)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=data_folder())
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    corpus = load(options.data)
    skills = [s for s in corpus.skills if s.name in corpus.by_people]
    families = [family for family, _ in corpus.tasks]
    ranks = {name: np.array(reciprocal_ranks(corpus, skills, shown)) for name, shown in variants(skills).items()}
    rows = [
        {"indexed": name, "mrr": float(r.mean()), "mrr_interval": interval(r, families),
         "recall_at_1": float((r == 1).mean()), "recall_at_10": float((r >= 0.1).mean())}
        for name, r in ranks.items()
    ]  # fmt: skip
    pairs = [
        {"from": a, "to": b, "difference": float((ranks[b] - ranks[a]).mean()),
         "interval": interval(ranks[b] - ranks[a], families)}
        for a, b in (("description", "description + structure"), ("full text", "full text + structure"))
    ]  # fmt: skip
    result = {
        "skills": len(skills), "requests": len(families), "families": len(set(families)),
        "machine": f"{platform.machine()}, Python {platform.python_version()}", "rows": rows, "differences": pairs,
    }  # fmt: skip
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{len(skills)} skills, {len(families)} requests of {len(set(families))} families\n")
    print("| indexed | MRR | recall@1 | recall@10 |\n|---|---|---|---|")
    for row in rows:
        low, high = row["mrr_interval"]
        print(
            f"| {row['indexed']} | {row['mrr']:.3f} [{low:.3f}, {high:.3f}] "
            f"| {row['recall_at_1']:.2f} | {row['recall_at_10']:.2f} |"
        )
    for pair in pairs:
        low, high = pair["interval"]
        print(f"\n{pair['to']} against {pair['from']}: MRR {pair['difference']:+.3f} [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
