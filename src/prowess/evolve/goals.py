"""Goals in worlds: reached or not by facts, searched for, replayed, shortened, and written down as skills.

A goal is what must be true when it is reached, in the world's own facts; whoever proposed it, a model or a program, has
no say in that. What was done to reach it is a list of actions; the words that a goal shares with its facts are its
parameters, so that the same actions serve another apple and another door.
"""

import heapq
import json
import re
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from prowess.agents.playing import TOOL
from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.skill import Skill
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.evolve.drafting import numbered
from prowess.library.skillmd import validate
from prowess.suites.base import Suite
from prowess.suites.worlds.suite import Episode as Playing
from prowess.suites.worlds.suite import State, WorldSuite

SHOWN = 40
"""Facts that a model is shown at most."""
NAMES = "ABCDEFG"
_ARGUMENTS = re.compile(r"\(([^()]*)\)")


_Open = tuple[int, int, int, State, tuple[str, ...], tuple[str, ...]]
"""Where a search may go on: facts lacking, actions so far, a number, the state, what can be done, and the way."""


class Goal(Frozen):
    """Something to reach, and how it was reached once."""

    text: str
    holds: tuple[str, ...]
    """Facts that are true when it is reached."""
    actions: tuple[str, ...] = ()
    """What led there."""
    before: tuple[str, ...] = ()
    """What was done in the episode before it was set out for."""
    task: str = ""
    """Id of the task in whose world it was reached."""


class Seen(NamedTuple):
    """The world after one action; the first one of an episode has none."""

    action: str
    text: str
    facts: frozenset[str]


def world_of(suite: Suite) -> WorldSuite:
    """`suite` as a world that knows facts and can go back.

    Raises:
        UserError: it is none.
    """
    if not isinstance(suite, WorldSuite) or not {"predicates", "save"} <= suite.can:
        raise UserError(
            f"this method acts in worlds with facts and saves, which {suite.name} is not", "choose another suite"
        )
    return suite


async def facts_of(episode: Playing) -> frozenset[str]:
    return frozenset(await episode.facts.predicates()) if episode.facts is not None else frozenset()


def actions_of(trajectory: Trajectory) -> tuple[str, ...]:
    """What was done in a run, in order."""
    calls = (call for step in trajectory.steps for call in step.tool_calls if call.name == TOOL)
    return tuple(str(call.arguments.get("action", "")) for call in calls)


async def replayed(suite: WorldSuite, task: Task, actions: Sequence[str]) -> list[Seen]:
    """What the world shows along `actions`, as far as the episode goes.

    Raises:
        WorldError: the world failed.
    """
    async with suite.episode(task) as episode:
        scene = await episode.reset()
        found = [Seen("", scene.text, await facts_of(episode))]
        for action in actions:
            if episode.over:
                break
            scene = await episode.step(action)
            found.append(Seen(episode.actions[-1], scene.text, await facts_of(episode)))
    return found


async def reaches(suite: WorldSuite, task: Task, goal: Goal) -> bool:
    """Whether the goal's actions, after what was done before, make its facts true."""
    seen = await replayed(suite, task, (*goal.before, *goal.actions))
    return bool(goal.holds) and frozenset(goal.holds) <= seen[-1].facts


