"""How many skills can be told apart: accuracy of selection against library size, look-alikes and categories.

    python benchmarks/capacity.py                          # by words, on the real corpora; the figures in the docs
    python benchmarks/capacity.py --model embedded --libraries 4 --requests 5 --sizes 5 10 20 30 50 100
    python benchmarks/capacity.py --model scripted --quick # a dry run of the same path without a model

Two kinds of requests: task instructions of SkillLearnBench (a person's words; right is a skill made for that family),
and requests made from the skills' own headings (easier: they share words with the description). Libraries are drawn
from all skills of the corpora. `--chart FILE` writes the curve. Intervals of points are Wilson's, those of the curve
resample libraries; ways are compared in pairs (exact McNemar, Tango's interval).
"""

import argparse
import json
import platform
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
from corpora import Entry, data_folder, read_corpora, skilllearnbench

from prowess.agents.models import open_model
from prowess.agents.models.scripted import ScriptedModel
from prowess.core.model import Model, Request
from prowess.measure.capacity import Case, Way, compare_ways, line, probe
from prowess.measure.selection import ByModel, ByTree, ByWords, Selector, WordsByTree
from prowess.report.capacity import chart
from prowess.search.lint import own_queries

SIZES = (5, 10, 20, 30, 50, 100, 200, 400, 800)


def cases(entries: Sequence[Entry], kind: str, data: Path) -> list[Case]:
    if kind == "tasks":
        families: defaultdict[str, set[str]] = defaultdict(set)
        for entry in entries:
            if entry.corpus == "skilllearnbench":
                families[entry.group.rpartition("/")[2]].add(entry.skill.name)
        asked = [query for query in skilllearnbench(entries, data).queries if query.gold]
        return [Case(query.text[:2_000], frozenset(families[query.cluster])) for query in asked]
    # Skills that models wrote for one task are near-copies of each other: no request is for one of them alone.
    chosen = [entry.skill for entry in entries if entry.by_people]
    return [Case(query, frozenset({s.name})) for s in chosen for query in own_queries(s)]


def guessing(request: Request) -> str:
    """A stand-in for a model that chooses blindly, so its chance is one in the length of the list."""
    names = list(request.json_schema["properties"]["skill"]["enum"])  # type: ignore[index,call-overload]
    return json.dumps({"skill": random.Random(str(request.messages)).choice(names)})


def ways(model: Model | None, look_alikes: tuple[int, ...]) -> list[Way]:
    selector: Selector = ByWords() if model is None else ByModel(model)
    word = "words" if model is None else "model"
    found = [Way(word, selector), Way(f"{word}, categories", WordsByTree() if model is None else ByTree(selector))]
    return found + [Way(f"{word}, {n} look-alike{'s' if n > 1 else ''}", selector, n) for n in look_alikes]


def measure(entries: Sequence[Entry], kind: str, options: argparse.Namespace, model: Model | None) -> dict[str, Any]:
    skills = [entry.skill for entry in entries]
    chosen = ways(model, tuple(options.look_alikes))
    choices = anyio.run(
        lambda: probe(
            cases(entries, kind, options.data), skills, chosen, sizes=options.sizes, libraries=options.libraries,
            queries=options.requests, seed=options.seed, concurrency=options.concurrency,
            on_done=None if model is None else told,
        )
    )  # fmt: skip
    lines = [line(choices, way.name, options.seed) for way in chosen]
    if options.chart is not None:
        path = options.chart.with_stem(f"{options.chart.stem}-{kind}") if len(options.kinds) > 1 else options.chart
        path.write_text(chart(lines, f"Accuracy of selection, requests from {kind}"), "utf-8")
    return {
        "requests": kind,
        "lines": [
            {"way": x.way, "points": [asdict(p) | {"accuracy": p.accuracy} for p in x.points],
             "curve": asdict(x.curve) if x.curve else None, "tokens": x.cost.tokens}
            for x in lines
        ],
        "differences": [
            {"from": chosen[0].name, "to": w.name, "by_size": [asdict(d) | {"effect": d.effect} for d in found]}
            for w in chosen[1:]
            for found in [compare_ways(choices, chosen[0].name, w.name)]
        ],
    }  # fmt: skip


def told(done: int, of: int) -> None:
    print(f"\r{done} of {of} choices", end="" if done < of else "\n", file=sys.stderr, flush=True)


def show(result: dict[str, Any]) -> None:
    lines = result["lines"]
    print(f"\nrequests from {result['requests']}: right of asked, 95 % interval\n")
    print("| skills | " + " | ".join(x["way"] for x in lines) + " |\n|---" + "|---" * len(lines) + "|")
    for i, point in enumerate(lines[0]["points"]):
        cells = [x["points"][i] for x in lines]
        shown = [f"{c['right']} of {c['asked']}, {c['accuracy']:.0%} [{c['low']:.0%}, {c['high']:.0%}]" for c in cells]
        print(f"| {point['size']} | " + " | ".join(shown) + " |")
    print("\n| way | alpha | half lost at | steepness | R² |\n|---|---|---|---|---|")
    for x in lines:
        if x["curve"] is not None:
            a, k, g = (x["curve"][name] for name in ("alpha", "kappa", "gamma"))
            far = k["high"] > 20 * x["points"][-1]["size"]
            lost = f"{k['value']:,.0f} [{k['low']:,.0f}, {'no end in sight' if far else format(k['high'], ',.0f')}]"
            lost = lost if x["curve"]["falls"] else "no fall"
            print(
                f"| {x['way']} | {a['value']:.2f} [{a['low']:.2f}, {a['high']:.2f}] | {lost} "
                f"| {g['value']:.1f} [{g['low']:.1f}, {g['high']:.1f}] | {x['curve']['r2']:.2f} |"
            )
    for d in result["differences"]:
        last = d["by_size"][-1]
        print(
            f"\n{d['to']} against {d['from']} at {last['size']}: {last['effect']:+.0%} "
            f"[{last['low']:+.0%}, {last['high']:+.0%}], n = {last['n']}, p = {last['p']:.2g}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--model", help="let this model choose instead of words; `scripted` for a dry run")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--libraries", type=int, default=16, help="libraries drawn for each size")
    parser.add_argument("--requests", type=int, default=5, help="requests put to each library")
    parser.add_argument("--look-alikes", type=int, nargs="*", default=[1, 3])
    parser.add_argument("--kinds", nargs="+", default=["tasks", "headings"], choices=["tasks", "headings"])
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--quick", action="store_true", help="three sizes, two libraries")
    parser.add_argument("--chart", type=Path, help="write the curve as SVG")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.libraries = [5, 20, 80], 2
    entries = read_corpora(options.data)
    model: Model | None = None
    if options.model is not None:
        model = ScriptedModel(guessing) if options.model == "scripted" else open_model(options.model)
    results = [measure(entries, kind, options, model) for kind in options.kinds]
    if options.json is not None:
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        found = {"skills": len(entries), "seed": options.seed, "machine": machine, "model": options.model}
        options.json.write_text(json.dumps({**found, "results": results}, indent=1) + "\n", "utf-8")
    print(f"{len(entries)} skills, seed {options.seed}, {options.libraries} libraries per size")
    for result in results:
        show(result)


if __name__ == "__main__":
    main()
