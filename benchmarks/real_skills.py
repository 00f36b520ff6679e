"""Real skills and the tasks that ask for them, for the benchmarks of structure and capacity. Read, never run."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from prowess.core.skill import Skill
from prowess.library.skillmd import read


@dataclass(frozen=True, slots=True)
class Corpus:
    """Skills with unique names, and requests for them."""

    skills: tuple[Skill, ...]
    families: dict[str, str]
    """Skill name to the task family that it was made for; only of SkillLearnBench."""
    by_people: frozenset[str]
    """Names of those that no model wrote for that benchmark."""
    tasks: tuple[tuple[str, str], ...]
    """(family, instruction) of every task whose family has a skill by a person."""

    def gold(self, family: str) -> frozenset[str]:
        """Skills that people wrote for a family."""
        return frozenset(name for name in self.by_people if self.families.get(name) == family)


def load(data: Path) -> Corpus:
    """Everything below `data`/skills and the tasks in `data`/queries."""
    skills: list[Skill] = []
    families: dict[str, str] = {}
    by_people: set[str] = set()
    seen: Counter[str] = Counter()
    for file in sorted((data / "skills").rglob("SKILL.md")):
        parts = file.parent.relative_to(data / "skills").parts
        text = file.read_text("utf-8", "replace")
        skill = read(text, parts[-1]).skill or _plain(parts[-1], text)
        name = re.sub(r"^run\d+_", "", parts[-1])
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name}-{seen[name]}"
        skills.append(skill.model_copy(update={"name": name}))
        made_for = parts[0] == "skilllearnbench"
        if made_for:
            families[name] = parts[2]
        if not made_for or parts[1] == "human_authored":
            by_people.add(name)
    if not skills:
        raise SystemExit(f"no skills below {data / 'skills'}: set PROWESS_DATA or give --data")
    known = {families[name] for name in by_people if name in families}
    tasks = [
        (family, file.read_text("utf-8"))
        for file in sorted((data / "queries" / "skilllearnbench").glob("*.md"))
        if (family := file.stem.rpartition("-")[0]) in known
    ]
    return Corpus(tuple(skills), families, frozenset(by_people), tuple(tasks))


def _plain(name: str, text: str) -> Skill:
    """Files without frontmatter: their first paragraph serves as description."""
    paragraphs = [p for p in text.split("\n\n") if p.strip() and not p.lstrip().startswith("#")]
    return Skill(name=name, description=" ".join((paragraphs or [name])[0].split())[:1024], body=text)


def data_folder() -> Path:
    return Path(os.environ.get("PROWESS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
