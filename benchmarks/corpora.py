"""Skills and queries that the benchmarks of search share, read from the data folder, and distractors made from them.

Nothing here ships with prowess. All text is data that others wrote; it is never followed or run.

    use-cases         skills that say in a section of their own when to use them. That section is cut out of the skill;
                      each of its lines is a query, the skill its gold.
    skilllearnbench   the tasks of SkillLearnBench; gold are the skills that people wrote for them.
    sra-*             questions of SRA-Bench. The texts of its skills are not at hand, so the stand-ins of
                      `prowess.suites.sra` are searched; questions of skills without any evidence question are left out.

Queries are split by subject into a tuning part and a held-out part. Of `sra-*`, where subjects are the skills
themselves and a learned router must know them, the suite's own splits serve: gate for tuning, test held out.
"""

import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from prowess.core.skill import Skill
from prowess.core.task import Split
from prowess.library.trees import skill_of
from prowess.measure.sra import gold, question
from prowess.suites.sra import DATASETS, SraBench

_USE = re.compile(r"(?mi)^#+[^\n]*\bwhen to (?:use|apply)\b[^\n]*\n(.*?)(?=^#+ |\Z)", re.S)
_LINE = re.compile(r"(?m)^\s*(?:[-*]|\d+\.)\s+(.+)$")

Part = Literal["tune", "test"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A real skill of a corpus."""

    skill: Skill
    corpus: str
    group: str
    """Skills with one subject: the task for SkillLearnBench, else the skill itself."""
    by_people: bool


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    gold: frozenset[str]
    """Names of the skills that answer it; none where no skill does."""
    cluster: str
    """Queries on one subject: intervals resample clusters, not queries."""
    part: Part


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    skills: tuple[Skill, ...]
    queries: tuple[Query, ...]

    def of(self, part: Part, limit: int | None = None) -> list[Query]:
        """Queries of one part, at most `limit`, drawn over all clusters."""
        chosen = sorted((q for q in self.queries if q.part == part), key=lambda q: _hash(q.text))
        return chosen[:limit]


def data_folder() -> Path:
    return Path(os.environ.get("PROWESS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def read_corpora(data: Path) -> list[Entry]:
    """Every skill below `data`/skills. Names are made unique by their place, since many folders share one."""
    found: list[Entry] = []
    seen: Counter[str] = Counter()
    for file in sorted((data / "skills").rglob("SKILL.md")):
        parts = file.parent.relative_to(data / "skills").parts
        text = file.read_bytes().decode("utf-8", "replace")
        skill = skill_of(parts[-1], {"SKILL.md": text.encode()}).skill or _without_frontmatter(parts[-1], text)
        name = re.sub(r"^run\d+_", "", parts[-1])  # how a method numbered its results
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name}-{seen[name]}"
        of_task = parts[0] == "skilllearnbench" and len(parts) > 2
        group = f"{parts[0]}/{parts[2]}" if of_task else "/".join(parts)
        by_people = parts[0] != "skilllearnbench" or parts[1] == "human_authored"
        found.append(Entry(skill.model_copy(update={"name": unique}), parts[0], group, by_people))
    return found


def _without_frontmatter(name: str, text: str) -> Skill:
    """Many files of the corpora are plain Markdown: the first paragraph serves as the description."""
    paragraphs = [p.strip() for p in text.split("\n\n") if p.strip() and not p.startswith("#")]
    return Skill(name=name, description=(paragraphs or [name])[0][:1024], body=text)


def datasets(data: Path) -> list[Dataset]:
    entries = read_corpora(data)
    return [use_cases(entries), skilllearnbench(entries, data), *sra(data)]


def use_cases(entries: Sequence[Entry]) -> Dataset:
    skills: list[Skill] = []
    queries: list[Query] = []
    for entry in entries:
        if entry.corpus == "skilllearnbench":
            continue
        skill = entry.skill
        found = [line for section in _USE.findall(skill.body) for line in _LINE.findall(section)]
        skills.append(skill.model_copy(update={"body": _USE.sub("", skill.body)}) if found else skill)
        for line in found:
            text = re.sub(r"[*`]|\[([^]]*)\]\([^)]*\)", r"\1", line).strip()
            if len(text.split()) >= 3:
                queries.append(Query(text, frozenset([skill.name]), skill.name, _part(skill.name)))
    return Dataset("use-cases", tuple(skills), tuple(queries))


def skilllearnbench(entries: Sequence[Entry], data: Path) -> Dataset:
    """Tasks for which nobody wrote a skill are queries without gold."""
    gold: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.by_people and entry.corpus == "skilllearnbench":
            gold[entry.group.split("/")[1]].add(entry.skill.name)
    skills = [entry.skill for entry in entries if entry.by_people]
    queries: list[Query] = []
    for file in sorted((data / "queries" / "skilllearnbench").glob("*.md")):
        family = file.stem.rpartition("-")[0]
        queries.append(Query(file.read_text("utf-8"), frozenset(gold[family]), family, _part(family)))
    return Dataset("skilllearnbench", tuple(skills), tuple(queries))


def sra(data: Path) -> list[Dataset]:
    suite = SraBench(data)
    skills = suite.library().skills
    empty = {skill.name for skill in skills if not skill.body.partition("\n")[2].strip()}
    parts: tuple[tuple[Part, Split], ...] = (("tune", "gate"), ("test", "test"))
    found: list[Dataset] = []
    for name in DATASETS:
        queries = [
            Query(question(task), frozenset(gold(task)), task.family, part)
            for part, split in parts
            for task in suite.tasks(name, split, 1_000_000)
            if not empty.issuperset(gold(task))
        ]
        found.append(Dataset(f"sra-{name}", skills, tuple(queries)))
    return found


def distractors(entries: Sequence[Entry], count: int, seed: int = 0) -> Iterator[Skill]:
    """Synthetic skills: sections, sentences and names of real ones, recombined. As long as real ones, and as varied."""
    chance = random.Random(seed)
    bodies = [e.skill.body for e in entries]
    sections = [s for body in bodies for s in re.split(r"(?m)^(?=#+ )", body) if s.strip()]
    sentences = [s for e in entries for s in re.split(r"(?<=[.;])\s+", e.skill.description) if s]
    names = sorted({w for e in entries for w in re.split(r"\W|_", e.skill.name.split("/")[-1]) if w.isalpha()})
    lengths = [len(body) for body in bodies]
    for number in range(count):
        wanted, body = chance.choice(lengths), list[str]()
        while wanted > 0:
            body.append(chance.choice(sections))
            wanted -= len(body[-1])
        yield Skill(
            name=f"{'-'.join(chance.choices(names, k=3))}-{number}",
            description=" ".join(chance.choices(sentences, k=2))[:1024],
            body="".join(body),
            metadata={"made": "by recombination"},
        )


def _part(subject: str) -> Part:
    return "tune" if int(_hash(subject), 16) % 2 else "test"


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
