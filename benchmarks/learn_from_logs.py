"""How much of what a human skill gave to an agent can be learned back from the agent's sessions alone.

The data are sessions of 17 task families, which ran with a human-made skill at hand, and for each session the key
points of that skill which the benchmark's authors found essential for it. `learn` sees the sessions without the text
of the skill; its proposals are compared with the key points.

A key point counts as found when one unit of the text (a line, or eight lines of code) holds at least THRESHOLD of its
words, each weighted by how rare it is among all key points. The rule is lexical: it misses paraphrases, and it takes
word for word what is right by chance. So every figure stands beside the same rule on other texts:

    chance        proposals from the other families
    instruction   the tasks' own instructions: what could be said without any session
    generated     skills that models wrote for these tasks without the human skill (24 sets of method x model; the mean)
    human         the human skill itself: the most that the rule can find

Families are split in two: extraction was tuned on one half, and the figures of the other are those to quote.

    python benchmarks/learn_from_logs.py --out learn.json
"""

import argparse
import json
import math
import os
import platform
import random
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio

from prowess.core.patch import CreateSkill
from prowess.evolve.learn import NO_MODEL, learn
from prowess.evolve.logs.words import words
from prowess.library import Library, Proposal
from prowess.library.skillmd import read
from prowess.trajectories.importers import import_path
from prowess.trajectories.store import TrajectoryStore

THRESHOLD = 0.4
WINDOW = 8
"""Lines of code that make one unit."""
LEVEL = 0.95
Unit = frozenset[str]


def families(data: Path) -> tuple[list[str], list[str]]:
    """(tuned on, held out): every other family by name."""
    names = sorted(p.name for p in (data / "transcripts").iterdir() if p.is_dir())
    return names[0::2], names[1::2]


def key_points(data: Path, family: str, kind: str) -> list[str]:
    """Those of every session of the family; equal ones once."""
    found: dict[str, None] = {}
    for path in sorted((data / "transcripts" / family).glob(f"*/{kind}-key-points.generated.json")):
        found.update(dict.fromkeys(item["key_point"] for item in json.loads(path.read_text("utf-8"))))
    return list(found)


