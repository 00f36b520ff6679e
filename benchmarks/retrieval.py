"""Search against its peers, in one run: how good, how fast, how large.

    python benchmarks/retrieval.py --quick                      one table in under three minutes on a quiet machine
    python benchmarks/retrieval.py [--sizes 26000 1000000] [--minilm FOLDER] [--static FOLDER] [--json FILE]

Quality: recall at 1, 5 and 10, MRR and nDCG at 10 on the held-out queries of `corpora.py`, with bootstrap intervals
over subjects. Speed: a library of real skills filled up with distractors that are recombined from real ones; each
system builds its index and answers the same queries in a process of its own, so that peak memory is its own.

Peers: bm25s and tantivy with their English stemmers; BM25 and TF-IDF as SR-Agents (github.com/oneal2000/SR-Agents) has
them, written anew from its description; MiniLM by brute force, if --minilm names a folder with `model.onnx` and
`tokenizer.json`; and SR-Agents' round-robin of BM25 and that. Peers that are not installed are left out, with a remark.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import platform
import re
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from corpora import Dataset, Query, data_folder, datasets, distractors, read_corpora, use_cases

from prowess.core.skill import Skill
from prowess.search.encoders import Encoder, open_encoder
from prowess.search.index import SearchIndex, gist
from prowess.search.routers import Dense, Hybrid, Lexical
from prowess.search.training import Experience, train

K = 10
RESAMPLES = 1000


class System(Protocol):
    name: str

    def build(self, skills: Iterable[Skill]) -> None: ...

    def rank(self, query: str) -> list[str]:
        """Names of the ten best."""
        ...


# Ours


class Ours:
    """The index in a file, as a library has it."""

    def __init__(self, router: Any, encoder: Encoder | None = None) -> None:
        self.router, self.encoder = router, encoder
        kind = "" if encoder is None else f" ({encoder.name.split(':')[0]})"
        self.name = f"prowess {router.name}{kind}"
        self.folder = tempfile.TemporaryDirectory(prefix="prowess-bench-")
        self.index = SearchIndex(Path(self.folder.name, "search.db"), encoder)

    def build(self, skills: Iterable[Skill]) -> None:
        self.index.update((skill, "1") for skill in skills)

    def rank(self, query: str) -> list[str]:
        return [hit.name for hit in run_now(self.router.rank(query, self.index, K))]


def run_now(work: Any) -> Any:
    """The result of a coroutine that never waits, without the price of an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


# Peers


def whole(skill: Skill) -> str:
    return f"{skill.name.replace('-', ' ')} {skill.description} {skill.body}"


class Bm25s:
    """bm25s in its fastest documented form: Lucene's variant, English stop words, Snowball stemmer."""

    name = "bm25s"

    def __init__(self) -> None:
        self.package, self.stemmer = import_module("bm25s"), import_module("Stemmer").Stemmer("english")

    def tokens(self, texts: list[str]) -> Any:
        return self.package.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)

    def build(self, skills: Iterable[Skill]) -> None:
        pairs = [(skill.name, whole(skill)) for skill in skills]
        self.names = [name for name, _ in pairs]
        self.model = self.package.BM25()
        self.model.index(self.tokens([text for _, text in pairs]), show_progress=False)

    def rank(self, query: str) -> list[str]:
        found, scores = self.model.retrieve(self.tokens([query]), k=min(K, len(self.names)), show_progress=False)
        return [self.names[i] for i, score in zip(found[0], scores[0], strict=True) if score > 0]


class Tantivy:
    """tantivy on disk: three stemmed fields, a disjunction of the query's words, fields boosted as are ours."""

    name = "tantivy"

    def __init__(self) -> None:
        self.package = import_module("tantivy")
        builder = self.package.SchemaBuilder()
        builder.add_text_field("key", stored=True, tokenizer_name="raw")
        for field in ("title", "description", "body"):
            builder.add_text_field(field, stored=False, tokenizer_name="en_stem")
        self.folder = tempfile.TemporaryDirectory(prefix="tantivy-bench-")
        self.index = self.package.Index(builder.build(), path=self.folder.name)

    def build(self, skills: Iterable[Skill]) -> None:
        writer = self.index.writer(heap_size=256 << 20, num_threads=1)
        for skill in skills:
            writer.add_document(
                self.package.Document(
                    key=skill.name, title=skill.name.replace("-", " "), description=skill.description, body=skill.body
                )
            )
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()

    def rank(self, query: str) -> list[str]:
        words = " ".join(re.findall(r"\w+", query.lower()))
        if not words:
            return []
        boosts = {"title": 3.0, "description": 2.0, "body": 1.0}
        parsed, _ = self.index.parse_query_lenient(words, list(boosts), field_boosts=boosts)
        return [self.searcher.doc(at)["key"][0] for _, at in self.searcher.search(parsed, K).hits]


