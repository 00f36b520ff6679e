"""The tests that a skill brings along: files `tests/test_*.py` that call its scripts, run in the sandbox.

They were written by the learner, so passing them proves little; failing them, or breaking those of the version before,
proves enough to refuse (the unit-test gate with rollback of Memento-Skills, 2603.18743; tools of Yunjue, 2601.18226).
"""

import json
from dataclasses import dataclass

from prowess.core.errors import SandboxError
from prowess.core.evidence import Verdict
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File
from prowess.core.text import last_lines
from prowess.measure.gates import GateContext, changed
from prowess.sandbox import Limits, Sandbox

_DRIVER = """\
import json, runpy, sys
sys.path[:0] = ["scripts", "tests"]
for path in json.loads(sys.argv[1]):
    for name, value in list(runpy.run_path(path).items()):
        if name.startswith("test_") and callable(value):
            value()
            print("ok", path, name)
"""


def tests_of(skill: Skill) -> tuple[File, ...]:
    return tuple(f for f in skill.files if f.path.startswith("tests/test_") and f.path.endswith(".py"))


@dataclass(frozen=True, slots=True)
class SelfTestGate:
    """Every changed skill passes its own tests and those of its version before."""

    sandbox: Sandbox
    required: bool = False
    """Refuse a changed skill with scripts that has no test at all."""
    limits: Limits = Limits()  # noqa: RUF009 (frozen)
    name: str = "self-test"

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        ran = 0
        for skill in changed(candidate, base):
            before = base.get(skill.name)
            tests = {file.path: file for file in (*tests_of(skill), *(tests_of(before) if before else ()))}
            if not tests and self.required and any(f.path.startswith("scripts/") for f in skill.files):
                return Verdict(gate=self.name, status="fail", note=f"{skill.name} has scripts and no tests")
            if not tests:
                continue
            problem = await failing(skill, tests, self.sandbox, self.limits)
            if problem is not None:
                return Verdict(gate=self.name, status="fail", note=f"{skill.name}: {problem}")
            ran += len(tests)
        return Verdict(gate=self.name, status="pass", note=f"{ran} files of tests passed" if ran else "no tests")


async def failing(skill: Skill, tests: dict[str, File], sandbox: Sandbox, limits: Limits | None = None) -> str | None:
    """What is wrong when `tests`, by path, run in a fresh folder that holds nothing but the files of `skill`.

    A test of the skill's own gives way to the one of its path in `tests`.
    """
    files = {file.path: file for file in skill.files} | tests
    argv = ["python", "-B", "-s", "-c", _DRIVER, json.dumps(sorted(tests))]
    try:
        result = await sandbox.run(argv, tuple(files[path] for path in sorted(files)), limits)
    except SandboxError as error:
        return f"the sandbox failed: {error}"
    if result.timed_out:
        return f"its tests were stopped after {result.seconds:.0f} seconds"
    if not result.ok:
        return last_lines(result.stderr or result.stdout or f"exit code {result.exit_code}", 300)
    return None if "ok " in result.stdout else "its tests test nothing"