def units(text: str) -> list[Unit]:
    """The words of each line, and of each stretch of `WINDOW` lines of code."""
    found: list[Unit] = []
    code: list[str] | None = None
    for row in text.splitlines():
        if row.lstrip().startswith("```"):
            if code is not None:
                starts = range(0, max(1, len(code) - WINDOW // 2), WINDOW // 2)
                found += [frozenset(words("\n".join(code[i : i + WINDOW]))) for i in starts]
            code = [] if code is None else None
        elif code is not None:
            code.append(row)
        else:
            found.append(frozenset(words(re.sub(r"\[\d+/\d+ [0-9a-f]{8}\]", "", row))))
    return [unit for unit in found if unit]


class Rule:
    """The matching rule: weights of words over all key points."""

    def __init__(self, points: Iterable[str]) -> None:
        bags = [set(words(point)) for point in points]
        seen = Counter(word for bag in bags for word in bag)
        self.weights = {word: math.log(1 + len(bags) / n) for word, n in seen.items()}

    def share(self, point: str, text: list[Unit]) -> float:
        own = set(words(point))
        whole = sum(self.weights[w] for w in own)
        return max((sum(self.weights[w] for w in own & unit) / whole for unit in text), default=0.0) if whole else 0.0

    def recall(self, points: list[str], text: list[Unit], threshold: float) -> float:
        return sum(self.share(p, text) >= threshold for p in points) / len(points)


def proposals(data: Path, report: list[str]) -> tuple[tuple[Proposal, ...], dict[str, str], float]:
    """All proposals from all sessions at once, the family of each trajectory, and seconds."""
    family: dict[str, str] = {}
    for folder in sorted((data / "transcripts").iterdir()):
        for imported in import_path(folder):
            if imported.trajectory is not None:
                family[imported.trajectory.id] = folder.name
    with tempfile.TemporaryDirectory() as scratch, TrajectoryStore(Path(scratch) / "t.db") as store:
        library = Library.open(Path(scratch) / "library", create=True)
        began = time.perf_counter()
        found = anyio.run(
            lambda: learn(
                source=data / "transcripts", sessions=store, library=library, model=NO_MODEL, concurrency=1,
                budget_usd=None, report=lambda e: report.append(e.message) if e.stage == "refuse" else None,
            )
        )  # fmt: skip
        return found, family, time.perf_counter() - began


def other_skills(data: Path, family: str, source: str) -> str | None:
    """The text of all skills of a set for a family; None where the set has none."""
    paths = sorted((data / "skills" / "skilllearnbench" / source).glob(f"{family}/**/SKILL.md"))
    texts = [path.read_text("utf-8", errors="replace") for path in paths]
    bodies = [(parsed.skill.body if (parsed := read(text)).skill else text) for text in texts]
    return "\n".join(bodies) or None


def interval(rates: dict[str, tuple[float, int]], seed: int = 0, rounds: int = 4000) -> tuple[float, float, float]:
    """Pooled rate over families with a bootstrap interval that draws families, since points of one hang together."""
    rows = list(rates.values())
    generator = random.Random(seed)

    def pooled(drawn: list[tuple[float, int]]) -> float:
        return sum(rate * n for rate, n in drawn) / sum(n for _, n in drawn)

    draws = sorted(pooled(generator.choices(rows, k=len(rows))) for _ in range(rounds))
    tail = (1 - LEVEL) / 2
    return pooled(rows), draws[int(tail * rounds)], draws[int((1 - tail) * rounds) - 1]


def measure(data: Path, threshold: float) -> dict[str, Any]:
    tuned, held = families(data)
    names = sorted([*tuned, *held])
    refused: list[str] = []
    found, family_of, seconds = proposals(data, refused)
    texts: dict[str, str] = defaultdict(str)
    spread: list[float] = []
    for proposal in found:
        whole = proposal.lessons[-1]
        counts = Counter(family_of[r.trajectory] for r in whole.references)
        top, n = counts.most_common(1)[0]
        spread.append(n / len(whole.references))
        texts[top] += "".join(op.skill.body for op in proposal.patch.operations if isinstance(op, CreateSkill)) + "\n"
    learned = {name: units(texts[name]) for name in names}
    sets = sorted(p.name for p in (data / "skills" / "skilllearnbench").iterdir() if p.name.startswith("b"))
    result: dict[str, Any] = {"threshold": threshold, "seconds": seconds, "usd": 0.0, "proposals": len(found),
                              "refused": refused, "purity": sum(spread) / len(spread), "kinds": {}}  # fmt: skip
    for kind in ("skill", "traj"):
        points = {name: key_points(data, name, kind) for name in names}
        rule = Rule(p for own in points.values() for p in own)
        rows: dict[str, dict[str, Any]] = {}
        for name in names:
            own = points[name]
            asked = "\n".join(
                p.read_text("utf-8") for p in sorted((data / "queries/skilllearnbench").glob(f"{name}-*.md"))
            )
            human = other_skills(data, name, "human_authored")
            made = [text for s in sets if s != "baselines" and (text := other_skills(data, name, s))]
            chance = [
                rule.recall(own, learned[other], threshold) for other in names if other != name and learned[other]
            ]
            rows[name] = {
                "n": len(own),
                "half": "tuned" if name in tuned else "held out",
                "learned": rule.recall(own, learned[name], threshold),
                "chance": sum(chance) / len(chance),
                "instruction": rule.recall(own, units(asked), threshold) if asked else None,
                "generated": sum(rule.recall(own, units(t), threshold) for t in made) / len(made) if made else None,
                "human": rule.recall(own, units(human), threshold) if human else None,
            }
        result["kinds"][kind] = {"families": rows, "summary": summary(rows)}
    return result


def difference(rows: dict[str, dict[str, Any]], column: str) -> list[float] | None:
    """Learned minus another text, on the families that have both, with its interval."""
    both = {n: (row["learned"] - row[column], row["n"]) for n, row in rows.items() if row[column] is not None}
    return list(interval(both)) if both else None


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for half in ("tuned", "held out"):
        own = {name: row for name, row in rows.items() if row["half"] == half}
        found[half] = {
            column: list(
                interval({name: (row[column], row["n"]) for name, row in own.items() if row[column] is not None})
            )
            for column in ("learned", "chance", "instruction", "generated", "human")
            if any(row[column] is not None for row in own.values())
        }
        for column in COLUMNS[2:]:
            if (gap := difference(own, column)) is not None:
                found[half][f"learned - {column}"] = gap
    return found


def show(result: dict[str, Any]) -> None:
    print(f"{result['proposals']} proposals in {result['seconds']:.1f} s, $0; {result['purity']:.0%} of their sessions "
          f"are of one family; threshold {result['threshold']}")  # fmt: skip
    for kind, part in result["kinds"].items():
        title = {"skill": "key points of the human skill", "traj": "key points of the sessions"}[kind]
        print(f"\n{title}\n{'family':<32}{'half':<10}{'n':>4}", *(f"{c:>12}" for c in COLUMNS))
        for name, row in part["families"].items():
            cells = ["–" if row[c] is None else f"{row[c]:.0%}" for c in COLUMNS]
            print(f"{name:<32}{row['half']:<10}{row['n']:>4}", *(f"{cell:>12}" for cell in cells))
        for half, columns in part["summary"].items():
            n = sum(row["n"] for row in part["families"].values() if row["half"] == half)
            cells = [f"{c} {v[0]:.1%} [{v[1]:.1%}, {v[2]:.1%}]" for c, v in columns.items()]
            print(f"{half}, n = {n}:\n    " + "\n    ".join(cells))


COLUMNS = ("learned", "chance", "instruction", "generated", "human")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BENCHMARK_DATA", "../shared/data")))
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not (options.data / "transcripts").is_dir():
        parser.exit(0, f"skipped: there are no transcripts at {options.data}; set BENCHMARK_DATA\n")
    result = measure(options.data, options.threshold)
    result["machine"] = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    show(result)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1), "utf-8")


if __name__ == "__main__":
    main()
