"""Sessions cut into pieces of work: one request of the user, and everything that was done for it.

A piece may span several trajectories: what sub-agents did belongs to the request that they were started for. Short
answers and corrections continue the piece before them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prowess.core.lesson import Lesson
from prowess.core.trajectory import Trajectory
from prowess.core.trust import OWN
from prowess.evolve.logs.sayings import Code, Saying, programs, sayings
from prowess.evolve.logs.text import legible, line, request
from prowess.evolve.logs.vocabulary import FORMATS
from prowess.evolve.logs.words import words
from prowess.guard.taint import borrowed, imperative, origins, principal_of
from prowess.trajectories.segment import Unit, segment
from prowess.trajectories.signals import lessons_of

SAYINGS = 150
"""Lines kept of one piece at most."""
_LONG = 4
"""Words from which on a command line is compared with what tools said: short ones are everybody's."""
ACTIONS = 2
"""A piece with fewer calls of tools taught nothing about doing."""
_CORRECTED = ("The user corrected:", "The user refused")
_FILE = re.compile(r"[\w-]{1,80}\.([A-Za-z][A-Za-z0-9]{1,5})(?![\w/(])")
_MODULE = re.compile(r"(?m)^[ \t]*(?:from ([A-Za-z_]\w{1,40})|import ([A-Za-z_]\w{1,40}))")
_QUOTED = re.compile(r"(?s)(['\"]).*?(?:\1|\Z)")
_PROGRAM = re.compile(r"(?m)(?:^|&&|;|\|)\s*(?:sudo |timeout \d+ )?([A-Za-z][\w.-]{1,30})(?=\s|$)")


@dataclass(slots=True)
class Work:
    """One piece of work."""

    session: str
    """What counts once, however many trajectories and pieces it has."""
    trajectory: str
    first_step: int
    last_step: int
    """Inclusive."""
    request: str
    started: str
    principal: str = OWN
    """Whose session it is."""
    actions: int = 0
    profile: Counter[str] = field(default_factory=Counter[str])
    """What the piece is told by: words, and features such as `file:csv`, `program:git`, `module:openpyxl`."""
    sayings: list[Saying] = field(default_factory=list[Saying])
    codes: list[Code] = field(default_factory=list[Code])
    lessons: list[Lesson] = field(default_factory=list[Lesson])
    """The signals of `prowess.trajectories.signals` in it."""
    loaded: set[str] = field(default_factory=set[str])
    trajectories: set[str] = field(default_factory=set[str])
    """Its own and those of its sub-agents."""
    calls: set[str] = field(default_factory=set[str])
    """Ids of its tool calls, by which sub-agents name what started them."""

    def take_in(self, other: "Work") -> None:
        """Adds what a continuation or a sub-agent did."""
        if other.trajectory == self.trajectory:
            self.last_step = max(self.last_step, other.last_step)
        self.actions += other.actions
        self.profile.update(other.profile)
        self.sayings += other.sayings
        self.codes += other.codes
        self.lessons += other.lessons
        self.loaded |= other.loaded
        self.trajectories |= other.trajectories
        self.calls |= other.calls


def session_of(trajectory: Trajectory) -> str:
    """What all threads of one session share; no two people share a session, whatever its id."""
    named = trajectory.extra.get("session_id")
    own = named if isinstance(named, str) and named else trajectory.id
    principal = principal_of(trajectory)
    return own if principal == OWN else f"{principal}/{own}"


def works(trajectories: Iterable[Trajectory]) -> list[Work]:
    """The pieces of work in many sessions, in the order of their start; steps are read once and not kept."""
    roots: list[Work] = []
    children: list[tuple[str, str, list[Work]]] = []
    for trajectory in trajectories:
        pieces = works_of(trajectory)
        parent, call = (trajectory.extra.get(key) for key in ("parent_trajectory", "parent_call"))
        if isinstance(parent, str) and pieces:
            children.append((parent, call if isinstance(call, str) else "", pieces))
        else:
            roots += pieces
    for parent, call, pieces in children:
        there = [work for work in roots if work.trajectory == parent]
        target = next((work for work in there if call in work.calls), there[-1] if there else None)
        if target is None:
            roots += pieces
            continue
        for piece in pieces:
            target.take_in(piece)
    kept = [work for work in roots if work.actions >= ACTIONS or _corrections(work)]
    return sorted(kept, key=lambda work: (work.started, work.session, work.first_step))


def works_of(trajectory: Trajectory) -> list[Work]:
    """The pieces of one trajectory; those of one without any tool call are there too."""
    signals = [_of(principal_of(trajectory), lesson) for lesson in lessons_of(trajectory)]
    found: list[Work] = []
    for unit in segment(trajectory):
        work = _work(trajectory, unit)
        work.lessons = [s for s in signals if unit.first_step <= s.references[0].first_step <= unit.last_step]
        if found and (len(words(work.request)) < 4 or _corrections(work, unit.first_step)):
            found[-1].take_in(work)
        else:
            found.append(work)
    _drop_words_of_others(trajectory, found)
    return found


