"""The suite of tasks that a model made: no check of theirs counts, so every answer is taken and none is trusted."""

from prowess.core.skill import Skill
from prowess.core.task import File, Score, Split, Task

NAME = "selfmade"


class SelfMadeSuite:
    """Takes answers as they are; `prowess.evolve.selfmade.Grader` judges them, by rubric or checker."""

    name = NAME
    families: tuple[str, ...] = ()

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return ()

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        return Score(value=0.0, passed=False, verifier=f"suite:{NAME}", trusted=False)

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return None

    def human_skill(self, family: str) -> Skill | None:
        return None
