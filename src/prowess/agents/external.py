"""Agents that are programs of their own: Claude Code and Codex, run as subprocesses on one task each.

They talk to their own provider and run with the user's rights, so they are not in the sandbox: their work folder is
temporary, but what they may touch is up to their own permission settings. So scripts of skills are handed to them only
where the runtime permits it. Personal skills and settings of the user stay visible to them, in every arm alike.
"""

import os
import platform
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from prowess.agents.base import Until
from prowess.agents.prompting import REFERENCE, UNTRUSTED, preload, shown_at_once, skill_files, used_skills
from prowess.agents.record import trajectory_of
from prowess.agents.streams import Session, read_claude, read_codex
from prowess.core.base import Frozen, digest
from prowess.core.errors import AgentError
from prowess.core.skill import Skill
from prowess.core.task import File, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.guard.runtime import OUTSIDE, Runtime
from prowess.library.skillmd import render
from prowess.sandbox.confined import supervised
from prowess.sandbox.files import read_files, remove_folder, write_files
from prowess.sandbox.process import Captured, run_tree
from prowess.trajectories.importers import OWN_RUN
from prowess.trajectories.skill_use import loads

_MODEL = "{model}"
_STREAM_BYTES = 128 << 20
_FILE_BYTES = 16 << 20
_READERS: dict[str, Callable[[str], Session]] = {"claude": read_claude, "codex": read_codex}


class Command(Frozen):
    """How a program is called. The prompt goes to its standard input."""

    label: str
    argv: tuple[str, ...]
    """`{model}` is where a model is named, if one is asked for."""
    model_option: tuple[str, ...]
    """Precedes the name of the model."""
    skills: str
    """Folder, below the work folder, where it looks for skills."""
    stream: str
    """Which reader understands its output: `claude` or `codex`."""
    install: str
    """What to do when it is not there."""


CLAUDE_CODE = Command(
    label="claude-code",
    argv=(
        *("claude", "-p", _MODEL, "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"),
        *("--allowedTools", "Bash,Read,Write,Edit,Glob,Grep,Skill"),
    ),
    model_option=("--model",),
    skills=".claude/skills",
    stream="claude",
    install="install Claude Code and log in once with `claude`",
)
CODEX = Command(
    label="codex",
    argv=("codex", "exec", _MODEL, "--json", "--skip-git-repo-check", "--sandbox", "workspace-write", "-"),
    model_option=("--model",),
    skills=".agents/skills",
    stream="codex",
    install="install Codex and log in once with `codex login`",
)


