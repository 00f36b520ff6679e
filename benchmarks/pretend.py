"""A model that is played: for benchmarks of everything that is not the model, and for dry runs.

Without a skill it writes programs by the rules of another office; shown a skill that is named after the task's family,
the right one; of the programs that a search samples, every third is right. What a recipe asks it answers as one who has
the suite's own solution does: with the family's name, its house rules and a right program, in whatever form is asked
for. Its answers depend on the request alone and come at once.
"""

import json
from functools import cache
from typing import Any

from pydantic import JsonValue

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
        schema = request.json_schema
        if schema is None:
            text = f"```python\n{self._program(request)}```"
        elif '"operation"' in json.dumps(schema):
            text = self._curation(request)
        elif '"required": ["code", "test"]' in json.dumps(schema):
            text = self._tool(request)
        else:
            text = json.dumps(self._filled(schema, self._family(request)))
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

    def _family(self, request: Request) -> str:
        """The family that a question of a recipe is about: the one it names, or the one of its task."""
        text = "\n".join(m.content for m in request.messages[-1:])
        named = [task.family for tasks in self._by_job.values() for task in tasks if task.family in text]
        return named[0] if named else self._task(request).family

    def _filled(self, schema: JsonValue, family: str, key: str = "") -> Any:
        """An answer of the form `schema`: the family's name, its rules, and a right program, each where it belongs."""
        form: dict[str, Any] = schema if isinstance(schema, dict) else {}
        skill, (first, *_) = SUITE.human_skill(family), SUITE.tasks(family, "evidence", 1)
        rules = [line[2:] for line in skill.body.splitlines() if line.startswith("- ")]
        if "const" in form:
            return form["const"]
        if "enum" in form:
            return form["enum"][min(len(form["enum"]) - 1, 1 if key == "line" else 0)]
        if "anyOf" in form:
            return self._filled(form["anyOf"][0], family, key)
        if form.get("type") == "object":
            return {name: self._filled(value, family, name) for name, value in form["properties"].items()}
        if form.get("type") == "array":
            wanted = max(form.get("minItems", 0), min(len(rules), form.get("maxItems", len(rules))))
            items = [self._filled(form["items"], family, key) for _ in range(wanted)]
            texts = form["items"].get("type") == "string" and "pattern" not in form["items"]
            return rules[:wanted] + items[len(rules) :] if texts else items[:1]
        if form.get("type") == "string":
            known = {"description": skill.description, "code": SUITE.program(first), "task": first.prompt}
            text = known.get(key, " ".join(rules))
            return skill.name if "pattern" in form else text[: form.get("maxLength", len(text))]
        return key == "good" if form.get("type") == "boolean" else 0

    def _tool(self, request: Request) -> str:
        """A function of the name that is wanted, with a test that it passes; whoever loads it is right all the same."""
        name = request.messages[-1].content.partition("def ")[2].partition("(")[0]
        code = f"def {name}(*values, **named):\n    return 'done'\n"
        return json.dumps(
            {"code": code, "test": f"from {name} import {name}\n\ndef test_it():\n    assert {name}() == 'done'\n"}
        )

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
