"""Does structure help to find a skill? SSL read off the text without a model, against text only.

    python benchmarks/structure.py [--data FOLDER] [--json FILE]

On all queries, held out or not (nothing is chosen here), of the two sets of `corpora.py` whose skills are real. Texts
are indexed as they are; `+ structure` adds the search text of the extracted structure to the body. Differences are
paired by query, intervals resample subjects (percentile bootstrap). The paper's normaliser is a model, so a null here
says that extraction alone is not enough, and nothing about the paper.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpora import Dataset, data_folder, read_corpora, skilllearnbench, use_cases
from rankings import interval, scores

from prowess.core.skill import Skill, Snapshot
from prowess.search.extract import extract
from prowess.search.index import SearchIndex
from prowess.search.views import search_text

PAIRS = (("description", "description + structure"), ("full text", "full text + structure"))


def variants(skills: Sequence[Skill]) -> dict[str, list[Skill]]:
    structures = {s.name: search_text(extract(s).layers) for s in skills}
    bare = [s.model_copy(update={"body": "", "files": ()}) for s in skills]
    return {
        "description": bare,
        "description + structure": [s.model_copy(update={"body": structures[s.name]}) for s in bare],
        "full text": list(skills),
        "full text + structure": [s.model_copy(update={"body": f"{s.body}\n{structures[s.name]}"}) for s in skills],
    }


def measure(dataset: Dataset) -> dict[str, Any]:
    queries = [query for query in dataset.queries if query.gold]
    clusters = [query.cluster for query in queries]
    found: dict[str, list[dict[str, float]]] = {}
    for name, skills in variants(dataset.skills).items():
        index = SearchIndex.of(Snapshot.of(skills))
        found[name] = [scores([hit.name for hit in index.search(q.text)], q.gold) for q in queries]
    rows = [
        {"indexed": name, **{m: sum(r[m] for r in each) / len(each) for m in ("mrr", "hit@1", "ndcg@10")},
         "mrr_interval": interval([r["mrr"] for r in each], clusters)}
        for name, each in found.items()
    ]  # fmt: skip
    pairs: list[dict[str, Any]] = []
    for a, b in PAIRS:
        gaps = [new["mrr"] - old["mrr"] for old, new in zip(found[a], found[b], strict=True)]
        pairs.append({"from": a, "to": b, "difference": sum(gaps) / len(gaps), "interval": interval(gaps, clusters)})
    return {"dataset": dataset.name, "skills": len(dataset.skills), "queries": len(queries),
            "subjects": len(set(clusters)), "rows": rows, "differences": pairs}  # fmt: skip


def show(result: dict[str, Any]) -> None:
    print("\n{dataset}: {skills} skills, {queries} queries on {subjects} subjects\n".format(**result))
    print("| indexed | MRR | first is right | nDCG at 10 |\n|---|---|---|---|")
    for row in result["rows"]:
        low, high = row["mrr_interval"]
        mrr = f"{row['mrr']:.3f} [{low:.3f}, {high:.3f}]"
        print(f"| {row['indexed']} | {mrr} | {row['hit@1']:.2f} | {row['ndcg@10']:.3f} |")
    for pair in result["differences"]:
        low, high = pair["interval"]
        print(f"\n{pair['to']} against {pair['from']}: MRR {pair['difference']:+.3f} [{low:+.3f}, {high:+.3f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    entries = read_corpora(options.data)
    results = [measure(dataset) for dataset in (use_cases(entries), skilllearnbench(entries, options.data))]
    for result in results:
        show(result)
    if options.json is not None:
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        options.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
