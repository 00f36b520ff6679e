"""What `benchmarks/retrieval.py` compares: prowess, and its peers behind the same two methods.

Peers: bm25s and tantivy with their English stemmers; BM25 and TF-IDF as SR-Agents (github.com/oneal2000/SR-Agents) has
them, written anew from its description; vectors of any encoder by brute force; SR-Agents' round-robin of two rankings.
"""

import hashlib
import math
import re
import statistics
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from prowess.core.skill import Skill
from prowess.search.encoders import Encoder
from prowess.search.index import SearchIndex, gist

K = 10


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