async def reach(episode: Playing, goal: Goal, hint: Sequence[str], budget: int) -> tuple[str, ...] | None:
    """Actions from the present scene until the goal's facts hold; leaves the episode there, else where it was.

    The hinted actions are tried first, then a search whose only reward is the share of facts that hold: best first,
    of equals the shortest way, at most `budget` steps.
    """
    saves = episode.saves
    wanted = frozenset(goal.holds)
    if saves is None or not wanted:
        return None
    start, first = await saves.save(), await facts_of(episode)
    if wanted <= first:
        return ()
    done: list[str] = []
    for action in hint:
        if episode.over:
            break
        if (await episode.step(action)).understood:
            done.append(episode.actions[-1])
        if wanted <= await facts_of(episode):
            return tuple(done)
    scene = await saves.restore(start)
    order, known, steps = count(), {first}, 0
    queue: list[_Open] = [(len(wanted - first), 0, next(order), start, scene.actions or (), ())]
    while queue:
        _, length, _, state, choices, way = heapq.heappop(queue)
        for action in choices:
            if steps == budget:
                queue.clear()
                break
            await saves.restore(state)
            if episode.over:
                break
            scene, steps = await episode.step(action), steps + 1
            facts, here = await facts_of(episode), (*way, action)
            if wanted <= facts:
                return here
            if facts not in known and not episode.over:
                known.add(facts)
                entry = (len(wanted - facts), length + 1, next(order), await saves.save(), scene.actions or (), here)
                heapq.heappush(queue, entry)
    await saves.restore(start)
    return None


async def shortened(suite: WorldSuite, task: Task, goal: Goal) -> Goal | None:
    """The goal without actions that it does not need, each left out in turn and tried; None if it is not reached."""
    if not await reaches(suite, task, goal):
        return None
    at = 0
    while at < len(goal.actions):
        less = goal.model_copy(update={"actions": goal.actions[:at] + goal.actions[at + 1 :]})
        if await reaches(suite, task, less):
            goal = less
        else:
            at += 1
    return goal


# Parameters


def parameters(goal: Goal) -> tuple[str, ...]:
    """Arguments of the goal's facts that its text speaks of: what may be another thing the next time."""
    arguments = (part.strip() for fact in goal.holds for found in _ARGUMENTS.findall(fact) for part in found.split(","))
    return tuple(dict.fromkeys(a for a in arguments if a and re.search(rf"(?<!\w){re.escape(a)}(?!\w)", goal.text)))


def general(goal: Goal) -> Goal:
    """The goal with a letter in place of each parameter, in text, facts and actions."""
    return _named(goal, dict(zip(parameters(goal), NAMES, strict=False)))


def particular(macro: Goal, goal: Goal) -> Goal:
    """What `macro`, a general goal, means for `goal`, which is of its kind."""
    names = dict(zip(NAMES, parameters(goal), strict=False))
    return goal.model_copy(update={"actions": _named(macro, names).actions})


def _named(goal: Goal, names: dict[str, str]) -> Goal:
    if not names:
        return goal
    longest = sorted(names, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest))})(?!\w)")

    def renamed(text: str) -> str:
        return pattern.sub(lambda match: names[match[1]], text)

    return goal.model_copy(
        update={
            "text": renamed(goal.text),
            "holds": tuple(map(renamed, goal.holds)),
            "actions": tuple(map(renamed, goal.actions)),
        }
    )


def skill_of(macro: Goal, kind: str) -> Skill | None:
    """A goal as a skill that tells the actions; None where no valid one can be made of its text."""
    letters = [name for name in NAMES if re.search(rf"(?<!\w){name}(?!\w)", macro.text)]
    words = re.findall(r"[a-z0-9]+", macro.text.lower())
    name = "-".join(["do", *words])[:60].strip("-")
    text = " ".join(macro.text.split()).rstrip(".")
    given = f" In place of {', '.join(letters)} put what your goal names." if letters else ""
    body = (
        f"# {text}\n\nDo these actions one after the other.{given}\n\n{numbered(macro.actions)}\n\n"
        "## Reached when\n\n" + "\n".join(f"- `{fact}`" for fact in macro.holds) + "\n"
    )
    skill = Skill(name=name, description=f"{text}. Use for {kind} with this goal."[:1024], body=body)
    return None if validate(skill) or not macro.actions or not words else skill


def told(facts: frozenset[str] | Sequence[str]) -> str:
    """Facts as a model is shown them."""
    listed = sorted(facts)
    return "\n".join(listed[:SHOWN]) + (f"\nand {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def packed(goal: Goal) -> str:
    """A goal as the payload of a lesson."""
    return json.dumps(goal.model_dump(mode="json"), sort_keys=True)
