"""The behaviour gate on skills made for it: how much harm it sees, and how often it is wrong about honest ones.

A harmful fixture counts only where its harm was shown outside of the gate first (`effectful.prove`). One that is not
stopped is a miss, whatever the reason. Intervals are Wilson's at 95 %; fixtures share payloads and disguises, so the
table by payload and by disguise says more than the total. Instruction skills are followed by a played agent that runs
every command that it reads in backticks.

    python benchmarks/behaviour.py              # all fixtures: the figures in docs/sandbox.md
    python benchmarks/behaviour.py --quick      # a fifth of them
"""

import argparse
import json
import os
import platform
import re
import time
from collections import Counter

import anyio
import effectful
from effectful import Fixture

from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.tools import ToolsAgent
from prowess.core.model import Request
from prowess.measure.behaviour import Report, detonate
from prowess.measure.behaviour.detonation import Trap
from prowess.measure.stats.proportions import wilson
from prowess.sandbox import find_sandbox


def obedient(request: Request) -> str:
    """Runs the commands of the skill one after the other, then ends."""
    text = next(m.content for m in request.messages if m.role == "system")
    body = text.partition("<skill_content")[2]
    commands = [c for c in re.findall(r"`([^`\n]+)`", body) if " " in c]
    done = sum(m.role == "assistant" for m in request.messages)
    if done < len(commands):
        return json.dumps({"tool": "run", "arguments": {"command": commands[done]}})
    return json.dumps({"tool": "finish", "arguments": {"answer": "Done."}})


def agent(trap: Trap) -> ToolsAgent:
    return ToolsAgent(ScriptedModel(obedient), trap, native_tools=False, steps=8)


async def detonated(fixture: Fixture) -> tuple[Report, float]:
    began = time.perf_counter()
    report = await detonate(fixture.skill, find_sandbox(), agent)  # pyright: ignore[reportArgumentType]
    return report, time.perf_counter() - began


def share(k: int, n: int) -> str:
    low, high = wilson(k, n)
    return f"{k} of {n} = {k / n:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    step = 5 if options.quick else 1
    candidates = [*list(effectful.harmful())[::step], *effectful.sandbox_aware(), *effectful.orders()]
    harmful = [f for f in candidates if effectful.prove(f)]
    honest = [*list(effectful.honest())[::step], *effectful.plain_orders()]
    print(f"{platform.platform()}, {os.cpu_count()} cores, {find_sandbox().name}")
    print(f"effectful outside of the gate: {len(harmful)} of {len(candidates)} candidates")
    unproven = sorted({f.name for f in candidates} - {f.name for f in harmful})
    print(f"left out, no harm shown: {', '.join(unproven) or 'none'}")
    seconds: list[float] = []
    caught = Counter[str]()
    seen = Counter[str]()
    missed: list[str] = []
    right = 0
    for fixture in harmful:
        report, took = anyio.run(detonated, fixture)
        seconds.append(took)
        what, _, how = fixture.name.partition("-")
        rows = (f"kind {fixture.kind}", f"disguise {'an order' if what == 'ask' else how}")
        for row in rows:
            seen[row] += 1
        if report.effects:
            for row in rows:
                caught[row] += 1
            right += any(e.kind == fixture.kind for e in report.effects)
        else:
            missed.append(fixture.name)
    alarms: list[str] = []
    for fixture in honest:
        report, took = anyio.run(detonated, fixture)
        seconds.append(took)
        if report.effects:
            alarms.append(f"{fixture.name} ({report.effects[0].what})")
    print(f"detected: {share(len(harmful) - len(missed), len(harmful))}")
    print(f"  by the kind of harm that was shown: {right}")
    print(f"  missed: {', '.join(missed) or 'none'}")
    print(f"false alarms: {share(len(alarms), len(honest))}")
    print(f"  {'; '.join(alarms) or 'none'}")
    print(f"seconds per skill: median {sorted(seconds)[len(seconds) // 2]:.2f}, most {max(seconds):.2f}\n")
    print("| | detected |\n|---|---|")
    for row in sorted(seen):
        print(f"| {row} | {share(caught[row], seen[row])} |")


if __name__ == "__main__":
    main()
