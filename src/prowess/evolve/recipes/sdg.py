"""Self-driven grounding (SDG, 2309.01352): sub-goals that a model supposes become skills once the world confirms them.

As in the paper: a model takes a task apart into sub-goals and writes for each a checker over the state (hypothesis);
each is pursued in the world with the checker as only reward (verification); what was reached is grouped by likeness,
and each group becomes one skill with parameters (induction); harder tasks are done with these skills (deduction); tasks
go from easy to hard.

Ours: a checker is a set of facts of the world; a search with saves takes the place of reinforcement learning, and a
list of actions that of a policy; a group is what is the same but for its parameters; its shortest actions must pass the
checker where the other tasks of the group met the sub-goal, on their seeds. The loop goes on after one pass, where the
paper's ends. The agent reads all skills and acts itself, since an episode tells its goal only once it has begun; the
paper's model writes a program over them.

Reconstructed: the words of the question, and the form of facts, which is each world's own.

Without the paper's idea: `unverified` believes the model's sub-goals and its actions for them.
"""

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
from prowess.evolve.goals import (
    Goal,
    facts_of,
    general,
    packed,
    particular,
    reach,
    reaches,
    skill_of,
    told,
    world_of,
)
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import Everything
from prowess.evolve.reflect import reference_to
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.evolve.statistics import did

BUDGET = 300
"""Steps of the search for one sub-goal."""
FRESH = 2
"""Other tasks on which a skill must reach its sub-goal; fewer where it was not met so often, but one at least."""
ROUNDS = 2


class _SubGoal(Frozen):
    goal: str
    holds: tuple[str, ...]
    actions: tuple[str, ...] = ()


class _Hypothesis(Frozen):
    subgoals: tuple[_SubGoal, ...]


_SCHEMA: dict[str, JsonValue] = fields(
    subgoals=texts(1, 5, fields(goal=text(6, 120), holds=texts(1, 4, text(3, 60)), actions=texts(0, 12, text(2, 60))))
)


class _Grounded(Frozen):
    goals: tuple[Goal, ...]


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Analyst: sub-goals of each failed task; only those that were reached in its world, unless `verified` is False."""

    prompt: Prompt
    """About the `$goal`, the `$scene`, its `$facts` and the `$actions` at hand."""
    verified: bool

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        found: list[Lesson] = []
        for episode in episodes:
            if did(episode) is not False:
                continue
            try:
                goals = await self._goals(episode.task, context)
            except BoundaryError as error:
                context.tell("analyse", f"{episode.task.id}: {error}", missing=True)
                continue
            reference = reference_to(episode.trajectory)
            found += [
                Lesson(kind="goal", text=g.text, family=episode.task.family, references=(reference,), payload=packed(g))
                for g in goals
            ]
        return tuple(found)

    async def _goals(self, task: Task, context: Context) -> tuple[Goal, ...]:
        async with world_of(context.suite).episode(task) as playing:
            scene = await playing.reset()
            listed = scene.actions or ()
            values = {
                "goal": scene.goal or task.prompt,
                "scene": scene.text,
                "facts": told(await facts_of(playing)),
                "actions": "\n".join(listed[:60]) or "any text",
            }
            request = self.prompt.request(values, seed=context.seed)
            supposed = await answer(context, "subgoals", request, _Hypothesis, lambda h: h.subgoals, _SCHEMA)
            if supposed is None:
                return ()
            key = digest(["sdg/1", task.digest, [s.model_dump() for s in supposed], self.verified, BUDGET])
            stored = context.store.get("goals", key)
            if stored is not None:
                return _Grounded.model_validate_json(stored).goals
            found: list[Goal] = []
            for one in supposed:
                goal = Goal(text=one.goal, holds=one.holds, before=playing.actions, task=task.id)
                way = await reach(playing, goal, one.actions, BUDGET) if self.verified else one.actions
                context.tell("explore", f"{task.id}: {one.goal}: {'not reached' if way is None else 'reached'}")
                if way:
                    found.append(goal.model_copy(update={"actions": way}))
        context.store.put("goals", key, _Grounded(goals=tuple(found)).model_dump_json().encode())
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Induce:
    """Proposer: a skill for each group of sub-goals that are the same but for their parameters."""

    author: str
    verified: bool

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        tasks = {task.id: task for task, _ in context.past.episodes}
        groups: dict[tuple[str, tuple[str, ...]], list[tuple[Lesson, Goal]]] = {}
        for lesson in lessons:
            goal = Goal.model_validate_json(lesson.payload)
            kind = general(goal)
            groups.setdefault((kind.text.casefold(), kind.holds), []).append((lesson, goal))
        found: list[Patch] = []
        for group in groups.values():
            macros = sorted({general(goal).actions for _, goal in group}, key=lambda actions: (len(actions), actions))
            macro = general(group[0][1]).model_copy(update={"actions": macros[0]})
            if self.verified and not await self._holds(macro, [goal for _, goal in group], tasks, context):
                context.tell("propose", f"{macro.text}: does not hold on other seeds")
                continue
            skill = skill_of(macro, context.suite.name)
            if skill is not None and (operations := put(library, skill)):
                found.append(
                    Patch(
                        base=library.digest,
                        operations=operations,
                        reason=f"{skill.name}: a sub-goal that was met {len(group)} times",
                        lessons=tuple(lesson.id for lesson, _ in group),
                        author=self.author,
                    )
                )
        return tuple(found)

    async def _holds(self, macro: Goal, goals: Sequence[Goal], tasks: dict[str, Task], context: Context) -> bool:
        """Whether the macro's actions reach the sub-goal in the worlds of enough other tasks."""
        passed, tried = 0, set[str]()
        for goal in goals:
            if goal.task in tried or goal.task not in tasks:
                continue
            tried.add(goal.task)
            try:
                passed += await reaches(world_of(context.suite), tasks[goal.task], particular(macro, goal))
            except BoundaryError as error:
                context.tell("propose", f"{goal.task}: {error}", missing=True)
        return passed > 1 and passed >= min(1 + FRESH, len(tried))


def recipe(setup: Setup, verified: bool = True) -> Recipe:
    stream = setup.all_tasks("evidence", setup.evidence)
    return Recipe(
        name="sdg",
        source=Stream(stream, per_round=max(1, -(-len(stream) // ROUNDS))),
        provider=Everything(),
        analyst=Hypotheses(prompts("sdg")["subgoals"], verified),
        proposer=Induce("sdg", verified),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
        rounds=ROUNDS,
    )


METHOD = Method(
    "sub-goals with checkers, confirmed by acting, grouped into skills with parameters",
    recipe,
    paper="SDG, self-driven grounding (2309.01352)",
    cost="low",
    suite="babyai",
    ablations=(
        Ablation("unverified", "verification: the model's word is taken", lambda setup: recipe(setup, verified=False)),
    ),
    needs="a model that knows which facts a sub-goal makes true",
)
