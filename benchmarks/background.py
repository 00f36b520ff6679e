"""Makes `src/prowess/search/background.tsv`: the share of skills that hold each of the commoner terms.

    python benchmarks/background.py [--data FOLDER]

FOLDER holds skills by corpus (default: `skills` below PROWESS_DATA or below ../shared/data). Of SkillLearnBench, whose
methods wrote many skills on one and the same task, every task counts once. Run it anew when `prowess.search.words`
changes.
"""

import argparse
from collections import Counter
from pathlib import Path

from corpora import data_folder, read_corpora

from prowess.search.words import words

FEWEST = 3.0
"""Skills, weighted, that a term must be in."""
TARGET = Path(__file__).parents[1] / "src" / "prowess" / "search" / "background.tsv"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    entries = read_corpora(parser.parse_args().data)
    sizes = Counter(entry.group for entry in entries)
    total: Counter[str] = Counter()
    for entry in entries:
        skill = entry.skill
        for term in words().count(f"{skill.name}\n{skill.description}\n{skill.body}"):
            total[term] += 1 / sizes[entry.group]
    skills = len(sizes)
    lines = [f"# share of {skills} groups of skills ({len(entries)} skills) that hold each term"]
    lines += [f"{term}\t{n / skills:.4f}" for term, n in sorted(total.items()) if n >= FEWEST]
    TARGET.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines) - 1} terms of {skills} groups, {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
