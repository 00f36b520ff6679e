"""The `tools` agent: a bounded loop of tool calls over files, a shell in the sandbox, and skills."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from pydantic import JsonValue

from prowess.agents.base import Until
from prowess.agents.prompting import (
    catalogue,
    preload,
    shown_at_once,
    skill_content,
    skill_files,
    used_skills,
)
from prowess.agents.record import trajectory_of
from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.errors import BoundaryError, SandboxError
from prowess.core.model import Message, Model, Request, Response, Tool, ToolCall
from prowess.core.task import File, Task
from prowess.core.text import both_ends, first_lines
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.core.view import View
from prowess.guard.redact import redact
from prowess.guard.runtime import TRIALS, Runtime
from prowess.sandbox import Limits, Sandbox
from prowess.sandbox.files import check_path
from prowess.sandbox.rooms import at

SYSTEM = "You do office tasks with tools, in a folder that holds the task's files. There is no network."
NATIVE = "When all is done, answer without a tool call."
ACTIONS = 'Answer with one JSON object {"tool": NAME, "arguments": {...}} and nothing else. Tools:'
SKILLS = "Skills, proven on such tasks. Where one fits, follow it to the letter."
AGAIN = "You did exactly this before, with this result. Do something else, or finish."
MAX_REPEATS = 3
"""The same call with the same result this many times ends the run."""
_READ_LINES = 200


def _tool(name: str, description: str, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Tool:
    properties: dict[str, JsonValue] = {key: {"type": "string"} for key in required}
    properties |= {key: {"type": "integer"} for key in optional}
    return Tool(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": properties,
            "required": list[JsonValue](required),
            "additionalProperties": False,
        },
    )


FILE_TOOLS = (
    _tool("list_files", "List all files with their sizes."),
    _tool("read_file", f"Read {_READ_LINES} lines of a text file, from line `start`.", ("path",), ("start",)),
    _tool("write_file", "Create or overwrite a text file.", ("path", "content")),
    _tool("run", "Run a shell command; python has openpyxl. Files are kept between calls.", ("command",)),
)
FINISH = _tool("finish", "End the task with a final answer.", ("answer",))


@dataclass(slots=True)
class _Desk:
    """The folder of one run between calls, and what the agent has read."""

    task: Task
    view: View
    sandbox: Sandbox
    limits: Limits
    runtime: Runtime
    files: dict[str, File] = field(default_factory=dict[str, File])
    given: dict[str, bytes] = field(default_factory=dict[str, bytes])
    loaded: list[str] = field(default_factory=list[str])

    def give(self, files: tuple[File, ...]) -> None:
        self.files |= {file.path: file for file in files}
        self.given |= {file.path: file.data for file in files}

    def load(self, name: str) -> tuple[str, bool]:
        skill = next((s for s in self.view.skills if s.name == name), None)
        if skill is None:
            return f"There is no skill {name[:80]!r}.", True
        if name not in self.loaded:
            self.loaded.append(name)
        self.give(skill_files(skill, self.runtime))
        return skill_content(skill, self.runtime), False

    @property
    def outputs(self) -> tuple[File, ...]:
        return tuple(f for path, f in sorted(self.files.items()) if self.given.get(path) != f.data)

    async def call(self, name: str, arguments: dict[str, JsonValue]) -> tuple[str, bool]:
        """What the tool says, and whether that is an error. Bad arguments are the model's error, never raised."""
        words = {key: value for key, value in arguments.items() if isinstance(value, str)}
        path = words.get("path", "").removeprefix("./")
        match name:
            case "list_files":
                return "\n".join(f"{p} ({len(f.data)} bytes)" for p, f in sorted(self.files.items())) or "(none)", False
            case "read_file":
                file = self.files.get(path)
                return (f"There is no file {path!r}.", True) if file is None else (_lines(file, arguments), False)
            case "write_file" if "content" in words:
                try:
                    check_path(path)
                except SandboxError as error:
                    return str(error), True
                self.files[path] = File(path=path, data=words["content"].encode("utf-8", "replace"))
                return f"Wrote {path}.", False
            case "run" if "command" in words:
                return await self._run(words["command"])
            case "load_skill":
                return self.load(words.get("name", ""))
            case _:
                return f"There is no tool {name!r} with arguments {sorted(arguments)}.", True

    async def _run(self, command: str) -> tuple[str, bool]:
        skills = [skill for skill in self.view.skills if skill.name in self.loaded]
        ours = {f.path: skill for skill in skills for f in skill_files(skill)}
        allowed = {f.path for skill in skills for f in skill_files(skill, self.runtime)}
        for path in ours.keys() - allowed:  # what was handed out before a skill was lowered
            self.files.pop(path, None)
        result = await at(self.sandbox, self.task).run(["sh", "-c", command], tuple(self.files.values()), self.limits)
        self.files |= {file.path: file for file in result.files}
        for path in result.removed:
            self.files.pop(path, None)
        for path in (*(f.path for f in result.files), *result.removed):
            if path in allowed:
                self.runtime.violated(ours[path], f"a run changed its file {path}")
        said = redact("\n".join(part for part in (result.stdout.strip(), result.stderr.strip()) if part))
        if result.timed_out:
            said += f"\nStopped after {result.seconds:.0f} seconds."
        elif result.exit_code != 0:
            said += f"\nExit code {result.exit_code}."
        return said.strip() or "(no output)", not result.ok


