"""LMA3 (2305.12487): an agent that sets its own goals in a world; what it reaches becomes its repertoire.

As in the paper: a relabeler reads what was done and names the goals that were reached, each with its step; a goal
generator makes a new goal out of mastered ones, as a sequence of them; it is tried by doing what mastered them one
after the other, and then exploring at random; a reward function, the model again, says whether a goal was reached; of
each goal the shortest actions are kept.

Ours: what a goal is, for whoever looks again, are the facts that became true by its step; each is run again from the
start before it is kept, and actions that it does not need are left out. So goals that the model made up are dropped
where the paper counts them as noise. Several worlds take the place of one fixed one: each task of a round is one. The
agent's own runs are relabeled as well.

Reconstructed: the words of the questions; numbers of tries and of random steps.

Without the paper's idea: `no-generator` spends the same steps on exploring at random.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prowess.core.base import Frozen, digest
from prowess.core.errors import BoundaryError
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import put
from prowess.evolve.goals import Goal, Seen, actions_of, general, packed, replayed, shortened, skill_of, world_of
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import Everything
from prowess.evolve.reflect import reference_to
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.suites.worlds.suite import WorldSuite

TRIES = 3
"""Goals of its own that the agent tries in each world."""
EXPLORE = 6
"""Random steps after them."""
PARTS = 3
"""Mastered goals that a new one is made of at most."""


class _Named(Frozen):
    goal: str
    step: int


class _Relabeled(Frozen):
    goals: tuple[_Named, ...]


class _Imagined(Frozen):
    goal: str
    parts: tuple[str, ...]


class _Reached(Frozen):
    reached: bool


@dataclass(frozen=True, slots=True)
class Autotelic:
    """Analyst: plays on in the world of each episode, and gives a lesson for each goal that was reached there."""

    ask: dict[str, Prompt]
    """`relabel`, `imagine` and `reached`."""
    generates: bool

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        suite, found = world_of(context.suite), list[Lesson]()
        for episode in episodes:
            try:
                goals = await self._mastered(episode, suite, context)
            except BoundaryError as error:
                context.tell("analyse", f"{episode.task.id}: {error}", missing=True)
                continue
            context.tell("explore", f"{episode.task.id}: {len(goals)} goals mastered", goals=len(goals))
            reference = reference_to(episode.trajectory)
            found += [
                Lesson(kind="goal", text=g.text, family=episode.task.family, references=(reference,), payload=packed(g))
                for g in goals
            ]
        return tuple(found)

    async def _mastered(self, episode: Episode, suite: WorldSuite, context: Context) -> tuple[Goal, ...]:
        """Goals of one world, each with the shortest actions."""
        task, run = episode
        known: dict[str, Goal] = {}
        draw = random.Random(f"{context.seed}/{task.id}")
        for attempt in range(1 + TRIES):
            plan = actions_of(run) if attempt == 0 else await self._plan(known, attempt, context)
            seen = await _tried(suite, task, plan, draw if attempt else None)
            for goal in await self._relabeled(seen, task, suite, context):
                before = known.get(goal.text)
                if before is None or len(goal.actions) < len(before.actions):
                    known[goal.text] = goal
        return tuple(known.values())

    async def _plan(self, known: dict[str, Goal], attempt: int, context: Context) -> tuple[str, ...]:
        """What to do for a new goal: what mastered its parts, one after the other; nothing without a generator."""
        if not self.generates or not known:
            return ()
        mastered = [*known][:40]
        values = {"mastered": "\n".join(f"- {goal}" for goal in mastered)}
        schema = fields(goal=text(6, 120), parts=texts(1, PARTS, {"enum": [*mastered]}))
        request = self.ask["imagine"].request(values, seed=context.seed * 100 + attempt)
        said = await answer(context, "imagine", request, _Imagined, lambda i: i, schema)
        if said is None:
            return ()
        context.tell("explore", f"a goal of its own: {said.goal}")
        return tuple(action for part in said.parts if part in known for action in known[part].actions)

    async def _relabeled(
        self, seen: Sequence[Seen], task: Task, suite: WorldSuite, context: Context
    ) -> tuple[Goal, ...]:
        """Goals that were reached, by the relabeler, the reward function and the world itself."""
        if len(seen) < 2:
            return ()
        history = "\n".join(f"{i}. {s.action}: {' '.join(s.text.split())[:200]}" for i, s in enumerate(seen) if i)
        step: JsonValue = {"type": "integer", "minimum": 1, "maximum": len(seen) - 1}
        schema = fields(goals=texts(0, 6, fields(goal=text(6, 100), step=step)))
        request = self.ask["relabel"].request({"start": seen[0].text, "history": history}, seed=context.seed)
        named = await answer(context, "relabel", request, _Relabeled, lambda r: r.goals, schema)
        found: list[Goal] = []
        for one in named or ():
            if not 0 < one.step < len(seen):
                continue
            new = tuple(sorted(seen[one.step].facts - seen[0].facts))
            goal = Goal(
                text=" ".join(one.goal.split()),
                holds=new[:6],
                actions=tuple(s.action for s in seen[1 : one.step + 1]),
                task=task.id,
            )
            if new and await self._reached(goal, history, context):
                short = await _shortest(goal, task, suite, context)
                found += [short] if short is not None else []
        return tuple(found)

    async def _reached(self, goal: Goal, history: str, context: Context) -> bool:
        request = self.ask["reached"].request({"goal": goal.text, "history": history})
        schema = fields(reached={"type": "boolean"})
        return bool(await answer(context, "reward", request, _Reached, lambda r: r.reached, schema))


async def _tried(suite: WorldSuite, task: Task, plan: Sequence[str], draw: random.Random | None) -> list[Seen]:
    """What was seen along `plan`, and along a few random actions after it."""
    actions = [*plan]
    if draw is not None:
        async with suite.episode(task) as episode:
            scene = await episode.reset()
            for number in range(len(plan) + EXPLORE):
                if episode.over:
                    break
                if number >= len(plan):
                    actions.append(draw.choice(scene.actions) if scene.actions else "look")
                scene = await episode.step(actions[number])
    return await replayed(suite, task, actions)


async def _shortest(goal: Goal, task: Task, suite: WorldSuite, context: Context) -> Goal | None:
    key = digest(["lma3/1", task.digest, goal])
    stored = context.store.get("goals", key)
    if stored is not None:
        return Goal.model_validate_json(stored)
    short = await shortened(suite, task, goal)
    if short is not None:
        context.store.put("goals", key, short.model_dump_json().encode())
    return short


@dataclass(frozen=True, slots=True)
class Repertoire:
    """Proposer: a skill for each goal, in place of one that takes longer."""

    author: str

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        best: dict[str, tuple[int, list[Patch]]] = {}
        for lesson in lessons:
            goal = general(Goal.model_validate_json(lesson.payload))
            skill = skill_of(goal, context.suite.name)
            if skill is None:
                continue
            there = library.get(skill.name)
            if there is not None and there.body.count("\n") <= skill.body.count("\n"):
                continue
            reason = f"{skill.name}: reached with {len(goal.actions)} actions"
            patch = Patch(
                base=library.digest,
                operations=put(library, skill),
                reason=reason,
                lessons=(lesson.id,),
                author=self.author,
            )
            if skill.name not in best or len(goal.actions) < best[skill.name][0]:
                best[skill.name] = len(goal.actions), [patch]
        return tuple(patch for _, patches in best.values() for patch in patches)


def recipe(setup: Setup, generates: bool = True) -> Recipe:
    return Recipe(
        name="lma3",
        source=Stream(setup.all_tasks("evidence", setup.evidence), per_round=max(1, setup.evidence)),
        provider=Everything(),
        analyst=Autotelic(prompts("lma3"), generates),
        proposer=Repertoire("lma3"),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
        rounds=len(setup.families),
    )


METHOD = Method(
    "sets its own goals in a world, relabels what it did, keeps the shortest way to each goal",
    recipe,
    paper="LMA3, augmenting autotelic agents (2305.12487)",
    cost="high",
    suite="textworld-express",
    ablations=(Ablation("no-generator", "the goal generator", lambda setup: recipe(setup, generates=False)),),
    needs="a relabeler that names what was reached, and where",
)