def _of(principal: str, lesson: Lesson) -> Lesson:
    if principal == OWN:
        return lesson
    told = tuple(r.model_copy(update={"principal": principal}) for r in lesson.references)
    return lesson.model_copy(update={"references": told})


def _drop_words_of_others(trajectory: Trajectory, found: list[Work]) -> None:
    """Takes out what only repeats a tool or a web page and tells to do something, or goes to a machine named there.

    What the agent worked out by itself, and what the user asked for, stays.
    """
    compared = [s.text for work in found for s in work.sayings if imperative(s.text)]
    others = [s.text for work in found for s in work.sayings] + [c.text for work in found for c in work.codes]
    for lesson in (lesson for work in found for lesson in work.lessons):
        commands = [r.quote for r in lesson.references] if _is_commands(lesson) else []
        compared += [command for command in commands if len(command.split()) >= _LONG]
        others += commands or [lesson.text]
    drop = {t for t, origin in zip(compared, origins(trajectory, compared), strict=True) if origin in ("tool", "web")}
    drop |= {text for text, theirs in zip(others, borrowed(trajectory, others), strict=True) if theirs}
    if not drop:
        return
    for work in found:
        work.sayings = [s for s in work.sayings if s.text not in drop]
        work.codes = [c for c in work.codes if c.text not in drop]
        kept = [_without(lesson, drop) if _is_commands(lesson) else lesson for lesson in work.lessons]
        work.lessons = [lesson for lesson in kept if lesson.references and lesson.text not in drop]


def _is_commands(lesson: Lesson) -> bool:
    return lesson.text.startswith("Commands that worked")


def _without(lesson: Lesson, drop: set[str]) -> Lesson:
    return lesson.model_copy(update={"references": tuple(r for r in lesson.references if r.quote not in drop)})


def _corrections(work: Work, step: int | None = None) -> bool:
    """Whether the user corrected something in it, at `step` where one is given."""
    return any(
        lesson.text.startswith(_CORRECTED) and step in (None, lesson.references[0].first_step)
        for lesson in work.lessons
    )


def _work(trajectory: Trajectory, unit: Unit) -> Work:
    asked = line(request(unit.request[:20_000]), 2000)
    steps = trajectory.steps[unit.first_step : unit.last_step + 1]
    started = next((s.timestamp for s in trajectory.steps if s.timestamp), "") or ""
    principal = principal_of(trajectory)
    work = Work(session_of(trajectory), trajectory.id, unit.first_step, unit.last_step, asked, started, principal)
    work.loaded = set(trajectory.loaded)
    work.trajectories = {trajectory.id}
    for word in words(asked):
        work.profile[word] += 2
    folder = trajectory.extra.get("cwd")
    if isinstance(folder, str) and len(parts := folder.rstrip("/").split("/")) > 2:
        work.profile[f"folder:{parts[-1]}"] += 1
    seen: set[frozenset[str]] = set()
    for number, step in enumerate(steps):
        if step.source != "agent":
            continue
        failed = {o.call_id for o in step.observations if o.is_error}
        answered = frozenset(c.id for c in step.tool_calls if c.id not in failed)
        index = unit.first_step + number
        for saying in sayings(step, trajectory.id, index, number / max(1, len(steps) - 1), answered, principal):
            if saying.words not in seen and len(work.sayings) < SAYINGS:
                seen.add(saying.words)
                work.sayings.append(saying)
        work.codes += programs(step, index, answered)
        work.actions += len(step.tool_calls)
        work.calls |= {call.id for call in step.tool_calls}
        work.profile.update(words(legible(step.message[:4000])))
        for call in step.tool_calls:
            _describe(call.arguments, work.profile)
    return work


def _describe(arguments: Mapping[str, object], profile: Counter[str]) -> None:
    """Adds what a call's arguments tell about the kind of work."""
    for key, value in arguments.items():
        if not isinstance(value, str):
            continue
        text = legible(value[:8000])
        if key in ("description", "prompt", "args", "query"):
            profile.update(words(text[:1000]))
        for ending in set(_FILE.findall(text)):
            if ending.lower() in FORMATS:
                profile[f"file:{ending.lower()}"] += 1
        for one, two in set(_MODULE.findall(text)):
            profile[f"module:{one or two}"] += 1
        if key in ("command", "cmd"):
            for program in set(_PROGRAM.findall(_QUOTED.sub(" ", text.split("<<")[0][:1000]))):
                profile[f"program:{program}"] += 1
