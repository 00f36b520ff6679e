"""GEPA (2507.19457) by its own library: reflective evolution of a skill's text on a Pareto front.

As in the paper: the library `gepa` itself chooses parents from the Pareto front over validation tasks, samples
minibatches of three, keeps a child that beats its parent on the minibatch, and stops when its budget of runs is
spent. Ours: an adapter that runs candidates as trials of the loop, so that each is stored and paid once, and asks for
a new text under the grammar of a draft, where the library asks for free text. The seed is the skill that `one_shot`
writes, or the library's own. One skill a family. Reconstructed: the words of the question.

Needs the extra `gepa`. Without the paper's idea (`greedy`), the parent is always the best candidate so far.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NamedTuple

from anyio import from_thread, to_thread

from prowess.agents.prompting import preload
from prowess.core.errors import UserError
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.core.text import one_line
from prowess.core.trajectory import Trajectory
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import drafted, listed, put
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Recipe
from prowess.evolve.providers import BestMatches, Everything
from prowess.evolve.recipes import one_shot
from prowess.evolve.recipes.human import Given
from prowess.evolve.reflect import TaskTexts, outcome
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.evolve.statistics import lessons_by_family
from prowess.measure.gates import Provider
from prowess.measure.pool import for_each
from prowess.measure.trials import run_trial

Strategy = Literal["pareto", "current_best"]
BODY = "body"
"""The one component of a candidate."""
VALIDATION = 6
"""Gate tasks of a family that candidates are ranked on."""
BUDGET = 8
"""Runs of candidates, as a multiple of the validation tasks."""


class _Batch(NamedTuple):
    """What the library wants of an evaluation (`gepa.EvaluationBatch`)."""

    outputs: list[str]
    scores: list[float]
    trajectories: list[tuple[Task, Trajectory]] | None
    objective_scores: None = None
    num_metric_calls: int | None = None


@dataclass
class Adapter:
    """`gepa.GEPAAdapter`: candidates are run and written by the loop. Called in a worker thread of its event loop."""

    seed: Skill
    context: Context

    def evaluate(self, batch: list[Task], candidate: dict[str, str], capture_traces: bool = False) -> _Batch:
        runs = from_thread.run(self._runs, batch, self.skill(candidate))
        scores = [run.score.value if run.score is not None and run.status == "completed" else 0.0 for run in runs]
        return _Batch([run.id for run in runs], scores, [*zip(batch, runs, strict=True)] if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: _Batch, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        records = [
            {"Inputs": one_line(task.prompt, 200), "Feedback": one_line(outcome(run), 400)}
            for task, run in eval_batch.trajectories or ()
        ]
        return dict.fromkeys(components_to_update, records)

    def propose_new_texts(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        records = reflective_dataset.get(BODY, ())
        runs = "\n".join(f"- {record['Inputs']} {record['Feedback']}" for record in records)
        values = {"skill": preload((self.skill(candidate),)), "runs": runs}
        skill = from_thread.run(self._drafted, values)
        return dict.fromkeys(components_to_update, skill.body if skill else candidate[BODY])

    def skill(self, candidate: dict[str, str]) -> Skill:
        return self.seed.model_copy(update={"body": candidate[BODY]})

    async def _drafted(self, values: dict[str, str]) -> Skill | None:
        return await drafted(self.context, prompts("gepa")["improve"], values, name=self.seed.name)

    async def _runs(self, tasks: list[Task], skill: Skill) -> list[Trajectory]:
        c, view = self.context, Everything().view(tasks[0], Snapshot.of([skill]))
        found: dict[int, Trajectory] = {}

        async def one(number: int) -> None:
            found[number] = await run_trial(tasks[number], view, c.seed, c.agent, c.suite, c.store)

        await for_each(range(len(tasks)), one, c.concurrency)
        return [found[number] for number in range(len(tasks))]


class _Quiet:
    """The library's log, told as progress."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def log(self, message: str) -> None:
        self._context.tell("propose", one_line(message, 200))


@dataclass(frozen=True, slots=True)
class Gepa:
    """Proposer: for each family the best skill that the library `gepa` finds from a seed."""

    train: tuple[Task, ...]
    validation: tuple[Task, ...]
    provider: Provider
    strategy: Strategy = "pareto"

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for family, group in lessons_by_family(lessons).items():
            values = {"about": family, "lessons": listed(group), "skills": ", ".join(library.names) or "none yet"}
            shown = [s for t in self.train if t.family == family for s in self.provider.view(t, library).skills]
            seed = shown[0] if shown else await drafted(context, prompts("common")["write"], values)
            if seed is None:
                continue
            body = await to_thread.run_sync(self._best, family, seed, context)
            operations = put(library, seed.model_copy(update={"body": body}))
            ids = tuple(lesson.id for lesson in group)
            if operations:
                reason = f"{seed.name}: evolved by gepa"
                found.append(
                    Patch(base=library.digest, operations=operations, reason=reason, lessons=ids, author="gepa")
                )
        return tuple(found)

    def _best(self, family: str, seed: Skill, context: Context) -> str:
        """The body of the best candidate.

        Raises:
            UserError: the library is not installed.
            BudgetExceeded: a limit was reached.
        """
        try:
            gepa: Any = import_module("gepa")
        except ImportError:
            raise UserError("the recipe gepa needs its library", "pip install 'prowess[gepa]'") from None
        validation = [task for task in self.validation if task.family == family]
        result = gepa.optimize(
            seed_candidate={BODY: seed.body},
            trainset=[task for task in self.train if task.family == family],
            valset=validation,
            adapter=Adapter(seed, context),
            candidate_selection_strategy=self.strategy,
            max_metric_calls=BUDGET * len(validation),
            logger=_Quiet(context),
            seed=context.seed,
        )
        return str(result.best_candidate[BODY])


def recipe(setup: Setup, strategy: Strategy = "pareto") -> Recipe:
    validation, provider = setup.all_tasks("gate", min(setup.gate, VALIDATION)), BestMatches()
    return Recipe(
        name="gepa",
        source=Stream((), per_round=1),
        provider=provider,
        analyst=TaskTexts(one_shot.first_tasks(setup), Given(())),
        proposer=Gepa(setup.all_tasks("evidence", setup.evidence), validation, provider, strategy),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
    )


METHOD = Method(
    "the library gepa evolves a skill's text on a Pareto front of candidates",
    recipe,
    paper="GEPA (2507.19457)",
    cost="high",
    ablations=(Ablation("greedy", "the Pareto front", lambda setup: recipe(setup, strategy="current_best")),),
    needs="a writer that turns the checks' messages into rules",
)
