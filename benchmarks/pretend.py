"""A model that is played: for benchmarks of everything that is not the model, and for dry runs.

Without a skill it writes programs by the rules of another office; shown a skill that is named after the task's family,
the right one; of the programs that a search samples, every third is right. Its answers depend on the request alone and
come at once.
"""

import json
from functools import cache

from prowess.core.cost import Cost
from prowess.core.model import Request, Response
from prowess.core.task import Task
from prowess.evolve.examples import EXAMPLE
from prowess.suites.workbench import Workbench
from prowess.suites.workbench.family import draw
from prowess.suites.workbench.suite import FAMILIES

SUITE = Workbench()


@cache
def by_another_office(family: str, seed: int) -> str:
    kind = FAMILIES[family]
    return kind.program(draw(kind, "base", seed), kind.houses["north"])


class PretendModel:
    """Knows the first `n` tasks of each split of `families`, by their prompts or by the files that they ask for."""

    name = "pretend"

    def __init__(self, families: tuple[str, ...], n: int = 24) -> None:
        tasks = [t for f in families for s in ("evidence", "gate", "test") for t in SUITE.tasks(f, s, n)]
        self._by_job: dict[str, list[Task]] = {}
        for task in tasks:
            self._by_job.setdefault(task.prompt.splitlines()[0], []).append(task)

    async def complete(self, request: Request) -> Response:
        text = self._curation(request) if request.json_schema is not None else f"```python\n{self._program(request)}```"
        prompt = sum(len(message.content) for message in request.messages) // 4
        cost = Cost(calls=1, prompt_tokens=prompt, completion_tokens=len(text) // 4)
        return Response(text=text, model=self.name, cost=cost)

    def _program(self, request: Request) -> str:
        task = self._task(request)
        sampled = request.temperature > 0 and (len(request.messages) == 2 or request.messages[1].content == EXAMPLE[0])
        skilled = not sampled and f'<skill_content name="{task.family}' in request.messages[0].content
        right = request.seed % 3 == 0 if sampled else skilled
        return SUITE.program(task) if right else by_another_office(task.family, task.seed)

    def _task(self, request: Request) -> Task:
        text = "\n".join(m.content for m in request.messages if m.role == "user")
        lines = (line.removeprefix("Task: ") for line in text.splitlines())
        found = next((tasks for line in lines if (tasks := self._by_job.get(line))), None)
        if found is None:  # a change of a program: it names the file that it writes
            found = [t for tasks in self._by_job.values() for t in tasks if t.outputs[0] in text]
        return max(found, key=lambda t: sum(line in text for f in t.files for line in f.text.splitlines()[:3]))

    def _curation(self, request: Request) -> str:
        """The curator's call: a skill for the task's family, once, with a program that is right for this task."""
        text = request.messages[-1].content
        task = self._task(request)
        skill = SUITE.human_skill(task.family)
        if skill.name in text.partition("\n")[0]:
            return json.dumps({"operation": "none"})
        return json.dumps(
            {
                "operation": "insert",
                "skill_name": skill.name,
                "description": skill.description,
                "content": f"# {task.family}\n\n```python\n{SUITE.program(task)}```",
            }
        )