class SrBm25:
    """SR-Agents' BM25: no stemming, k1 1.5, b .75, idf not below zero, one field."""

    name = "SR-Agents BM25"

    def build(self, skills: Iterable[Skill]) -> None:
        self.names, lists, lengths = list[str](), defaultdict[str, list[tuple[int, int]]](list), list[int]()
        for number, skill in enumerate(skills):
            counts = Counter(sr_tokens(whole(skill)))
            self.names.append(skill.name)
            lengths.append(counts.total())
            for word, n in counts.items():
                lists[word].append((number, n))
        mean = statistics.fmean(lengths)
        base = 1.5 * (0.25 + 0.75 * np.array(lengths, np.float32) / mean)
        self.lists: dict[str, tuple[Any, Any]] = {}
        for word, found in lists.items():
            ids, counts_ = np.array([i for i, _ in found]), np.array([n for _, n in found], np.float32)
            idf = max(0.0, math.log((len(lengths) - len(ids) + 0.5) / (len(ids) + 0.5)))
            self.lists[word] = ids, self.weight(counts_, base[ids], idf, np.array(lengths)[ids])
        self.finish()

    def weight(self, counts: Any, base: Any, idf: float, lengths: Any) -> Any:
        return idf * counts * 2.5 / (counts + base)

    def finish(self) -> None: ...

    def query_weights(self, query: str) -> dict[str, float]:
        return dict.fromkeys(sr_tokens(query), 1.0)

    def rank(self, query: str) -> list[str]:
        scores = np.zeros(len(self.names), np.float32)
        for word, weight in self.query_weights(query).items():
            if word in self.lists:
                ids, values = self.lists[word]
                scores[ids] += weight * values
        return [self.names[i] for i in np.argsort(-scores, kind="stable")[:K]]


class SrTfIdf(SrBm25):
    """SR-Agents' TF-IDF with cosine."""

    name = "SR-Agents TF-IDF"

    def weight(self, counts: Any, base: Any, idf: float, lengths: Any) -> Any:
        return np.log(len(self.names) / (1 + len(counts))) * counts / lengths

    def finish(self) -> None:
        squares = np.zeros(len(self.names))
        for ids, values in self.lists.values():
            squares[ids] += values**2
        norms = np.sqrt(np.where(squares > 0, squares, 1))
        self.lists = {word: (ids, values / norms[ids]) for word, (ids, values) in self.lists.items()}

    def query_weights(self, query: str) -> dict[str, float]:
        found = {word: n for word, n in Counter(sr_tokens(query)).items() if word in self.lists}
        return {w: n * math.log(len(self.names) / (1 + len(self.lists[w][0]))) for w, n in found.items()}


def sr_tokens(text: str) -> list[str]:
    return re.sub(r"[^\w\s]", " ", text.lower()).split()


class BruteForce:
    """Vectors of whole texts by one encoder, all compared: what sentence-transformers' own search does."""

    def __init__(self, name: str, encoder: Encoder) -> None:
        self.name, self.encoder = name, encoder

    def build(self, skills: Iterable[Skill]) -> None:
        pairs = [(skill.name, gist(skill)) for skill in skills]
        self.names = [name for name, _ in pairs]
        self.rows = self.encoder.encode([text for _, text in pairs])

    def rank(self, query: str) -> list[str]:
        scores = self.rows @ self.encoder.encode([query])[0]
        top = np.argpartition(-scores, min(K, len(scores) - 1))[:K]
        return [self.names[i] for i in top[np.argsort(-scores[top])]]


class RoundRobin:
    """SR-Agents' hybrid: two rankings in turn, the first appearance counts."""

    name = "SR-Agents hybrid"

    def __init__(self, left: System, right: System) -> None:
        self.sides = left, right

    def build(self, skills: Iterable[Skill]) -> None:
        self.sides[0].build(skills)  # the other is timed and measured on its own, and built before

    def rank(self, query: str) -> list[str]:
        pairs = zip_longest(*(side.rank(query) for side in self.sides))
        return list(dict.fromkeys(name for pair in pairs for name in pair if name is not None))[:K]


class Remembering:
    """An encoder whose vectors are kept in a folder, since a transformer takes minutes for the corpora."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.inner, self.folder = encoder, folder
        self.name, self.source, self.dimensions = encoder.name, encoder.source, encoder.dimensions
        self.known: dict[str, Any] = {}
        self.path = folder / f"{hashlib.sha256(encoder.name.encode()).hexdigest()[:16]}.npz"
        if self.path.exists():
            with np.load(self.path) as file:
                self.known = dict(zip(file["keys"].tolist(), file["rows"], strict=True))

    def encode(self, texts: Sequence[str]) -> Any:
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        some = list(missing.items())
        for start in range(0, len(some), 256):
            part = some[start : start + 256]
            rows = self.inner.encode([text for _, text in part])
            self.known |= {key: row for (key, _), row in zip(part, rows, strict=True)}
            if len(some) > 20:
                self.keep()
        return np.array([self.known[key] for key in keys], np.float32)

    def keep(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        np.savez(self.path, keys=np.array(list(self.known)), rows=np.array(list(self.known.values())))


# Quality


def scores(found: list[str], gold: frozenset[str]) -> dict[str, float]:
    hits = [name in gold for name in found[:K]]
    first = hits.index(True) + 1 if True in hits else 0
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(len(gold), K)))
    return {
        **{f"recall@{k}": sum(hits[:k]) / len(gold) for k in (1, 5, 10)},
        "hit@1": float(first == 1),
        "mrr": 1 / first if first else 0.0,
        "ndcg@10": gain / ideal,
    }


def interval(values: Sequence[float], clusters: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap of the mean over subjects."""
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        groups[cluster].append(value)
    totals = np.array([(sum(g), len(g)) for g in groups.values()])
    chance = np.random.default_rng(seed)
    drawn = totals[chance.integers(0, len(totals), (RESAMPLES, len(totals)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(low), float(high)


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
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_at_start": os.getloadavg()[0], "limit": limit, "quality": {}, "speed": {},
    }  # fmt: skip
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
