"""Calibrates when no skill is needed, and says how well that holds: makes `src/prowess/search/need.json`.

    python benchmarks/need.py [--data FOLDER] [--check] [--json FILE]

For every query of a dataset a small library is drawn from it (1 to 400 skills), once with a skill that fits and once
without. The best lexical match of each is judged by `prowess.search.need`. Weights and line come from the tuning
queries, all datasets counting alike; the rates that are printed are those of the held-out queries. `--check` leaves
the file as it is and measures what is in it.
"""

import argparse
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpora import Dataset, Part, Query, data_folder, datasets

from prowess.core.skill import Snapshot
from prowess.measure.stats.proportions import wilson
from prowess.search.index import SearchIndex
from prowess.search.need import FALSE_TRIGGERS, FEATURES, features
from prowess.suites.workbench import Workbench

TARGET = Path(__file__).parents[1] / "src" / "prowess" / "search" / "need.json"
SUITE = Workbench()
SIZES = (1, 4, 12, 40, 120, 400)


@dataclass(frozen=True, slots=True)
class Row:
    dataset: str
    features: tuple[float, ...]
    fits: bool
    answerable: bool
    """Whether a fitting skill was in the library."""


def workbench() -> Dataset:
    """The office tasks of the suite and the skills that people wrote; families alternate between the parts."""
    skills = [SUITE.human_skill(family) for family in SUITE.families]
    queries = [
        Query(task.prompt, frozenset([skill.name]), family, "tune" if number % 2 else "test")
        for number, (family, skill) in enumerate(zip(SUITE.families, skills, strict=True))
        if skill is not None
        for task in SUITE.tasks(family, "test", 5)
    ]
    return Dataset("workbench", tuple(s for s in skills if s is not None), tuple(queries))


def rows(dataset: Dataset, part: Part, limit: int, seed: int) -> list[Row]:
    chance, found = random.Random(seed), list[Row]()
    by_name = {skill.name: skill for skill in dataset.skills}
    for query in [q for q in dataset.of(part) if q.gold][:limit]:
        drawn = chance.sample(dataset.skills, min(chance.choice(SIZES), len(dataset.skills)))
        without = {skill.name: skill for skill in drawn if skill.name not in query.gold}
        fitting = by_name[chance.choice(sorted(query.gold))]
        for library in ({**without, fitting.name: fitting}, without):
            index = SearchIndex.of(Snapshot.of(list(library.values())))
            for hit in index.search(query.text, 1):
                judged = features(query.text, by_name[hit.name], index)
                found.append(Row(dataset.name, judged, hit.name in query.gold, fitting.name in library))
    return found


def fit(found: list[Row]) -> tuple[list[float], float]:
    """Weights and offset of a logistic regression in which every dataset counts alike, as do the two answers."""
    x = np.array([[*row.features, 1.0] for row in found])
    y = np.array([row.fits for row in found], float)
    sizes = {
        (d, f): sum(r.dataset == d and r.fits == f for r in found) for d in {r.dataset for r in found} for f in (0, 1)
    }
    share = np.array([1 / sizes[row.dataset, int(row.fits)] for row in found])
    share *= len(found) / share.sum()
    weights = np.zeros(x.shape[1])
    for _ in range(100):  # Newton's method
        p = 1 / (1 + np.exp(-x @ weights))
        curvature = (x.T * (share * p * (1 - p))) @ x + 0.01 * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, x.T @ (share * (p - y)) + 0.01 * weights)
    return weights[:-1].tolist(), float(weights[-1])


def chance_of(row: Row, weights: list[float], offset: float) -> float:
    return 1 / (1 + math.exp(-(offset + sum(w * f for w, f in zip(weights, row.features, strict=True)))))


def line_of(chances: list[float]) -> float:
    """The conformal quantile: of `n` chances of queries that no skill fits, the ceil((n + 1)(1 - rate))-th smallest."""
    place = math.ceil((len(chances) + 1) * (1 - FALSE_TRIGGERS))
    return sorted(chances)[min(place, len(chances)) - 1]


def rates(found: list[Row], weights: list[float], offset: float, line: float) -> dict[str, dict[str, object]]:
    """For each dataset and all: how many unanswerable queries are shown a skill, and answerable ones the right one."""
    table: dict[str, dict[str, object]] = {}
    for name in [*sorted({row.dataset for row in found}), "all"]:
        some = [row for row in found if name in ("all", row.dataset)]
        shown = {id(row): chance_of(row, weights, offset) > line for row in some}
        empty = [row for row in some if not row.answerable]
        full = [row for row in some if row.answerable]
        false, right = sum(shown[id(r)] for r in empty), sum(shown[id(r)] and r.fits for r in full)
        wrong = sum(shown[id(r)] and not r.fits for r in full)
        table[name] = {
            "false_triggers": [false, len(empty), *wilson(false, len(empty))],
            "right": [right, len(full), *wilson(right, len(full))],
            "wrong": [wrong, len(full), *wilson(wrong, len(full))],
        }
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--limit", type=int, default=100, help="most queries of each dataset and part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found: dict[Part, list[Row]] = {"test": []} if args.check else {"tune": [], "test": []}
    for dataset in [*datasets(args.data), workbench()]:
        for part in found:
            found[part] += rows(dataset, part, args.limit, args.seed)
    if args.check:
        stored = json.loads(TARGET.read_text("utf-8"))
        weights, offset, line = [stored["weights"][f] for f in FEATURES], stored["offset"], stored["line"]
    else:
        weights, offset = fit(found["tune"])
        line = line_of([chance_of(row, weights, offset) for row in found["tune"] if not row.answerable])
        stored = {
            "about": f"benchmarks/need.py --seed {args.seed} --limit {args.limit}; {len(found['tune'])} tuning rows",
            "weights": {f: round(w, 4) for f, w in zip(FEATURES, weights, strict=True)},
            "offset": round(offset, 4),
            "line": round(line, 4),
        }
        TARGET.write_text(json.dumps(stored, indent=2) + "\n", "utf-8")
    table = rates(found["test"], weights, offset, line)
    print(f"{'held-out queries':<20}{'shown though none fits':>34}{'right one shown':>34}{'wrong one shown':>34}")
    for name, row in table.items():
        cells = [f"{k}/{n} = {k / n:.2f} [{low:.2f}, {high:.2f}]" for k, n, low, high in row.values()]  # type: ignore[misc]
        print(f"{name:<20}" + "".join(f"{cell:>34}" for cell in cells))
    if args.json:
        args.json.write_text(json.dumps({"settings": stored, "held_out": table}, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
