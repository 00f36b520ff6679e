"""Runs in which some actions are drawn at random and explained afterwards (A3T, 2403.14589): a source of contrasts.

A model that always acts alike fails alike. Where a world lists its actions, some are drawn among those that the model
would not have taken, and the model says why one would take them (ActRe), as if it had thought so; from there it goes on
itself. Where the action is a whole program, it is drawn at a high temperature, and its reason is asked for when it has
passed. The pairs of a failed and a passed run of one task teach what made the difference, to a skill or to weights.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prowess.agents.acting import ActingAgent, Minded
from prowess.agents.base import Agent
from prowess.agents.code import CodeAgent
from prowess.agents.playing import Act
from prowess.core.base import Frozen, digest
from prowess.core.lesson import Lesson
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.text import both_ends
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.evolve.asking import answer, fields, text
from prowess.evolve.goals import actions_of
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.reflect import reference_to, transcript
from prowess.evolve.statistics import did
from prowess.measure.trials import run_trial, stored_trajectory
from prowess.sandbox import Sandbox
from prowess.suites.worlds.engine import Scene
from prowess.suites.worlds.suite import Episode as Playing
from prowess.suites.worlds.suite import WorldSuite
from prowess.trajectories.runstore import RunStore

CHANCE = 0.25
"""Of another action than the model's own, at each step."""
TEMPERATURE = 1.0
"""For whole programs."""
SHOWN = 2_000
"""Characters of a run that a model is shown."""


class _Reason(Frozen):
    reason: str


class _Contrast(Frozen):
    lesson: str


@dataclass(frozen=True, slots=True)
class Sampler:
    """An agent that acts as another one does, but for some actions that are drawn."""

    inner: ActingAgent
    context: Context
    reason: Prompt | None
    """ActRe, about the `$task`, the `$history` and the `$action`; None draws without a reason."""

    @property
    def name(self) -> str:
        return f"sampler/1 chance={CHANCE} reasons={digest(self.reason and self.reason.system)[:8]} {self.inner.name}"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        player = _Sampling(Minded(self.inner, task, view, seed), self, random.Random(f"{task.id}/{seed}"))
        return await self.inner.run_with(player, task, view, seed)


@dataclass(slots=True)
class _Sampling:
    """The player of one episode."""

    minded: Minded
    sampler: Sampler
    draw: random.Random

    @property
    def system(self) -> str:
        return self.minded.system

    @property
    def loaded(self) -> tuple[str, ...]:
        return self.minded.loaded

    @property
    def used(self) -> tuple[str, ...]:
        return self.minded.used

    async def act(self, scene: Scene, episode: Playing) -> Act | None:
        own = await self.minded.act(scene, episode)
        others = [action for action in scene.actions or () if own is None or action != own.action]
        if own is None or not others or self.draw.random() >= CHANCE:
            return own
        action = self.draw.choice(others)
        self.minded.instead(action)
        told = "\n".join((*episode.actions[-8:], scene.text))
        why = await reason_for(self.sampler.reason, episode.task, told, action, self.sampler.context)
        message = json.dumps({"thought": why, "action": action} if why else {"action": action}, ensure_ascii=False)
        return Act(action, message, own.model, own.cost)


async def reason_for(prompt: Prompt | None, task: Task, history: str, action: str, context: Context) -> str:
    """Why one would take `action`, in the words of the model; empty where it has none."""
    if prompt is None:
        return ""
    values = {"task": task.prompt, "history": both_ends(history, SHOWN), "action": action}
    request = prompt.request(values, seed=context.seed)
    schema = fields(reason=text(8, 240))
    return await answer(context, "reason", request, _Reason, lambda r: " ".join(r.reason.split()), schema) or ""


