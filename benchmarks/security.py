"""The scanner on labelled sets, beside other scanners, and its time and memory on hostile input.

    python benchmarks/security.py [--data FOLDER] [--peer NAME=PYTHON ...] [--part held-out|tuned|all] [--json FILE]
    python benchmarks/security.py --hostile

FOLDER holds `security/` and `skills/` (default: PROWESS_DATA, else ../shared/data). Nothing in it is ever run. Attacks:
SkillFortifyBench (skills, and tool configurations apart) and Progent's specimens. Honest skills: five public
collections, of which at most `--benign` are taken from each, by hash. Comments by which a set marks its own files are
taken out first.

The rules were tuned on one half of the groups only, drawn by the hash of the group's name; a group is all files made
from one template number, one specimen, one honest skill, or one task family of SkillLearnBench. Figures are of the
other half unless `--part` says otherwise. Both halves come from the same authors: what a set of other authors would
show is not known from this. `--honest FOLDER` adds every skill below a folder, by the name of the folder.

PEER runs another scanner with the interpreter of the environment that holds it: skillfortify, agent-skill-scanner or
cisco, e.g. `--peer cisco=venvs/cisco/bin/python`. They see the same bytes, in one process each. Intervals are
Clopper-Pearson, 95 %.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from prowess.core.errors import UserError
from prowess.guard.scan import scan_files
from prowess.library.bundles import read_archive
from prowess.measure.stats.proportions import clopper_pearson

MARKS = re.compile(r"<!-- (?:DATASET|SKILLFORTIFYBENCH).*?-->\s*", re.DOTALL)
MARK_KEY = re.compile(r'^\s*"_skillfortifybench_inert":.*\n', re.MULTILINE)


@dataclass(frozen=True)
class Item:
    """One labelled skill."""

    source: str
    kind: str
    """The class of the attack, or the collection of an honest skill."""
    group: str
    bad: bool
    files: dict[str, bytes]

    @property
    def tuned(self) -> bool:
        return hashlib.sha256(self.group.encode()).digest()[0] % 2 == 0


def items(data: Path) -> list[Item]:
    """All items of all sets, marks taken out."""
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
        source = "skillfortify-mcp" if mcp else "skillfortify"
        found.append(Item(source, entry["attack_type"], group, entry["is_malicious"], {name: text.encode()}))
    for path in sorted((data / "security" / "progent" / "skill_files").glob("*/*.md")):
        text = MARKS.sub("", path.read_text("utf-8"))
        # The specimens have no frontmatter, without which other scanners read nothing.
        head = f"---\nname: {path.stem.replace('_', '-')}\ndescription: {path.stem.replace('_', ' ')}\n---\n\n"
        found.append(
            Item("progent", path.parent.name, f"progent/{path.stem}", True, {"SKILL.md": (head + text).encode()})
        )
    for path in sorted((data / "skills").rglob("SKILL.md")):
        parts = path.relative_to(data / "skills").parts
        group = f"{parts[0]}/{parts[2] if parts[0] == 'skilllearnbench' else parts[-2]}"
        found.append(Item(parts[0], parts[0], group, False, {"SKILL.md": path.read_bytes()}))
    return found


def honest(folder: Path) -> list[Item]:
    """Every skill below a folder of somebody else's skills, with all its files."""
    found: list[Item] = []
    for path in sorted(folder.rglob("SKILL.md")):
        files = {
            str(p.relative_to(path.parent)): p.read_bytes()
            for p in sorted(path.parent.rglob("*"))
            if p.is_file() and not p.is_symlink()
        }
        found.append(Item(folder.name, folder.name, f"{folder.name}/{path.parent.name}", False, files))
    return found


def chosen(found: list[Item], part: str, benign: int) -> list[Item]:
    """Those of one half, honest ones thinned by hash."""
    half = [i for i in found if part == "all" or i.tuned == (part == "tuned")]
    kept = [i for i in half if i.source.startswith(("skillfortify", "progent"))]
    for source in sorted({i.source for i in half} - {i.source for i in kept}):
        order = sorted(
            (i for i in half if i.source == source), key=lambda i: hashlib.sha256(b"2" + i.files["SKILL.md"]).digest()
        )
        kept += order[: benign or None]
    return kept


Marks = dict[str, list[bool]]
"""For each threshold of a scanner, whether each item is flagged."""


def own(some: list[Item]) -> tuple[Marks, list[float]]:
    """Our block and review, and seconds for each skill."""
    marks: Marks = {"prowess block": [], "prowess review": []}
    times: list[float] = []
    for item in some:
        begin = time.process_time()
        found = scan_files(item.files)
        times.append(time.process_time() - begin)
        marks["prowess block"].append(any(f.severity == "block" for f in found))
        marks["prowess review"].append(bool(found))
    return marks, times


