"""Search against its peers, in one run: how good, how fast, how large.

    python benchmarks/retrieval.py --quick                      one table in under three minutes on a quiet machine
    python benchmarks/retrieval.py [--sizes 26000 1000000] [--minilm FOLDER] [--static FOLDER] [--json FILE]

Quality: recall at 1, 5 and 10, MRR and nDCG at 10 on the held-out queries of `corpora.py`, with bootstrap intervals
over subjects. Speed: a library of real skills filled up with distractors that are recombined from real ones; each
system builds its index and answers the same queries in a process of its own, so that peak memory is its own.

The peers are in `systems.py`; MiniLM is one if --minilm names a folder with `model.onnx` and `tokenizer.json`. Those
that are not installed are left out, with a remark.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from corpora import Dataset, Query, data_folder, datasets, distractors, read_corpora, use_cases
from rankings import interval, scores
from systems import (
    Bm25s,
    BruteForce,
    Ours,
    Remembering,
    RoundRobin,
    SrBm25,
    SrTfIdf,
    System,
    Tantivy,
    run_now,
)

from prowess.search.encoders import Encoder, open_encoder
from prowess.search.experience import Experience
from prowess.search.index import SearchIndex
from prowess.search.routers import Dense, Hybrid, Lexical
from prowess.search.training import train

# Quality


def quality(dataset: Dataset, systems: Sequence[System], queries: Sequence[Query]) -> dict[str, Any]:
    """Means and intervals of every system, and for each of ours the paired difference to the best peer."""
    clusters = [query.cluster for query in queries]
    rows: dict[str, list[dict[str, float]]] = {}
    for system in systems:
        system.build(dataset.skills)
        rows[system.name] = [scores(system.rank(query.text), query.gold) for query in queries]
    table: dict[str, Any] = {}
    for name, found in rows.items():
        table[name] = {
            metric: [statistics.fmean(values), *interval(values, clusters)]
            for metric in found[0]
            for values in [[row[metric] for row in found]]
        }
    peers = [name for name in rows if not name.startswith("prowess")]
    best = max(peers, key=lambda name: table[name]["mrr"][0], default=None)
    for name in rows if best is not None else ():
        if name.startswith("prowess"):
            gaps = [a["mrr"] - b["mrr"] for a, b in zip(rows[name], rows[best], strict=True)]
            table[name]["mrr over best peer"] = [statistics.fmean(gaps), *interval(gaps, clusters), best]
    return {"queries": len(queries), "subjects": len(set(clusters)), "skills": len(dataset.skills), "systems": table}


def learned(found: Sequence[Dataset], encoder: Encoder, limit: int) -> dict[str, Any]:
    """The router trained on the tuning questions of SRA, against words and against the same vectors untrained."""
    sra = [dataset for dataset in found if dataset.name.startswith("sra-")]
    log = [Experience(q.text, name, True) for d in sra for q in d.of("tune", limit) for name in q.gold]
    index = SearchIndex(None, encoder)
    index.update((skill, "1") for skill in sra[0].skills)
    started = time.process_time()
    router = train(index, log)
    seconds = time.process_time() - started
    queries = [q for d in sra for q in d.of("test", limit)]
    clusters = [q.cluster for q in queries]
    first: dict[str, list[float]] = {}
    for name, each in (("lexical", Lexical()), ("dense", Dense()), ("hybrid", Hybrid()), ("learned", router)):
        answers = [run_now(each.rank(q.text, index, 1)) for q in queries]
        first[name] = [float(bool(a) and a[0].name in q.gold) for a, q in zip(answers, queries, strict=True)]
    table: dict[str, Any] = {name: [statistics.fmean(v), *interval(v, clusters)] for name, v in first.items()}
    for name in ("lexical", "dense", "hybrid"):
        gaps = [a - b for a, b in zip(first["learned"], first[name], strict=True)]
        table[f"learned - {name}"] = [statistics.fmean(gaps), *interval(gaps, clusters)]
    return {
        "trained on": len({e.query for e in log}), "held out": len(queries), "processor seconds": seconds,
        "encoder": encoder.name, "recall@1": table,
    }  # fmt: skip


# Speed


def speed(make: Callable[[], System], size: int, data: Path, count: int, adds: int) -> dict[str, Any]:
    """Runs in a process of its own."""
    entries = read_corpora(data)
    real = use_cases(entries)
    skills = chain(real.skills[:size], distractors(entries, max(0, size - len(real.skills))))
    system = make()
    if size <= 100_000:
        skills = list(skills)  # so that making them is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    system.build(skills)
    found: dict[str, Any] = {
        "build_s": time.perf_counter() - wall,
        "build_cpu_s": time.process_time() - cpu,
        "making_included": size > 100_000,
    }
    queries = [query.text for query in real.of("test", count)]
    tasks = [query.text for dataset in datasets(data)[1:] for query in dataset.of("test", count // 6)]
    for label, texts in (("short", queries), ("task", tasks)):
        for text in texts[:20]:
            system.rank(text)
        walls, cpus = list[float](), list[float]()
        for text in texts:
            wall, cpu = time.perf_counter(), time.thread_time()
            system.rank(text)
            cpus.append(1e3 * (time.thread_time() - cpu))
            walls.append(1e3 * (time.perf_counter() - wall))
        for kind, times in (("ms", walls), ("cpu_ms", cpus)):
            found[f"{label}_p50_{kind}"], found[f"{label}_p99_{kind}"] = map(float, np.percentile(times, [50, 99]))
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found["before_mb"] = before / 1024
    if isinstance(system, Ours):
        walls, cpus = [], []
        for number, skill in enumerate(distractors(entries, adds, seed=1)):
            wall, cpu = time.perf_counter(), time.thread_time()
            system.index.update([(skill.model_copy(update={"name": f"added-{number}"}), "1")])
            cpus.append(1e3 * (time.thread_time() - cpu))
            walls.append(1e3 * (time.perf_counter() - wall))
        found["add_p50_ms"], found["add_p99_ms"] = map(float, np.percentile(walls, [50, 99]))
        found["add_p50_cpu_ms"], found["add_p99_cpu_ms"] = map(float, np.percentile(cpus, [50, 99]))
        found["disk_mb"] = system.index.path.stat().st_size / 1e6 if system.index.path else 0.0
    return found


def speed_of(kind: str, static: str, size: int, data: Path, count: int) -> dict[str, Any]:
    makers: dict[str, Callable[[], System]] = {
        "prowess lexical": lambda: Ours(Lexical()),
        "prowess hybrid (static)": lambda: Ours(Hybrid(), open_encoder(static, data)),
        "bm25s": Bm25s,
        "tantivy": Tantivy,
    }
    return speed(makers[kind], size, data, count, 200)


# The run


def installed(name: str, *modules: str) -> bool:
    try:
        for module in modules:
            import_module(module)
    except ImportError:
        print(f"left out: {name} is not installed", file=sys.stderr)
        return False
    return True


def quality_systems(static: str, minilm: str, cache: Path) -> list[Callable[[], list[System]]]:
    makers: list[Callable[[], list[System]]] = [lambda: [Ours(Lexical())]]
    if static:
        small = open_encoder(static, cache)
        makers.append(lambda: [Ours(Hybrid(), small), Ours(Dense(), small)])
    if installed("bm25s", "bm25s", "Stemmer"):
        makers.append(lambda: [Bm25s()])
    if installed("tantivy", "tantivy"):
        makers.append(lambda: [Tantivy()])
    makers.append(lambda: [SrBm25(), SrTfIdf()])
    if minilm:
        large = Remembering(open_encoder(minilm, cache), cache)

        def transformers() -> list[System]:
            words, vectors = SrBm25(), BruteForce("MiniLM, brute force", large)
            return [vectors, RoundRobin(words, vectors), Ours(Hybrid(), large)]

        makers.append(transformers)
    return makers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="*", default=[26_000])
    parser.add_argument("--sets", nargs="*", help="datasets whose quality is measured; all by default")
    parser.add_argument("--only", choices=("quality", "speed"))
    parser.add_argument("--speed-of", nargs="*", help="systems to time; all by default")
    parser.add_argument("--static", default="", help="folder of a static embedding")
    parser.add_argument("--minilm", default="", help="folder of MiniLM as ONNX")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "prowess-bench-vectors")
    parser.add_argument("--limit", type=int, default=200, help="most queries of each dataset")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    limit = 60 if args.quick else args.limit
    result: dict[str, Any] = {"quality": {}, "speed": {}}
    if args.json is not None and args.json.exists():  # what is not measured again stays
        result |= json.loads(args.json.read_text("utf-8"))
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if args.only != "speed":
        result["limit"] = limit
    found = datasets(args.data)
    makers = quality_systems(args.static, args.minilm, args.cache)
    for dataset in found if args.only != "speed" else ():
        if args.sets and dataset.name not in args.sets:
            continue
        queries = [query for query in dataset.of("test", limit) if query.gold]
        result["quality"][dataset.name] = quality(dataset, [s for make in makers for s in make()], queries)
        show_quality(dataset.name, result["quality"][dataset.name])
        keep(args.json, result)
    if args.static and args.only != "speed" and not args.sets:
        result["learned"] = learned(found, open_encoder(args.static, args.cache), 10 * limit)
        show_learned(result["learned"])
    kinds = ["prowess lexical", *(["prowess hybrid (static)"] if args.static else [])]
    for name, modules in (("bm25s", ("bm25s", "Stemmer")), ("tantivy", ("tantivy",))):
        kinds += [name] if installed(name, *modules) else []
    for size in args.sizes if args.only != "quality" else ():
        for kind in args.speed_of or kinds:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                timed = pool.apply(speed_of, (kind, args.static, size, args.data, limit))
            timed["load"] = os.getloadavg()[0]
            result["speed"][f"{kind} @ {size}"] = timed
            show_speed(kind, size, timed)
            keep(args.json, result)
    keep(args.json, result)
    return 0


def keep(path: Path | None, result: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def show_quality(name: str, found: dict[str, Any]) -> None:
    print(f"\n{name}: {found['queries']} held-out queries on {found['subjects']} subjects, {found['skills']} skills")
    metrics = ("recall@1", "recall@5", "recall@10", "mrr", "ndcg@10")
    print(f"  {'':<28}" + "".join(f"{m:>20}" for m in metrics))
    for system, row in found["systems"].items():
        cells = [f"{row[m][0]:.3f} [{row[m][1]:.2f}, {row[m][2]:.2f}]" for m in metrics]
        more = row.get("mrr over best peer")
        note = f"   mrr {more[0]:+.3f} [{more[1]:+.2f}, {more[2]:+.2f}] to {more[3]}" if more else ""
        print(f"  {system:<28}" + "".join(f"{c:>20}" for c in cells) + note, flush=True)


def show_learned(found: dict[str, Any]) -> None:
    print(f"\nlearned router: {found['trained on']} queries, {found['processor seconds']:.1f} s; "
          f"recall@1 on {found['held out']} held-out queries")  # fmt: skip
    for name, (mean, low, high) in found["recall@1"].items():
        print(f"  {name:<20}{mean:>8.3f} [{low:.3f}, {high:.3f}]", flush=True)


def show_speed(kind: str, size: int, row: dict[str, Any]) -> None:
    def times(label: str) -> str:
        return ", ".join(
            f"{q} {row[f'{label}_{q}_ms']:.2f} ms ({row[f'{label}_{q}_cpu_ms']:.2f})" for q in ("p50", "p99")
        )

    add = f"; add one {times('add')}" if "add_p50_ms" in row else ""
    print(
        f"{kind} @ {size}: built in {row['build_s']:.1f} s ({row['build_cpu_s']:.1f}); short queries {times('short')}; "
        f"tasks {times('task')}; peak {row['peak_mb']:.0f} MB{add}; in brackets the processor's own time; "
        f"load {row['load']:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
