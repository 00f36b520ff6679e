"""The scanner on labelled sets beside others, on hostile input and on hidden harm; and the semantic gate.

    python benchmarks/security.py scan [--peer NAME=PYTHON ...] [--checkout NAME=FOLDER ...] [--docs]
    python benchmarks/security.py hostile [--docs]
    python benchmarks/security.py evasion [--docs]
    python benchmarks/security.py semantic --model MODEL [--each 10]

`--data` holds `security/` and `skills/` (default: PROWESS_DATA, else ../shared/data). Nothing in it is ever run.
Attacks: SkillFortifyBench (skills, and tool configurations apart) and Progent's specimens. Honest skills: five public
collections, of which at most `--benign` are taken from each, by hash. Comments by which a set marks its own files are
taken out first.

The rules were tuned on one half of the groups only, drawn by the hash of the group's name; a group is all files made
from one template number, one specimen, one honest skill, or one task family of SkillLearnBench. Figures are of the
other half unless `--part` says otherwise. Both halves come from the same authors. `--checkout` adds sources that no
rule was ever tried on: checkouts of other scanners' fixtures (`evals` of cisco-ai-defense/skill-scanner,
`tests/fixtures` of NVIDIA/SkillSpector), labelled as their folders are named. `--honest FOLDER` adds every skill below
a folder as honest.

PEER runs another scanner with the interpreter of the environment that holds it: skillfortify, agent-skill-scanner or
cisco, e.g. `--peer cisco=venvs/cisco/bin/python`. They see the same bytes, in one process each. Each set has one
author, so that a mean over sets is a mean over authors. Intervals are Clopper-Pearson, 95 %. `--docs` writes the table
into docs/security.md.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from security_peers import Marks, peer
from security_sets import CONFIGS, Item, checkout, chosen, honest, items

from prowess.guard.scan import scan_files
from prowess.measure.stats.proportions import clopper_pearson

PAGE = Path(__file__).parents[1] / "docs" / "security.md"


def own(some: list[Item]) -> tuple[Marks, list[float]]:
    """Our block and review, and processor seconds for each skill."""
    scan_files({"SKILL.md": b"x\n```sh\ny\n```\n"})  # compiles the patterns, which is not part of a skill's time
    marks: Marks = {"prowess block": [], "prowess review": []}
    times: list[float] = []
    for item in some:
        begin = time.process_time()
        found = scan_files(item.files)
        times.append(time.process_time() - begin)
        marks["prowess block"].append(any(f.severity == "block" for f in found))
        marks["prowess review"].append(bool(found))
    return marks, times


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
    """Recall by set of attacks and false alarms by source of honest skills, each also as a mean over authors."""
    bad_sources = sorted({i.source for i in some if i.bad})
    good_sources = sorted({i.source for i in some if not i.bad})
    out: dict[str, Any] = {}
    for name, flags in marks.items():
        pairs = list(zip(some, flags, strict=True))
        recall = {s: rate(f for i, f in pairs if i.bad and i.source == s) for s in bad_sources}
        kinds = sorted({(i.source, i.kind) for i in some if i.bad and i.source != CONFIGS})
        by_kind = [rate(f for i, f in pairs if i.bad and (i.source, i.kind) == kind)["share"] for kind in kinds]
        alarms = {s: rate(f for i, f in pairs if not i.bad and i.source == s) for s in good_sources}
        out[name] = {
            "recall": recall,
            "recall_skills": rate(f for i, f in pairs if i.bad and i.source != CONFIGS),
            "recall_macro_by_author": mean(r["share"] for s, r in recall.items() if s != CONFIGS),
            "recall_macro_by_class": mean(by_kind),
            "false_alarms": alarms,
            "false_alarms_skills": rate(f for i, f in pairs if not i.bad and i.source != CONFIGS),
            "false_alarms_macro_by_author": mean(a["share"] for s, a in alarms.items() if s != CONFIGS),
        }
    return out


def mean(shares: Iterable[float]) -> float:
    found = list(shares)
    return sum(found) / len(found)


def timing(seconds: list[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=100)
    return {"p50_ms": 1000 * median(seconds), "p99_ms": 1000 * cuts[98], "max_ms": 1000 * max(seconds)}


def machine() -> dict[str, Any]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
        "rules": hashlib.sha256(files("prowess.guard.scan").joinpath("rules.toml").read_bytes()).hexdigest()[:12],
    }


# --- What is printed, and written into the page


def cell(r: dict[str, Any]) -> str:
    return f"{r['k']}/{r['n']} = {r['share']:.2f} [{r['low']:.2f}, {r['high']:.2f}]"


def macro(rates: Iterable[dict[str, Any]]) -> str:
    """The mean over authors with its interval, made from theirs (MOVER: Zou and Donner 2008)."""
    found = list(rates)
    centre = mean(r["share"] for r in found)
    down = sum((r["share"] - r["low"]) ** 2 for r in found) ** 0.5 / len(found)
    up = sum((r["high"] - r["share"]) ** 2 for r in found) ** 0.5 / len(found)
    return f"{centre:.2f} [{centre - down:.2f}, {centre + up:.2f}]"


def scan_table(result: dict[str, Any]) -> str:
    rows = result["scanners"]
    sources = list(next(iter(rows.values()))["recall"])
    named = ["tool configurations" if s == CONFIGS else s for s in sources]
    titles = ["scanner, threshold", *(f"recall {s}" for s in named), "macro recall", "false alarms", "macro"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, row in rows.items():
        cells = [name, *(cell(row["recall"][s]) for s in sources)]
        cells += [macro(r for s, r in row["recall"].items() if s != CONFIGS), cell(row["false_alarms_skills"])]
        cells += [macro(r for s, r in row["false_alarms"].items() if s != CONFIGS)]
        lines.append(f"| {' | '.join(cells)} |")
    alarms = next(iter(rows.values()))["false_alarms"]
    collections = ", ".join(f"{s} {a['n']}" for s, a in alarms.items() if s != CONFIGS)
    times = ", ".join(f"{name} {t['p50_ms']:.1f} and {t['p99_ms']:.0f}" for name, t in result["ms"].items() if t)
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines += [
        "",
        left_out(rows),
        "",
        f"Part: {result['part']}. Honest skills: {collections}.",
        "",
        f"Processor milliseconds for a skill, median and 99 %: {times}. Peers: {versions or 'none'}. "
        f"Rules {result['rules']}; {result['machine']}.",
    ]
    return "\n".join(lines)


def left_out(rows: dict[str, Any]) -> str:
    """Our recall over authors with each of them left out in turn."""
    told: list[str] = []
    for name, row in rows.items():
        recall = {s: r["share"] for s, r in row["recall"].items() if s != CONFIGS}
        if name.startswith("prowess") and len(recall) > 1:
            without = (f"{mean(r for s, r in recall.items() if s != out):.2f} without {out}" for out in recall)
            told.append(f"{name} {', '.join(without)}")
    return f"Macro recall with one author left out: {'; '.join(told)}."


def hostile_table(result: dict[str, Any]) -> str:
    lines = ["| input | cases | slowest, ms | largest growth, MB |", "|---|---|---|---|"]
    for kind in ("frontmatter", "archives", "unicode"):
        found: dict[str, dict[str, float]] = result["hostile"][kind]
        slow, big = max(found, key=lambda n: found[n]["ms"]), max(found, key=lambda n: found[n]["mb"])
        lines.append(f"| {kind} | {len(found)} | {found[slow]['ms']:.1f} ({slow}) | {found[big]['mb']:.1f} ({big}) |")
    worst = result["hostile"]["slowest_s"][0]
    lines += [
        "",
        "Processor time, median of five runs, each case in a process of its own. The slowest of the repetitions at the "
        f"cap of size took {worst['seconds']:.2f} s. {result['machine']}.",
    ]
    return "\n".join(lines)


def write(kind: str, text: str) -> None:
    """Puts `text` between the marks of `kind` in docs/security.md."""
    mark = re.compile(rf"(<!-- {kind}-figures:.*?-->\n).*?(<!-- /{kind}-figures -->)", re.DOTALL)
    PAGE.write_text(mark.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", PAGE.read_text("utf-8")), "utf-8")


def scan(args: argparse.Namespace, result: dict[str, Any]) -> str:
    some = chosen(labelled(args), args.part, args.benign)
    marks, times = own(some)
    result |= {"part": args.part, "ms": {"prowess": timing(times)}, "versions": {}}
    for given in args.peer:
        name, _, python = given.partition("=")
        said, seconds, result["versions"][name] = peer(name, python, some)
        marks |= said
        result["ms"][name] = timing(seconds)
    result["scanners"] = table(some, marks)
    return scan_table(result)


def labelled(args: argparse.Namespace) -> list[Item]:
    if not (args.data / "security").is_dir():
        print(f"skipped: there is no security/ at {args.data}; set PROWESS_DATA or give --data")
        sys.exit(0)
    found = items(args.data)
    for given in args.checkout:
        found += checkout(given)
    for folder in args.honest:
        found += honest(folder)
    return found


def run_hostile(args: argparse.Namespace, result: dict[str, Any]) -> str:
    from security_hostile import hostile

    result["hostile"] = hostile()
    return hostile_table(result)


def run_evasion(args: argparse.Namespace, result: dict[str, Any]) -> str:
    from security_evasion import evasion, evasion_table

    result["evasion"] = evasion()
    return evasion_table(result["evasion"])


def run_semantic(args: argparse.Namespace, result: dict[str, Any]) -> str:
    from security_semantic import semantic

    result["semantic"] = semantic(chosen(labelled(args), args.part, 0), args.model, args.each, args.votes)
    return json.dumps(result["semantic"], indent=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    default = Path(os.environ.get("PROWESS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    for name, work in (("scan", scan), ("hostile", run_hostile), ("evasion", run_evasion), ("semantic", run_semantic)):
        verb = verbs.add_parser(name)
        verb.set_defaults(work=work, kind=name)
        verb.add_argument("--data", type=Path, default=default)
        verb.add_argument("--part", choices=["held-out", "tuned", "all"], default="held-out")
        verb.add_argument("--checkout", action="append", default=[], metavar="NAME=FOLDER")
        verb.add_argument("--honest", action="append", default=[], type=Path, metavar="FOLDER")
        verb.add_argument("--json", type=Path)
        verb.add_argument("--docs", action="store_true", help="write the table into docs/security.md")
        if name == "scan":
            verb.add_argument("--benign", type=int, default=60, help="most honest skills of a collection; 0 for all")
            verb.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
        if name == "semantic":
            verb.add_argument("--model", required=True)
            verb.add_argument("--each", type=int, default=10, help="skills of each source and label")
            verb.add_argument("--votes", type=int, default=3)
    args = parser.parse_args()
    result: dict[str, Any] = machine()
    text = args.work(args, result)
    print(text)
    if args.docs:
        write(args.kind, text)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