class ExternalAgent:
    """Runs an external agent on a task, with the view's skills in the folder where it looks for them.

    Raises:
        AgentError: the program is not installed.
    """

    def __init__(
        self,
        command: Command,
        *,
        model: str = "",
        seconds: float = 900.0,
        until: Until | None = None,
        runtime: Runtime = OUTSIDE,
    ) -> None:
        self.command = command
        self.model = model
        self.seconds = seconds
        self.until = until
        """Ends the run as soon as it holds; what the program did until then counts."""
        self.runtime = runtime
        found = shutil.which(command.argv[0])
        if found is None:
            raise AgentError(f"the command {command.argv[0]!r} was not found: {command.install}")
        self.program = found

    @property
    def name(self) -> str:
        until = f"until={self.until.__name__} " if self.until else ""
        settings = f"seconds={self.seconds:g} command={digest(self.command)[:8]} model={self.model or 'default'}"
        return f"{self.command.label}/1 {until}{settings}"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        """Do the task. External agents take no seed: it only tells repetitions apart."""
        prompt = self._prompt(task, view)
        base = Path(await anyio.to_thread.run_sync(lambda: tempfile.mkdtemp(prefix=f"{OWN_RUN}-")))
        try:
            work = base / "work"
            installed = installed_files(view.skills, self.command.skills, self.runtime)
            await anyio.to_thread.run_sync(_prepare, work, (*task.files, *installed))
            enough = _Enough(self.until, task, _READERS[self.command.stream]) if self.until else None
            captured = await self._launch(work, prompt, enough)
            changed, _, _ = await anyio.to_thread.run_sync(read_files, work, (*task.files, *installed), _FILE_BYTES)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(remove_folder, base)
        session = _READERS[self.command.stream](captured.stdout)
        names = {skill.name for skill in view.skills}
        loaded = [name for name in session.loaded if name in names]
        if view.disclosure == "preload":
            loaded = [skill.name for skill in shown_at_once(view, self.runtime)]
        trajectory = trajectory_of(
            self.name,
            session.model or self.model or "default",
            task,
            view,
            seed,
            loaded=tuple(loaded),
            used=used_skills(tuple(s for s in view.skills if s.name in loaded), session.own_text),
            steps=(Step(source="user", message=prompt), *session.steps),
            outputs=tuple(f for f in changed if not f.path.startswith((".claude/", ".agents/", ".codex/"))),
            error=None if enough is not None and enough.holds else self._error(captured, session),
        )
        told = {"version": session.version, "skills": list(session.skills_seen), "skipped": dict(session.skipped)}
        return trajectory.model_copy(update={"cost": session.cost, "extra": told})

    def _prompt(self, task: Task, view: View) -> str:
        parts = [bodies] if view.disclosure == "preload" and (bodies := preload(view.skills, self.runtime)) else []
        parts.append(task.prompt.strip())
        if task.outputs:
            parts.append(f"Write {', '.join(task.outputs)} in the current folder.")
        return "\n\n".join(parts)

    async def _launch(self, work: Path, prompt: str, enough: "_Enough | None" = None) -> Captured:
        argv = [self.program]
        for part in self.command.argv[1:]:
            argv += ([*self.command.model_option, self.model] if self.model else []) if part == _MODEL else [part]
        reader, writer = os.pipe()
        try:
            if platform.system() == "Linux":
                argv = supervised(argv, writer)
            return await run_tree(
                argv,
                env={**os.environ, OWN_RUN: "1"},
                cwd=work,
                seconds=self.seconds,
                output_bytes=_STREAM_BYTES,
                pass_fds=(writer,),
                stop=signal.SIGTERM,
                stdin=prompt.encode("utf-8", "replace"),
                enough=enough,
            )
        except OSError as error:
            raise AgentError(f"{self.command.argv[0]!r} could not be started: {error}") from error
        finally:
            os.close(reader)
            os.close(writer)

    def _error(self, captured: Captured, session: Session) -> str | None:
        """Why the run says nothing about the skills; None for a run that came to its end, good or bad."""
        if captured.timed_out:
            return f"AgentError: {self.command.label} was stopped after {self.seconds:g} seconds"
        if session.error is not None:
            return f"AgentError: {self.command.label}: {session.error[:500]}"
        if not session.ended:
            said = captured.stderr.strip()[-500:] or f"exit code {captured.exit_code}"
            return f"AgentError: {self.command.label} ended before its work was done: {said}"
        return None


class _Enough:
    """Reads the output of a running program, and says when the run may end."""

    def __init__(self, until: Until, task: Task, read: Callable[[str], Session]) -> None:
        self.until = until
        self.task = task
        self.read = read
        self.seen = bytearray()
        self.holds = False

    def __call__(self, piece: bytes) -> bool:
        self.seen += piece
        # Read anew from the start each time: sessions that are watched are a few turns long.
        if not self.holds and b"\n" in piece:
            whole_lines = self.seen[: self.seen.rfind(b"\n")]
            steps = self.read(whole_lines.decode("utf-8", "replace")).steps
            self.holds = self.until(self.task, {name for _, name in loads(tuple(map(_answered, steps)))})
        return self.holds


def _answered(step: Step) -> Step:
    """Without the calls whose result has not come yet: it may still be an error."""
    came = {observation.call_id for observation in step.observations}
    return step.model_copy(update={"tool_calls": tuple(call for call in step.tool_calls if call.id in came)})


def installed_files(skills: tuple[Skill, ...], folder: str, runtime: Runtime = OUTSIDE) -> tuple[File, ...]:
    """The skills as files of a skills folder; a body that may be shown with a word of caution only begins with it."""
    found: list[File] = []
    for skill in skills:
        text = runtime.permit(skill).text
        if text == "none":
            continue
        note = {"fenced": f"{UNTRUSTED}\n\n", "reference": f"{REFERENCE}\n\n"}.get(text, "")
        shown = skill.model_copy(update={"body": note + skill.body})
        found.append(File(path=f"{folder}/{skill.name}/SKILL.md", data=render(shown).encode()))
        files = (f.model_copy(update={"path": f.path.removeprefix("skills/")}) for f in skill_files(skill, runtime))
        found += [File(path=f"{folder}/{f.path}", data=f.data) for f in files]
    return tuple(found)


def _prepare(work: Path, files: tuple[File, ...]) -> None:
    work.mkdir()
    write_files(work, files, None)