class ToolsAgent:
    """Calls tools until it answers, up to `steps` calls of the model; with `until`, also until that holds.

    `native_tools=False` is for models without tool support: one JSON action per turn, held to a schema.
    """

    def __init__(
        self,
        model: Model,
        sandbox: Sandbox,
        *,
        steps: int = 16,
        max_tokens: int = 1_200,
        temperature: float = 0.0,
        native_tools: bool = True,
        output_chars: int = 3_000,
        limits: Limits | None = None,
        until: Until | None = None,
        runtime: Runtime = TRIALS,
    ) -> None:
        self.model = model
        self.sandbox = sandbox
        self.steps = steps
        self.max_tokens = max_tokens
        self.temperature = temperature
        self.native_tools = native_tools
        self.output_chars = output_chars
        self.limits = limits or Limits()
        self.until = until
        self.runtime = runtime

    @property
    def name(self) -> str:
        until = f"until={self.until.__name__} " if self.until else ""
        settings = [SYSTEM, NATIVE, ACTIONS, SKILLS, AGAIN, FILE_TOOLS, FINISH, self.output_chars, self.limits]
        return (
            f"tools/1 steps={self.steps} tokens={self.max_tokens} temperature={self.temperature} "
            f"native={self.native_tools} {until}texts={digest(settings)[:8]} model={self.model.name}"
        )

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        desk = _Desk(task, view, self.sandbox, self.limits, self.runtime)
        desk.give(task.files)
        for skill in shown_at_once(view, self.runtime):
            desk.load(skill.name)
        tools = _tools(view)
        system, prompt = self._opening(task, view, tools)
        messages = [Message(role="system", content=system), Message(role="user", content=prompt)]
        steps = [Step(source="system", message=system), Step(source="user", message=prompt)]
        seen: Counter[str] = Counter()
        error: str | None = None
        try:
            for _ in range(self.steps):
                response = await self.model.complete(self._request(messages, tools, seed))
                calls, answer = self._calls(response)
                if answer is not None:
                    steps.append(_step(response, answer, calls, ()))
                    break
                observations = [await self._observe(desk, call, seen) for call in calls]
                if not calls:
                    observations = [
                        Observation(content="That was not a JSON action with tool and arguments.", is_error=True)
                    ]
                steps.append(_step(response, response.text, calls, tuple(observations)))
                if any(count >= MAX_REPEATS for count in seen.values()):
                    break
                if self.until is not None and self.until(task, desk.loaded):
                    break
                messages += self._turn(response, observations)
        except BoundaryError as failure:
            error = f"{type(failure).__name__}: {failure}"
        own = "\n".join(
            [step.message for step in steps[2:]]
            + [str(value) for step in steps[2:] for call in step.tool_calls for value in call.arguments.values()]
        )
        return trajectory_of(
            self.name,
            self.model.name,
            task,
            view,
            seed,
            loaded=tuple(desk.loaded),
            used=used_skills(tuple(s for s in view.skills if s.name in desk.loaded), own),
            steps=tuple(steps),
            outputs=desk.outputs,
            error=error,
        )

    def _opening(self, task: Task, view: View, tools: tuple[Tool, ...]) -> tuple[str, str]:
        system = [SYSTEM]
        if self.native_tools:
            system.append(NATIVE)
        else:
            listed = [f"{t.name}({', '.join(_properties(t))}): {t.description}" for t in (*tools, FINISH)]
            system += [ACTIONS, *listed]
        if view.disclosure == "preload" and (bodies := preload(view.skills, self.runtime)):
            system += [SKILLS, bodies]
        elif view.disclosure == "progressive" and (listed := catalogue(view.skills, self.runtime)):
            system += ["Read a skill with load_skill before you do what it describes.", listed]
        files = "\n".join(f"{f.path} ({len(f.data)} bytes)" for f in task.files[:50])
        return "\n".join(system), task.prompt.strip() + (f"\nFiles:\n{files}" if files else "")

    def _request(self, messages: list[Message], tools: tuple[Tool, ...], seed: int) -> Request:
        return Request(
            messages=tuple(messages),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=seed,
            tools=tools if self.native_tools else (),
            json_schema=None if self.native_tools else _schema((*tools, FINISH)),
        )

    def _calls(self, response: Response) -> tuple[tuple[ToolCall, ...], str | None]:
        """(calls, final answer): the answer is None while the model wants tools."""
        if self.native_tools:
            return response.tool_calls, None if response.tool_calls else response.text
        action = parse_action(response.text)
        if action is None:
            return (), None
        name, arguments = action
        if name == FINISH.name:
            return (), str(arguments.get("answer", ""))
        return (ToolCall(id=digest([name, arguments])[:12], name=name, arguments=arguments),), None

    async def _observe(self, desk: _Desk, call: ToolCall, seen: Counter[str]) -> Observation:
        said, is_error = await desk.call(call.name, call.arguments)
        key = digest([call.name, call.arguments, said])
        seen[key] += 1
        # A skill is never cut: half of an instruction can be worse than none.
        shown = said if call.name == "load_skill" else both_ends(said, self.output_chars)
        if seen[key] > 1:
            shown = f"{first_lines(shown, 300)}\n{AGAIN}"
        return Observation(content=shown, call_id=call.id, is_error=is_error)

    def _turn(self, response: Response, observations: list[Observation]) -> list[Message]:
        if not self.native_tools:
            said = "\n".join(o.content for o in observations)
            return [Message(role="assistant", content=response.text), Message(role="user", content=said)]
        answers = [Message(role="tool", content=o.content, tool_call_id=o.call_id) for o in observations]
        return [Message(role="assistant", content=response.text, tool_calls=response.tool_calls), *answers]