PEERS = {
    "skillfortify": """
import json, sys, time
from pathlib import Path
from skillfortify.core.analyzer import StaticAnalyzer
from skillfortify.parsers.registry import default_registry
registry, analyzer, out = default_registry(), StaticAnalyzer(), {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    begin = time.process_time()
    levels = [f.severity.name for skill in registry.discover(folder) for f in analyzer.analyze(skill).findings]
    out[folder.name] = [levels, time.process_time() - begin]
print(json.dumps(out))
""",
    "agent-skill-scanner": """
import json, subprocess, sys, time
begin = time.process_time()
program = sys.executable.replace("python", "agent-skill-scan")
done = subprocess.run([program, "scan", "-p", sys.argv[1], "-o", "json"], capture_output=True, text=True)
out = {}
for row in json.loads(done.stdout):
    number = row["skill_path"][len(sys.argv[1]):].strip("/").split("/")[0]
    out[number] = [[f["severity"] for f in row["findings"]], None]
print(json.dumps(out))
""",
    "cisco": """
import json, sys, time, logging
from pathlib import Path
logging.disable(logging.CRITICAL)
from skill_scanner.core.scanner import SkillScanner
scanner, out = SkillScanner(), {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    place = next(p.parent for p in folder.rglob("*") if p.is_file())
    begin = time.process_time()
    try:
        levels = [f.severity.name for f in scanner.scan_skill(place).findings]
    except Exception:
        levels = []
    out[folder.name] = [levels, time.process_time() - begin]
print(json.dumps(out))
""",
}
LEVELS = ("CRITICAL", "HIGH", "MEDIUM")


