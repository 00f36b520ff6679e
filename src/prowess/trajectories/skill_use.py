"""Which skills a session was offered, loaded and used, read off its steps.

offered  the session's own list of skills named it, or it was loaded.
loaded   its instructions came into the context: the native `Skill` tool, or `load_skill` of our own MCP server, was
         called with its name, a reading tool or a reading command (`cat`, `sed`, …) opened `<name>/SKILL.md`, or the
         agent's program put them there, and no error came back.
used     after it was loaded, a later action touched another file of its folder (`<name>/scripts/…`), or the agent
         named it: a name of several words as such, a name of one word only as "the <name> skill" or in backticks.

Used is a lower bound: an agent may follow instructions without naming where it has them from.
"""

import json
import re
from collections.abc import Iterable, Iterator

from prowess.core.model import ToolCall
from prowess.core.trajectory import Step, Trajectory

_READING_TOOL = re.compile(r"(?i)(?:read|view|open|cat|get).{0,20}").fullmatch
_READING_COMMAND = re.compile(
    r"(?:^|[\s;&|(`'\"])(?:cat|bat|head|tail|sed|awk|less|more|nl|grep|rg|type|Get-Content)\s[^;&|>\n]{0,300}?"
    r"([A-Za-z0-9._-]{1,64})/SKILL\.md",
    re.MULTILINE,
)
_SKILL_FILE = re.compile(r"([A-Za-z0-9._-]{1,64})[/\\]SKILL\.md$")
_SERVED = "load_skill"
"""The tool of `prowess serve mcp`, before which agents put the name of the server."""
_PATHS = ("file_path", "path", "filePath", "filename", "file", "target_file")
_COMMANDS = ("command", "cmd", "input", "script")


def with_skills(
    trajectory: Trajectory, offered: Iterable[str], loaded_by_program: Iterable[tuple[int, str]] = ()
) -> Trajectory:
    """The trajectory with `offered`, `loaded` and `used` filled in.

    Args:
        offered: Skills that the session says it had.
        loaded_by_program: (step index, skill) of skills whose text the agent's program put into the context by itself.
    """
    first: dict[str, int] = {}
    for index, name in sorted([*loads(trajectory.steps), *loaded_by_program]):
        first.setdefault(name, index)
    used = tuple(name for name, index in first.items() if _used(name, trajectory.steps[index + 1 :]))
    listed = tuple(dict.fromkeys([*offered, *first]))
    return trajectory.model_copy(update={"offered": listed, "loaded": tuple(first), "used": used})


def loads(steps: tuple[Step, ...]) -> Iterator[tuple[int, str]]:
    """(step index, skill) of every call that asked for a skill's instructions and did not fail."""
    for index, step in enumerate(steps):
        failed = {o.call_id for o in step.observations if o.is_error}
        for call in step.tool_calls:
            if call.id not in failed:
                for name in opened_by(call):
                    yield index, name


def opened_by(call: ToolCall) -> list[str]:
    """Names of the skills whose instructions this call asks for."""
    if call.name == "Skill":
        # Earlier versions of the tool called its argument `command`.
        name = call.arguments.get("skill") or call.arguments.get("command")
        return [name.split(":")[-1].lstrip("/")] if isinstance(name, str) and name.strip("/: ") else []
    if call.name == _SERVED or call.name.endswith(f"__{_SERVED}"):
        name = call.arguments.get("name")
        return [name] if isinstance(name, str) and name else []
    names: list[str] = []
    for key, value in call.arguments.items():
        parts = value if isinstance(value, list) else [value]
        text = " ".join(part for part in parts if isinstance(part, str))
        if "SKILL.md" not in text:
            continue
        if key in _PATHS and _READING_TOOL(call.name):
            names += _SKILL_FILE.findall(text)
        elif key in _COMMANDS:
            names += _READING_COMMAND.findall(text)
    return names


def _used(name: str, later: tuple[Step, ...]) -> bool:
    quoted = re.escape(name)
    folder = re.compile(rf"(?<![A-Za-z0-9._-]){quoted}[/\\](?!SKILL\.md)[A-Za-z0-9._]")
    boundary = rf"(?<![A-Za-z0-9_./-]){quoted}(?![A-Za-z0-9_/-])"
    if re.search(r"[-_]", name):
        named = re.compile(boundary, re.IGNORECASE)
    else:
        named = re.compile(rf"{boundary} skill|skill {boundary}|`{quoted}`", re.IGNORECASE)
    for step in later:
        if step.source != "agent":
            continue
        if named.search(step.message) or named.search(step.reasoning):
            return True
        if any(call.name != "Skill" and folder.search(json.dumps(call.arguments)) for call in step.tool_calls):
            return True
    return False
