"""Other scanners for `benchmarks/security.py`, each run by the interpreter of the environment that holds it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from security_sets import Item

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
Marks = dict[str, list[bool]]
"""For each threshold of a scanner, whether each item is flagged."""


def peer(name: str, python: str, some: list[Item]) -> tuple[Marks, list[float], str]:
    """The flags of another scanner at each of its levels, processor seconds for each skill, and its version."""
    package = {"cisco": "cisco-ai-skill-scanner"}.get(name, name)
    with tempfile.TemporaryDirectory() as place:
        for number, item in enumerate(some):
            # A skill lies where agents keep them, with its files; a tool configuration at the top of its project.
            below = ".claude/skills/skill" if "SKILL.md" in item.files else ""
            for path, data in item.files.items():
                target = Path(place, f"{number:05d}", below, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        done = subprocess.run(
            [python, "-c", PEERS[name], place], capture_output=True, text=True, check=False, cwd=place
        )
    if done.returncode:
        sys.exit(f"{name} failed: {done.stderr[-800:]}")
    asked = f"import importlib.metadata as m; print(m.version({package!r}))"
    version = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    rows = json.loads(done.stdout.strip().splitlines()[-1])
    said = [rows.get(f"{number:05d}", [[], None]) for number in range(len(some))]
    marks = {
        f"{name} >= {level.lower()}": [any(f in LEVELS[: n + 1] for f in found) for found, _ in said]
        for n, level in enumerate(LEVELS)
    }
    return marks, [seconds for _, seconds in said if seconds is not None], version