def parse_action(text: str) -> tuple[str, dict[str, JsonValue]] | None:
    """(tool, arguments) of the first JSON object in `text` that is an action; prose and fences around it are passed."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value: object = decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            action = cast("dict[str, JsonValue]", value)
            name, arguments = action.get("tool"), action.get("arguments", {})
            if isinstance(name, str) and isinstance(arguments, dict):
                return name, arguments
        start = text.find("{", start + 1)
    return None


def _tools(view: View) -> tuple[Tool, ...]:
    if not view.skills or view.disclosure == "preload":
        return FILE_TOOLS
    names: list[JsonValue] = [skill.name for skill in view.skills]
    load = _tool("load_skill", "Read a skill.", ("name",))
    parameters = load.parameters | {"properties": {"name": {"type": "string", "enum": names}}}
    return (load.model_copy(update={"parameters": parameters}), *FILE_TOOLS)


def _properties(tool: Tool) -> list[str]:
    return list(cast("dict[str, JsonValue]", tool.parameters["properties"]))


def _schema(tools: tuple[Tool, ...]) -> dict[str, JsonValue]:
    actions: list[JsonValue] = [
        {
            "type": "object",
            "properties": {"tool": {"const": tool.name}, "arguments": tool.parameters},
            "required": ["tool", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return {"anyOf": actions}


def _lines(file: File, arguments: dict[str, JsonValue]) -> str:
    if b"\x00" in file.data[:4096]:
        return f"{file.path} is binary; read it with a command."
    start = arguments.get("start", 1)
    first = max(start, 1) if isinstance(start, int) else 1
    lines = file.text.splitlines()
    shown = "\n".join(lines[first - 1 : first - 1 + _READ_LINES])
    left = len(lines) - (first - 1 + _READ_LINES)
    return shown + (f"\n… {left} more lines" if left > 0 else "") or "(empty)"


def _step(response: Response, message: str, calls: tuple[ToolCall, ...], observations: tuple[Observation, ...]) -> Step:
    cost: Cost = response.cost
    return Step(
        source="agent",
        message=message,
        tool_calls=calls,
        observations=observations,
        model=response.model,
        cost=cost,
    )
