"""Agents that can choose to load skills, each ended as soon as its choice is known."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from prowess.agents.base import Agent
from prowess.agents.external import CLAUDE_CODE, CODEX, Command, ExternalAgent
from prowess.agents.lexical import LexicalAgent
from prowess.agents.tools import ToolsAgent
from prowess.core.errors import InvalidSkill, Refused, UserError
from prowess.core.model import Model
from prowess.core.skill import Snapshot
from prowess.library.skillmd import parse
from prowess.library.targets import target
from prowess.measure.triggers.trials import decided
from prowess.sandbox import find_sandbox
from prowess.settings import variables

AGENTS = ("tools", "claude-code", "codex", "lexical")
TURNS = 4
"""Calls of the model in which our own agent may load what it wants."""
EXTERNAL_TURNS = 8
"""Of Claude Code, which looks around first."""
SECONDS = 300.0
"""For one run of an external agent; then it is missing."""

# The queries are no tasks to be done here, with the rights of the user: these agents may look and load, not act.
_LOOKING = {
    "claude-code": CLAUDE_CODE.model_copy(
        update={
            "argv": (
                *("claude", "-p", "{model}", "--output-format", "stream-json", "--verbose"),
                *("--permission-mode", "default", "--allowedTools", "Read,Glob,Grep,Skill"),
                *("--max-turns", str(EXTERNAL_TURNS)),
            )
        }
    ),
    "codex": CODEX.model_copy(
        update={"argv": ("codex", "exec", "{model}", "--json", "--skip-git-repo-check", "--sandbox", "read-only", "-")}
    ),
}


def agent(kind: str, model: Callable[[], Model] | None = None, *, model_name: str = "", turns: int = TURNS) -> Agent:
    """An agent that can choose to load skills, ended as soon as its choice is known.

    Args:
        kind: one of `AGENTS`. `lexical` is a stand-in, not an agent.
        model: opens the model of our own agent.
        model_name: for the external ones; empty for their own default.

    Raises:
        UserError: no such agent, or `tools` without a model.
        AgentError: the external agent is not installed.
    """
    if kind == "lexical":
        return LexicalAgent()
    if kind == "tools":
        if model is None:
            raise UserError("the agent 'tools' needs a model", "name one with --model")
        return ToolsAgent(model(), find_sandbox(), steps=turns, until=decided)
    command: Command | None = _LOOKING.get(kind)
    if command is None:
        raise UserError(f"no agent is called {kind!r}", f"choose one of {', '.join(AGENTS)}")
    return ExternalAgent(command, model=model_name, seconds=SECONDS, until=decided)


def is_external(agent: Agent) -> bool:
    """Whether the agent lists skills by its own rules."""
    return isinstance(agent, ExternalAgent)


def check_not_shadowed(kind: str, snapshots: Sequence[Snapshot], home: Path) -> None:
    """Personal skills come before those of a project, or beside them: another text of the same name would be measured.

    Raises:
        Refused: the personal folder of the agent holds a skill of the same name that is not equal in every arm.
    """
    if kind not in _LOOKING:
        return
    found = target(kind)
    environ = variables(found.variable.name) if found.variable else {}
    folders = dict.fromkeys([found.folder("user", home, environ), *(home / folder for folder in found.user)])
    names = sorted({name for snapshot in snapshots for name in snapshot.names})
    for name, path in [(name, folder / name / "SKILL.md") for name in names for folder in folders]:
        if not os.path.lexists(path):
            continue
        try:
            personal: str | None = parse(path.read_text("utf-8"), str(path), strict=False).description
        except (OSError, UnicodeDecodeError, InvalidSkill):
            personal = None
        offered = {skill.description for s in snapshots if (skill := s.get(name)) is not None}
        if offered != {personal}:
            raise Refused(
                f"{found.title} has a personal skill {name!r} with another description, which it would load instead",
                f"move {path.parent} away while measuring, or measure with --agent tools",
            )
