"""Labelled skills for `benchmarks/security.py`. They are read as bytes; nothing in them is ever run."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

MARKS = re.compile(r"<!-- (?:DATASET|SKILLFORTIFYBENCH).*?-->\s*", re.DOTALL)
MARK_KEY = re.compile(r'^\s*"_skillfortifybench_inert":.*\n', re.MULTILINE)
GOOD = re.compile(r"safe|clean|benign")
CONFIGS = "skillfortify-mcp"
"""The source whose items are tool configurations, not skills; counted apart."""


@dataclass(frozen=True)
class Item:
    """One labelled skill."""

    source: str
    """The set; each has one author."""
    kind: str
    """The class of the attack, or the collection of an honest skill."""
    group: str
    """Items that were made from one template, or are about one thing."""
    bad: bool
    files: dict[str, bytes]
    unseen: bool = False
    """No rule was ever tried on anything of this source before the figures were taken."""

    @property
    def tuned(self) -> bool:
        return not self.unseen and hashlib.sha256(self.group.encode()).digest()[0] % 2 == 0


def items(data: Path) -> list[Item]:
    """All items of the shared data, marks by which a set labels its own files taken out."""
    found: list[Item] = []
    bench = data / "security" / "skillfortifybench"
    for entry in json.loads((bench / "manifest.json").read_text("utf-8"))["entries"]:
        path = bench / entry["path"]
        if not path.is_file():
            continue
        text = MARK_KEY.sub("", MARKS.sub("", path.read_text("utf-8")))
        mcp = entry["format"] == "mcp"
        group = f"skillfortify/{entry['skill_id'].split('_', 1)[1]}"
        name = ".mcp.json" if mcp else "SKILL.md"
        source = CONFIGS if mcp else "skillfortify"
        found.append(Item(source, entry["attack_type"], group, entry["is_malicious"], {name: text.encode()}))
    for path in sorted((data / "security" / "progent" / "skill_files").glob("*/*.md")):
        text = MARKS.sub("", path.read_text("utf-8"))
        # The specimens have no frontmatter, without which other scanners read nothing. Their first sentence stands in
        # for a description, since made-up words would disagree with whatever follows.
        head = f"---\nname: {path.stem.replace('_', '-')}\ndescription: {json.dumps(opening(text))}\n---\n\n"
        files = {"SKILL.md": (head + text).encode()}
        found.append(Item("progent", path.parent.name, f"progent/{path.stem}", True, files))
    for path in sorted((data / "skills").rglob("SKILL.md")):
        parts = path.relative_to(data / "skills").parts
        group = f"{parts[0]}/{parts[2] if parts[0] == 'skilllearnbench' else parts[-2]}"
        found.append(Item(parts[0], parts[0], group, False, {"SKILL.md": path.read_bytes()}))
    return found


def opening(text: str) -> str:
    """The first line of a text that is no heading, fence, list or comment."""
    lines = (line.strip() for line in text.splitlines())
    return next((line[:200] for line in lines if len(line.split()) > 3 and line[0] not in "#`<-*|>0123456789"), "")


def honest(folder: Path) -> list[Item]:
    """Every skill below a folder of somebody else's skills, with all its files."""
    return [
        Item(folder.name, folder.name, f"{folder.name}/{path.parent.name}", False, _files(path.parent), unseen=True)
        for path in sorted(folder.rglob("SKILL.md"))
    ]


def checkout(given: str) -> list[Item]:
    """The fixtures of another scanner, `NAME=FOLDER`, labelled as its folders are named.

    A folder called safe, clean or benign is honest; the rest are attacks.
    """
    name, _, place = given.partition("=")
    folder = Path(place)
    found: list[Item] = []
    for path in sorted(folder.rglob("SKILL.md")):
        place = path.parent.relative_to(folder)
        bad = GOOD.search(str(place)) is None
        found.append(Item(name, place.parts[0], f"{name}/{place}", bad, _files(path.parent), unseen=True))
    return found


def _files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.is_symlink() and p.name != "_expected.json"  # the answer
    }


def chosen(found: list[Item], part: str, benign: int) -> list[Item]:
    """Those of one half, honest ones of a source thinned by hash to at most `benign`; 0 for all."""
    half = [i for i in found if part == "all" or i.tuned == (part == "tuned")]
    kept = [i for i in half if i.source.startswith(("skillfortify", "progent")) or i.unseen]
    for source in sorted({i.source for i in half} - {i.source for i in kept}):
        order = sorted(
            (i for i in half if i.source == source), key=lambda i: hashlib.sha256(b"2" + i.files["SKILL.md"]).digest()
        )
        kept += order[: benign or None]
    return kept