def peer(name: str, python: str, some: list[Item]) -> tuple[Marks, list[float], str]:
    """The flags of another scanner at each of its levels, seconds for each skill, and its version."""
    package = {"cisco": "cisco-ai-skill-scanner"}.get(name, name)
    with tempfile.TemporaryDirectory() as place:
        for number, item in enumerate(some):
            for path, data in item.files.items():
                target = Path(place, f"{number:05d}", ".claude/skills/skill" if path == "SKILL.md" else "", path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        done = subprocess.run(
            [python, "-c", PEERS[name], place], capture_output=True, text=True, check=False, cwd=place
        )
    if done.returncode:
        sys.exit(f"{name} failed: {done.stderr[-800:]}")
    version = subprocess.run(
        [python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    rows = json.loads(done.stdout.strip().splitlines()[-1])
    said = [rows.get(f"{number:05d}", [[], None]) for number in range(len(some))]
    marks = {
        f"{name} >= {level.lower()}": [any(f in LEVELS[: n + 1] for f in found) for found, _ in said]
        for n, level in enumerate(LEVELS)
    }
    return marks, [seconds for _, seconds in said if seconds is not None], version


def rate(flags: Iterable[bool]) -> dict[str, Any]:
    """Share with its interval."""
    flags = list(flags)
    low, high = clopper_pearson(sum(flags), len(flags))
    return {
        "k": sum(flags),
        "n": len(flags),
        "share": sum(flags) / len(flags) if flags else None,
        "low": low,
        "high": high,
    }


def table(some: list[Item], marks: Marks) -> dict[str, Any]:
    """Recall by set of attacks and false alarms by source of honest skills, each also as a mean over sources."""
    bad_sources = sorted({i.source for i in some if i.bad})
    good_sources = sorted({i.source for i in some if not i.bad})
    out: dict[str, Any] = {}
    for name, flags in marks.items():
        pairs = list(zip(some, flags, strict=True))
        recall = {s: rate(f for i, f in pairs if i.bad and i.source == s) for s in bad_sources}
        kinds = sorted({(i.source, i.kind) for i in some if i.bad and i.source != "skillfortify-mcp"})
        by_kind = [rate(f for i, f in pairs if i.bad and (i.source, i.kind) == kind)["share"] for kind in kinds]
        alarms = {s: rate(f for i, f in pairs if not i.bad and i.source == s) for s in good_sources}
        skills = [s for s in bad_sources if s != "skillfortify-mcp"]
        out[name] = {
            "recall": recall,
            "recall_macro_by_source": sum(recall[s]["share"] for s in skills) / len(skills),
            "recall_macro_by_class": sum(by_kind) / len(by_kind),
            "false_alarms": alarms,
            "false_alarms_skills": rate(f for i, f in pairs if not i.bad and i.source != "skillfortify-mcp"),
            "false_alarms_macro_by_source": sum(a["share"] for s, a in alarms.items() if s != "skillfortify-mcp")
            / sum(s != "skillfortify-mcp" for s in alarms),
        }
    return out


def timing(seconds: list[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=100)
    return {"p50_ms": 1000 * median(seconds), "p99_ms": 1000 * cuts[98], "max_ms": 1000 * max(seconds)}


# --- Hostile input: time and memory

UNITS = [
    *"a-(`{['<| \n\"é\u200b",
    *(
        "$(",
        "${",
        "exec(",
        "<!--",
        "<!---->",
        "sk-",
        "aA1",
        "\\x41",
        "1+",
        "a.",
        "[[",
        "a=>",
        "lambda:",
        "eyJ",
        "-----BEGIN",
    ),
    *(f"{word} " for word in ("curl", "environ", "pip install", "npx -y", "ff", "not", "nc", "send", "do not tell")),
    *(
        "curl -d $A http://a ",
        "add to ",
        "rm -r ",
        "env | ",
        "> CLAUDE.md ",
        "https://a.b/",
        "http://http://",
        "download ",
    ),
    *("x=$(cat .env);", "os.environ[", "def f(x): return f(x)\n", "x = y\n", "const a=b\n", "<<a\n", "# a\n", "- b\n"),
    *("/dev/tcp/", "silently run ", "```\n", "\\\n", "![](http://a?", "\u0430b"),
]


def hostile() -> dict[str, Any]:
    """Processor seconds for repetitions at the size cap, and for archives made to harm; peak memory of the archives."""
    slow: list[tuple[float, str, str]] = []
    for path in ("SKILL.md", "a.sh", "a.py", "a.js", "a.json"):
        for unit in UNITS:
            text = (unit * 100_000)[:100_000].encode()
            begin = time.process_time()
            scan_files({path: text, "b.md": text, "c.md": text})
            slow.append((time.process_time() - begin, path, unit))
    slow.sort(reverse=True)
    good = b"---\nname: s\ndescription: d\n---\n"

    def zipped(*members: tuple[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in (("s/SKILL.md", good), *members):
                archive.writestr(name, data)
        return buffer.getvalue()

    archives = {
        "zip bomb, 50 MB": zipped(("s/a", b"\0" * 50_000_000)),
        "zip of 100,000 members": zipped(*[(f"s/{n}", b"") for n in range(100_000)]),
        "zip that leaves the folder": zipped(("../x", b"x")),
        "zip of 1,900 small bombs": zipped(*[(f"s/{n}", b"\0" * 90_000) for n in range(1900)]),
        "gzip bomb, 100 MB": gzip.compress(b"a" * 100_000_000),
        "YAML bomb": zipped(
            ("t/SKILL.md", b"---\nname: &a [x]\n" + b"".join(b"k%d: [*a, *a]\n" % n for n in range(900)) + b"---\n")
        ),
        "YAML nested": zipped(("t/SKILL.md", b"---\nname: " + b"[" * 15_000 + b"\n---\n")),
    }
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, data in archives.items():
            path = Path(place, "x.zip")
            path.write_bytes(data)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            times: list[float] = []
            for _ in range(5):
                begin = time.process_time()
                try:
                    files = read_archive(path)
                    scan_files(files)
                except UserError:
                    pass
                times.append(time.process_time() - begin)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            made[name] = {"median_ms": 1000 * median(times), "grown_mb": grown / 1024}
    return {"slowest_s": [{"seconds": s, "file": p, "unit": u} for s, p, u in slow[:5]], "archives": made}


def machine() -> dict[str, Any]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
        "rules": hashlib.sha256(
            (Path(sys.modules["prowess.guard.scan"].__file__ or "").parent / "rules.toml").read_bytes()
        ).hexdigest()[:12],
    }


def show(name: str, row: dict[str, Any]) -> str:
    def cell(r: dict[str, Any]) -> str:
        return f"{r['k']}/{r['n']} = {r['share']:.3f} [{r['low']:.3f}, {r['high']:.3f}]"

    parts = [f"{s}: {cell(r)}" for s, r in row["recall"].items()]
    parts += [
        f"macro recall by source {row['recall_macro_by_source']:.3f}, by class {row['recall_macro_by_class']:.3f}"
    ]
    parts += [
        f"false alarms, skills: {cell(row['false_alarms_skills'])}, macro {row['false_alarms_macro_by_source']:.3f}"
    ]
    return f"{name}\n    " + "\n    ".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("PROWESS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--part", choices=["held-out", "tuned", "all"], default="held-out")
    parser.add_argument("--benign", type=int, default=60, help="most honest skills of each collection; 0 for all")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--honest", action="append", default=[], type=Path, metavar="FOLDER")
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result: dict[str, Any] = machine()
    if args.hostile:
        result["hostile"] = hostile()
        print(json.dumps(result, indent=1))
    else:
        if not (args.data / "security").is_dir():
            parser.exit(0, f"skipped: there is no security/ at {args.data}; set PROWESS_DATA or give --data\n")
        scan_files({"SKILL.md": b"x\n```sh\ny\n```\n"})  # compiles the patterns, which is not part of a skill's time
        some = chosen(items(args.data), args.part, args.benign)
        some += [item for folder in args.honest for item in honest(folder)]
        marks, times = own(some)
        result |= {"part": args.part, "benign_cap": args.benign, "ms": {"prowess": timing(times)}, "versions": {}}
        for given in args.peer:
            name, _, python = given.partition("=")
            said, seconds, result["versions"][name] = peer(name, python, some)
            marks |= said
            result["ms"][name] = timing(seconds)
        result["scanners"] = table(some, marks)
        for name, row in result["scanners"].items():
            print(show(name, row))
        print(json.dumps({k: v for k, v in result.items() if k != "scanners"}, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
