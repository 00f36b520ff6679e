"""Tasks that a model makes, each with statements that a model then judges the work by.

What a learner makes and judges itself is never trusted: such a score decides no verdict and stands in no figure. It can
only say what to learn from (Ctx2Skill, 2604.27660; goals of LMA3, 2305.12487; the expansion of SkillX, 2604.04804).
"""

from collections.abc import Callable
from dataclasses import dataclass

from anyio import from_thread
from pydantic import JsonValue

from prowess.agents.models.meter import Meter, Metered
from prowess.core.base import Frozen, digest
from prowess.core.model import Model
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Score, Split, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.evolve.asking import answer
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context
from prowess.measure.judge import Judge
from prowess.suites.base import Suite
from prowess.trajectories.runstore import RunStore

RUBRIC = "rubric"
"""Key of `Task.meta` that holds the statements."""
VERIFIER = "self-made"


class Made(Frozen):
    """What a model is asked for."""

    prompt: str
    rubric: tuple[str, ...]
    """Each true or false of the work."""


class _Several(Frozen):
    tasks: tuple[Made, ...]


def schema(n: int, statements: int = 4) -> dict[str, JsonValue]:
    """The grammar of `n` tasks with up to so many statements each."""
    line: dict[str, JsonValue] = {"type": "string", "minLength": 8, "maxLength": 200}
    task = _object(
        prompt={"type": "string", "minLength": 20, "maxLength": 600},
        rubric={"type": "array", "items": line, "minItems": 1, "maxItems": statements},
    )
    return _object(tasks={"type": "array", "items": task, "minItems": n, "maxItems": n})


def _object(**properties: JsonValue) -> dict[str, JsonValue]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class SelfMade:
    """Source: `n` tasks a round by the model, from what `about` tells of the run; none where no usable ones come."""

    prompt: Prompt
    about: Callable[[Snapshot, Context], dict[str, str]]
    """Values of the prompt: what the tasks are about, what was mastered, what failed."""
    n: int = 5
    family: str = "self-made"

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        values = {"n": str(self.n), **self.about(library, context)}
        request = self.prompt.request(values, seed=context.seed + round_)
        made = await answer(context, "challenge", request, _Several, lambda said: said.tasks, schema(self.n))
        return tuple(self._task(one, context.suite.name) for one in made or ())

    def _task(self, made: Made, suite: str) -> Task:
        id = digest(made)[:12]
        return Task(
            id=f"{self.family}/self-made/{id}",
            suite=suite,
            family=self.family,
            split="evidence",
            seed=0,
            prompt=made.prompt,
            meta={RUBRIC: list[JsonValue](made.rubric)},
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A suite that also checks self-made tasks, by a model. Everything else is the inner suite's."""

    inner: Suite
    model: Model
    store: RunStore

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def families(self) -> tuple[str, ...]:
        return self.inner.families

    def variants(self, family: str) -> tuple[str, ...]:
        return self.inner.variants(family)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return self.inner.tasks(family, split, n, variant, start)

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """Self-made tasks are judged; call it in a worker thread of the event loop, as trials do."""
        rubric = task.meta.get(RUBRIC)
        if not isinstance(rubric, list) or not rubric:
            return self.inner.check(task, outputs, answer)
        work = Trajectory(
            id="", agent="", model="", steps=(Step(source="agent", message=answer),), outputs=outputs
        )  # what a judge looks at
        key = digest(["judged/1", task.digest, answer, [(f.path, f.sha256) for f in outputs], self.model.name])
        stored = self.store.get("judgement", key)
        if stored is not None:
            return Score.model_validate_json(stored)
        model = Metered(self.model, Meter())
        score = from_thread.run(Judge(model, tuple(str(line) for line in rubric)).grade, task, work)
        if score is None:
            self.store.put("unusable", key, b"the judge gave no usable answer", model.spent)
            return Score(value=0.0, passed=False, verifier=VERIFIER, trusted=False)
        self.store.put("judgement", key, score.model_dump_json().encode(), model.spent)
        return score

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return self.inner.oracle(task)

    def human_skill(self, family: str) -> Skill | None:
        return self.inner.human_skill(family)
