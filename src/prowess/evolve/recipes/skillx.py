"""SkillX (2604.04804): plans, functional skills and notes on tools from successes; merged, filtered, then expanded.

As in the paper: several rollouts of each task, of which only successes teach, the shortest of each; a plan of
sub-goals for each; a functional skill for each step (add, modify or keep); a note for each tool that no functional
skill covers; a filter by reuse and one against what can be called; look-alikes of a round merged; then exploration
steered to tools that fail, whose findings become new tasks for the next epoch.

Ours: tools are those that a run called, or the modules of its program; the second filter is a parser; new tasks are
variations of a real one, judged by a checker program of the model's own making, and never trusted; a third of the
paper's epochs. Plans are not rewritten for each task at hand: the agent is shown the best three skills of any tier.

Reconstructed: what the released code cannot run (the plan rewriter) or evaluates as Python (its three parsers).

Each tier alone is an ablation: `plans`, `functional`, `atomic`; `unexpanded` makes no tasks of its own.
"""

from dataclasses import dataclass

from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.consolidate import Alike, Reduce
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.selectors import Best
from prowess.evolve.selfmade import Grader, listed, make
from prowess.evolve.tiers import TIERS, Shortest, Tier, Tiers, by_tool, risky

ROLLOUTS = 4
EXPANSIONS = 2
"""New tasks of each family in the second epoch."""


@dataclass(frozen=True, slots=True)
class Expanding:
    """Source: the evidence tasks, and in later rounds variations of them that dwell on the tools that failed."""

    stream: tuple[Task, ...]
    prompt: Prompt

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        if round_ == 0:
            return self.stream
        focus = ", ".join(risky(by_tool(context.past.episodes))) or "none in particular"
        found: list[Task] = []
        for family in dict.fromkeys(task.family for task in self.stream):
            likes = [task for task in self.stream if task.family == family][:EXPANSIONS]
            for number, like in enumerate(likes):
                values = {"task": like.prompt, "focus": focus, "made": listed(found, family)}
                made = await make(context, self.prompt, values, family, round_ * EXPANSIONS + number, like)
                found += [made] if made is not None else []
        return tuple(found)


def recipe(setup: Setup, tiers: tuple[Tier, ...] = TIERS, expand: bool = True) -> Recipe:
    ask, provider = prompts("common") | prompts("skillx"), BestMatches(3)
    return Recipe(
        name="skillx",
        source=Expanding(setup.all_tasks("evidence", setup.evidence), ask["expand"]),
        provider=provider,
        verifier=Grader(setup.sandbox),
        analyst=Shortest(),
        proposer=Tiers(ask, "skillx", tiers),
        consolidator=Reduce(ask["merge"], size=15, levels=1, groups=Alike(0.9), author="skillx"),
        gates=FREE_GATES,
        selector=Best(setup.all_tasks("gate", setup.gate), provider),
        rollouts=ROLLOUTS,
        rounds=2 if expand else 1,
    )


METHOD = Method(
    "plans, functional skills and notes on tools from successes, merged and expanded",
    recipe,
    paper="SkillX (2604.04804)",
    cost="high",
    ablations=(
        Ablation("plans", "functional skills and notes", lambda setup: recipe(setup, ("plan",))),
        Ablation("functional", "plans and notes", lambda setup: recipe(setup, ("functional",))),
        Ablation("atomic", "plans and functional skills", lambda setup: recipe(setup, ("atomic",))),
        Ablation("unexpanded", "tasks of its own making", lambda setup: recipe(setup, expand=False)),
    ),
    needs="a builder that succeeds at some of the tasks: failures teach it nothing",
)
