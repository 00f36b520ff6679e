"""Players that ask no model: chance, none at all, and the world's own gold actions. Lower and upper bounds."""

import random
from dataclasses import dataclass, field

from prowess.agents.playing import Act, run_episode
from prowess.core.errors import AgentError
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.suites.worlds.engine import Scene
from prowess.suites.worlds.suite import Episode, WorldSuite, read_actions, steps_of


@dataclass(slots=True)
class Script:
    """Plays the actions it was given."""

    actions: list[str]
    system: str = ""
    used: tuple[str, ...] = ()

    async def act(self, scene: Scene, episode: Episode) -> Act | None:
        at = len(episode.actions)
        return Act(self.actions[at]) if at < len(self.actions) else None


@dataclass(slots=True)
class Chance:
    """Draws among the actions that the world lists, and stops where it lists none."""

    draw: random.Random
    system: str = ""
    used: tuple[str, ...] = ()

    async def act(self, scene: Scene, episode: Episode) -> Act | None:
        return Act(self.draw.choice(scene.actions)) if scene.actions else None


@dataclass(frozen=True, slots=True)
class RandomPlayer:
    """An agent that draws its actions by the seed."""

    suite: WorldSuite
    steps: int = 100
    name: str = field(init=False, default="random/1")

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        player = Chance(random.Random(f"{task.id} {seed}"))
        return await run_episode(self.name, "", self.suite, player, task, view, seed, self.steps)


@dataclass(frozen=True, slots=True)
class Idle:
    """An agent that does nothing: what a world gives for free."""

    suite: WorldSuite
    name: str = field(init=False, default="idle/1")

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        return await run_episode(self.name, "", self.suite, Script([]), task, view, seed, 0)


@dataclass(frozen=True, slots=True)
class Gold:
    """An agent that plays the world's gold actions, scene by scene: a demonstration.

    The arm `oracle` of a comparison hands the same actions in without a trajectory.
    """

    suite: WorldSuite
    name: str = field(init=False, default="gold/1")

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        """Raises `AgentError` where the world has no gold actions."""
        import anyio

        outputs = await anyio.to_thread.run_sync(self.suite.oracle, task)
        actions = None if outputs is None else read_actions(outputs, steps_of(task))
        if actions is None:
            raise AgentError(f"suite {self.suite.name} has no gold actions for {task.id}")
        return await run_episode(self.name, "", self.suite, Script(list(actions)), task, view, seed, steps_of(task))