def sampler(context: Context, sandbox: Sandbox, reason: Prompt | None) -> Agent:
    """An agent with the run's model that draws some of its actions, or its whole program."""
    if isinstance(context.suite, WorldSuite):
        return Sampler(ActingAgent(context.model, context.suite), context, reason)
    return CodeAgent(context.model, sandbox, attempts=1, temperature=TEMPERATURE)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Analyst: for each failed task, runs with sampled actions until one passes; what made the difference."""

    sandbox: Sandbox
    reason: Prompt | None
    contrast: Prompt
    """About the `$task`, the run that `$failed`, the one that `$passed`, and the `$reason` for what it did."""
    tries: int = 3
    pairs: bool = True
    """Show the failed run beside the passed one."""

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        agent = sampler(context, self.sandbox, self.reason)
        found: list[Lesson] = []
        for task, failed in episodes:
            if did(Episode(task, failed)) is not False:
                continue
            skills = tuple(skill for name in failed.loaded if (skill := library.get(name)) is not None)
            view = View(snapshot=library.digest, skills=skills)
            for number in range(self.tries):
                seed = context.seed * 1000 + failed.seed * 10 + number
                run = await run_trial(task, view, seed, agent, context.suite, context.store)
                context.tell("explore", f"{task.id}: sampled run {number + 1} {'passed' if run.passed else 'failed'}")
                if run.passed:
                    lesson = await self._lesson(task, failed, run, context)
                    found += [lesson] if lesson is not None else []
                    break
        return tuple(found)

    async def _lesson(self, task: Task, failed: Trajectory, passed: Trajectory, context: Context) -> Lesson | None:
        why = "" if actions_of(passed) else await reason_for(self.reason, task, task.prompt, shown(passed), context)
        values = {
            "task": task.prompt,
            "failed": shown(failed) if self.pairs else "not shown",
            "passed": shown(passed),
            "reason": why or "not told",
        }
        request = self.contrast.request(values, seed=context.seed)
        schema = fields(lesson=text(8, 300))
        said = await answer(context, "contrast", request, _Contrast, lambda c: " ".join(c.lesson.split()), schema)
        if not said:
            return None
        runs = (failed, passed) if self.pairs else (passed,)
        return Lesson(
            kind="memory",
            text=said,
            family=task.family,
            references=tuple(map(reference_to, runs)),
            payload=json.dumps({"failed": failed.id, "passed": passed.id, "reason": why}) if self.pairs else "",
        )


def shown(run: Trajectory) -> str:
    """A run as a model is shown it: actions with what came back, else the last program."""
    if not actions_of(run):
        return transcript(run, SHOWN)
    lines: list[str] = []
    for step in run.steps:
        for call in step.tool_calls:
            back = " ".join(step.observations[0].content.split())[:120] if step.observations else ""
            lines.append(f"{call.arguments.get('action', '')}: {back}")
    return both_ends("\n".join(lines), SHOWN)


# Export


def exported(lessons: Iterable[Lesson], store: RunStore) -> Iterator[dict[str, object]]:
    """Rows for preference training in the form of TRL: `prompt`, `chosen` and `rejected`, each a list of messages.

    The passed run is chosen, with the reasons that were found for its actions; `chosen` alone serves for supervised
    training. Pairs whose runs the store has lost are left out.
    """
    for lesson in lessons:
        try:
            pair = _Pair.model_validate_json(lesson.payload)
        except ValueError:
            continue
        failed, passed = stored_trajectory(store, pair.failed), stored_trajectory(store, pair.passed)
        if failed is not None and passed is not None:
            prompt, chosen = _messages(passed, pair.reason)
            yield {"prompt": prompt, "chosen": chosen, "rejected": _messages(failed, "")[1]}


class _Pair(Frozen):
    failed: str
    passed: str
    reason: str = ""


def _messages(run: Trajectory, reason: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What was said before the agent's first word, and from there on."""
    said: list[dict[str, str]] = []
    first = next((i for i, step in enumerate(run.steps) if step.source == "agent"), len(run.steps))
    for i, step in enumerate(run.steps):
        role = "assistant" if step.source == "agent" else step.source
        content = f"{reason}\n\n{step.message}" if reason and i == first else step.message
        said.append({"role": role, "content": content})
        said += [
            {"role": "user", "content": o.content} for o in step.observations if o.content and i < len(run.steps) - 1
        ]
    return said[:first], said[first:]
