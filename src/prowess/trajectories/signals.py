"""What can be learned from sessions without a model: signals that stand in the steps themselves.

Four kinds, each a `Lesson` that quotes the steps it comes from:

error and fix   a tool failed, and soon after the same tool worked on the same thing (`cause`);
correction      the user told the agent to do it otherwise (`cause`; `memory` when several sessions say the same);
commands        the commands that worked and were more than looking around (`success`);
files           the formats read and written, and the modules used for it (`success`).

These are observations, not proofs: they come from sessions without checks, so what is built on them may be proposed to
the user but never applied by itself. Quotes are hostile text. Errors outside of the library's reach are blamed on the
environment, slips against the rules of the agent's own tools on the agent.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from prowess.core.lesson import Blame, Lesson, Reference
from prowess.core.model import ToolCall
from prowess.core.text import one_line
from prowess.core.trajectory import Observation, Trajectory
from prowess.trajectories.importers.records import exit_code
from prowess.trajectories.segment import Unit, segment

QUOTE = 300
"""Characters of a quote at most."""
WINDOW = 8
"""A fix must come within this many steps after the error."""
COMMANDS = 6
"""Commands that one lesson names at most."""
REFERENCES = 20
"""References that a merged lesson keeps at most."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SHELL = re.compile(
    r"(?i)(?:bash|shell|local_shell|exec_command|run_command|terminal|execute_bash|unified_exec)"
).fullmatch
_NOT_ITS_OWN = re.compile(
    r"Sibling tool call errored|Cancelled: parallel tool call|doesn't want to (?:proceed|take)"
).search
_AGENT_SLIP = re.compile(
    r"has not been read yet|modified since read|exceeds maximum allowed|InputValidationError|string to replace"
    r"|Found \d+ matches of the string|No such tool|illegal operation on a directory"
).search
_ENVIRONMENT = re.compile(
    r"(?i)timed? ?out|temporary failure|connection (?:refused|reset)|rate limit|too many requests|\b(?:429|502|503)\b"
    r"|no space left|could not resolve|network is unreachable"
).search
_SHELL_ERROR = re.compile(r"(?m)^Traceback \(most recent call last\)|: command not found$").search
_ERROR_LINE = re.compile(
    r"(?i)error|exception|not found|no such|denied|failed|cannot|invalid|unable|undefined|missing"
).search
_NOISE = re.compile(r"^(?:Exit code:? \d+|Wall time.*|Output:|Traceback .*|</?tool_use_error>)$")
_LOOKING = _set(
    """ls cat head tail find grep rg echo pwd cd which wc file stat tree less more env printf sleep true test type date
    du df export set source sed awk sort uniq diff"""
)
_INSTALLING = re.compile(
    r"\b(?:pip3?|uv|apt|apt-get|apk|brew|conda|npm|pnpm|yarn|cargo|gem|go) (?:install|add|get|i)\b|-m pip install"
).search
_CORRECTION = re.compile(
    r"(?i)^\W*(?:no[,.! ]|nope|wrong|that'?s (?:wrong|not)|this is (?:wrong|not)|not (?:that|like that|what)|don'?t "
    r"|do not |stop\b|never |actually[, ]|instead[, ]|i (?:said|told|asked|meant)|you (?:forgot|missed)"
    r"|you (?:should|must)(?:n'?t| not)|please (?:don'?t|do not|use|always|never)|always "
    r"|use .{1,80}(?: instead|, not )|again[,:])"
).match
_REJECTED = re.compile(r"(?is)the user (?:said|provided the following reason for the rejection):\s*(.{3,600})").search
_INSTEAD = " This worked instead: "
_AFTER = " It worked after "
_PATH_KEYS = ("file_path", "path", "notebook_path", "filename", "filePath", "target_file")
_WRITING = re.compile(r"(?i)(?:write|edit|multiedit|create|notebookedit|str_replace|apply_patch).{0,20}").fullmatch
_FILE = re.compile(r"(?<![\w./-])((?:[\w.~-]{0,60}/){0,12}[\w-]{1,80}\.[A-Za-z][A-Za-z0-9]{0,5})(?![\w/(.-])")
_MODULE = re.compile(r"(?m)^[ \t]{0,40}(?:from ([A-Za-z_]\w{0,40})[\w.]{0,60} import|import ([A-Za-z_]\w{0,40}))")
_FORMATS = _set(
    """csv tsv json jsonl yaml yml toml ini xml html md txt pdf docx doc xlsx xls pptx odt ods rtf py js ts java scala
    go rs c cpp h sh sql db sqlite parquet png jpg jpeg svg gif mp4 mp3 wav zip tar gz nc h5 npy pkl ipynb tex log
    geojson shp eml ics"""
)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call with what came back."""

    step: int
    call: ToolCall
    output: str
    failed: bool

    @property
    def command(self) -> str:
        """The command line of a shell call; empty for other tools."""
        if not _SHELL(self.call.name):
            return ""
        for key in ("command", "cmd", "input"):
            value = self.call.arguments.get(key)
            if isinstance(value, str):
                return value
            if isinstance(value, list):
                return " ".join(part for part in value if isinstance(part, str))
        return ""

    @property
    def path(self) -> str:
        return next((str(self.call.arguments[k]) for k in _PATH_KEYS if k in self.call.arguments), "")


def lessons(trajectories: Iterable[Trajectory]) -> list[Lesson]:
    """The signals of many sessions, equal ones merged; what an edit may mend and many sessions show comes first."""
    merged: dict[str, Lesson] = {}
    for trajectory in trajectories:
        for lesson in lessons_of(trajectory):
            key = _key(lesson)
            known = merged.get(key)
            if known is None:
                merged[key] = lesson
                continue
            references = known.references + tuple(r for r in lesson.references if r not in known.references)
            several = len({r.trajectory for r in references}) > 1
            kind = "memory" if several and known.kind == "cause" else known.kind
            merged[key] = known.model_copy(update={"references": references[:REFERENCES], "kind": kind})
    return sorted(merged.values(), key=lambda x: (x.blame != "skill", -len({r.trajectory for r in x.references})))


def lessons_of(trajectory: Trajectory) -> list[Lesson]:
    """The signals of one session, in the order of its steps."""
    found: list[Lesson] = []
    for unit in segment(trajectory):
        calls = list(_calls(trajectory, unit))
        found += _errors_and_fixes(trajectory, calls)
        found += _rejections(trajectory, calls)
        found += _commands(trajectory, calls)
    found += _corrections(trajectory)
    found += _files(trajectory)
    return found


def _key(lesson: Lesson) -> str:
    """Equal for lessons that say the same of other files and numbers; an error is the same whatever mended it."""
    text = lesson.text.split(_INSTEAD)[0].split(_AFTER)[0]
    return re.sub(r"\d+", "0", re.sub(r"(?:[\w.~-]*/)+", "", text)).lower()


def _lesson(
    trajectory: Trajectory, kind: str, text: str, references: Iterable[Reference], blame: Blame = "skill"
) -> Lesson:
    skill = trajectory.loaded[0] if len(trajectory.loaded) == 1 else None
    return Lesson.model_validate(
        {"kind": kind, "text": text, "skill": skill, "blame": blame, "references": tuple(references)}
    )


def _reference(trajectory: Trajectory, first: int, last: int, quote: str) -> Reference:
    return Reference(trajectory=trajectory.id, first_step=first, last_step=last, quote=one_line(quote, QUOTE))


def _calls(trajectory: Trajectory, unit: Unit) -> Iterator[_Call]:
    for index in range(unit.first_step, unit.last_step + 1):
        step = trajectory.steps[index]
        answers = {o.call_id: o for o in step.observations}
        for call in step.tool_calls:
            answer = answers.get(call.id)
            if answer is not None:
                item = _Call(index, call, answer.content, answer.is_error)
                yield replace(item, failed=_failed(item, answer))


def _failed(call: _Call, answer: Observation) -> bool:
    if answer.is_error or not _SHELL(call.call.name):
        return answer.is_error
    return exit_code(answer.content) not in {None, 0} or _SHELL_ERROR(answer.content[-4000:]) is not None


def _errors_and_fixes(trajectory: Trajectory, calls: list[_Call]) -> Iterator[Lesson]:
    for number, bad in enumerate(calls):
        if not bad.failed or _NOT_ITS_OWN(bad.output):
            continue
        between: list[_Call] = []
        for good in calls[number + 1 :]:
            if good.step - bad.step > WINDOW or (good.failed and _same_thing(bad, good)):
                break  # a second failure will look for the fix itself
            if not good.failed and good.step > bad.step and _same_thing(bad, good):
                yield _fix(trajectory, bad, good, between)
                break
            if not good.failed:
                between.append(good)


def _same_thing(one: _Call, other: _Call) -> bool:
    if one.call.name != other.call.name:
        return False
    if one.command:
        left, right = set(_words(one.command)), set(_words(other.command))
        return len(left & right) >= 0.5 * min(len(left), len(right)) and _program(one.command) == _program(
            other.command
        )
    if one.path:
        return one.path.rsplit("/", 1)[-1] == other.path.rsplit("/", 1)[-1]
    return True


def _fix(trajectory: Trajectory, bad: _Call, good: _Call, between: list[_Call]) -> Lesson:
    error = error_line(bad.output)
    references = [
        _reference(trajectory, bad.step, bad.step, f"{_shown(bad)} → {error}"),
        _reference(trajectory, good.step, good.step, _shown(good)),
    ]
    same = good.call.arguments == bad.call.arguments
    helped = [c for c in between if (same and not _is_looking(c)) or _INSTALLING(c.command)][-3:]
    references[1:1] = [_reference(trajectory, c.step, c.step, _shown(c)) for c in helped]
    if same or helped:
        how = "; ".join(f"`{_shown(c)}`" for c in helped) or "a second try"
        text = f"{bad.call.name} failed with: {error}{_AFTER}{how}."
    else:
        text = f"{bad.call.name} failed with: {error}{_INSTEAD}`{_changed(bad, good)}`."
    blame: Blame = "environment" if _ENVIRONMENT(error) else "agent" if _AGENT_SLIP(bad.output) else "skill"
    return _lesson(trajectory, "cause", text, references, blame)


def error_line(output: str) -> str:
    """The one line of an output that says what went wrong, at most 200 characters, with a full stop."""
    text = re.sub(r"</?tool_use_error>", "", output[-20_000:])
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not _NOISE.match(line)]
    if "Traceback (most recent call last)" in text:
        lines = lines[::-1]  # Python names the error last
    line = next((x for x in lines if _ERROR_LINE(x)), lines[0] if lines else "no message")
    return one_line(line, 200).rstrip(".") + "."


def _rejections(trajectory: Trajectory, calls: list[_Call]) -> Iterator[Lesson]:
    """A call that the user refused, giving a reason."""
    for call in calls:
        found = _REJECTED(call.output) if call.failed else None
        if found:
            said = one_line(found[1], QUOTE)
            text = f"The user refused {call.call.name} `{_shown(call)}`: {said}"
            yield _lesson(trajectory, "cause", text, [_reference(trajectory, call.step, call.step, said)])


def _corrections(trajectory: Trajectory) -> Iterator[Lesson]:
    worked = False
    for index, step in enumerate(trajectory.steps):
        if step.source == "agent":
            worked = True
        elif step.source == "user" and worked and _CORRECTION(step.message[:400]):
            said = one_line(step.message, QUOTE)
            yield _lesson(
                trajectory, "cause", f"The user corrected: {said}", [_reference(trajectory, index, index, said)]
            )


def _commands(trajectory: Trajectory, calls: list[_Call]) -> Iterator[Lesson]:
    worked: dict[str, _Call] = {}
    for call in calls:
        if call.command and not call.failed and not _is_looking(call):
            worked[_program(call.command) + " " + " ".join(_words(call.command)[:6])] = call
    chosen = list(worked.values())[-COMMANDS:]
    if chosen:
        shown = "; ".join(f"`{_shown(call)}`" for call in chosen)
        references = [_reference(trajectory, c.step, c.step, c.command) for c in chosen]
        yield _lesson(trajectory, "success", f"Commands that worked: {shown}.", references)


def _files(trajectory: Trajectory) -> Iterator[Lesson]:
    read: dict[str, int] = {}
    written: dict[str, int] = {}
    modules: dict[str, int] = {}
    for unit in segment(trajectory):
        for call in _calls(trajectory, unit):
            if call.failed:
                continue
            target = written if _WRITING(call.call.name) else read
            text = call.command or call.path
            for path in _FILE.findall(text):
                kind = path.rsplit(".", 1)[-1].lower()
                if kind in _FORMATS and "/SKILL.md" not in path:
                    target.setdefault(kind, call.step)
            code = call.command or str(call.call.arguments.get("content", ""))
            for one, two in _MODULE.findall(code[:50_000]):
                if (one or two) not in sys.stdlib_module_names:
                    modules.setdefault(one or two, call.step)
    if not read and not written:
        return
    parts = [
        f"{what} {', '.join(sorted(names))}"
        for what, names in (("touches", read), ("writes", written), ("uses the modules", modules))
        if names
    ]
    steps = sorted({*read.values(), *written.values(), *modules.values()})
    quote = ", ".join(sorted({*read, *written}))
    yield _lesson(
        trajectory,
        "success",
        f"Such work {'; '.join(parts)}.",
        [_reference(trajectory, steps[0], steps[-1], quote)],
    )


def _is_looking(call: _Call) -> bool:
    if call.command:
        return all(_program(part) in _LOOKING for part in re.split(r"&&|\|\|?|;|\n", call.command) if part.strip())
    return not _WRITING(call.call.name)


def _program(command: str) -> str:
    """The name of what a command line runs, past changes of folder and settings of variables."""
    for part in re.split(r"&&|;|\n", command):
        words = [w for w in part.split() if not re.match(r"[A-Za-z_]\w*=", w) and w not in {"sudo", "timeout", "time"}]
        if words and words[0] not in {"cd", "export", "set", "#", "source"}:
            return words[0].rsplit("/", 1)[-1]
    return ""


def _words(command: str) -> list[str]:
    return re.findall(r"[\w./-]{2,}", command[:4000])


def _shown(call: _Call) -> str:
    return one_line(call.command or call.path or json.dumps(call.call.arguments, ensure_ascii=False), 160)


def _changed(bad: _Call, good: _Call) -> str:
    """What the working call has that the failing one lacked: the changed arguments, or the first differing lines."""
    if not bad.command:
        different = {k: v for k, v in good.call.arguments.items() if bad.call.arguments.get(k) != v}
        return one_line(json.dumps(different, ensure_ascii=False), 200)
    old = set(bad.command.splitlines())
    new = [line for line in good.command.splitlines() if line not in old]
    return one_line("\n".join(new) or good.command, 200)
