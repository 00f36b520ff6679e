"""A weak model for the workbench, played by a script, and small plans to run it with.

It behaves as a small model does: without a skill it writes a program by the rules of another office; with a skill in
its prompt it copies the program there with the names of the task at hand, right or wrong as the skill may be;
asked for more programs at a temperature, as the search does, one in three is right.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import anyio

from prowess.agents.prompting import code_blocks
from prowess.core.cost import Cost
from prowess.core.model import Model, Request, Response
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Split, Task
from prowess.core.view import View
from prowess.evolve.examples import EXAMPLE
from prowess.evolve.protocols import Event
from prowess.evolve.record import RunRecord
from prowess.evolve.run import Plan, run_plan
from prowess.library import Library
from prowess.suites.workbench import Workbench
from prowess.suites.workbench.family import draw
from prowess.suites.workbench.suite import EXAMPLE_SEED, FAMILIES

SUITE = Workbench()
SMALL = Plan("trace2skill", families=("ledger-totals",), evidence=6, gate=6, test=6, samples=6)
FIELD = r"^    (\w+)=\".*\",$"
"""An argument of the call in a skill."""
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")


@cache
def known_tasks(family: str) -> tuple[Task, ...]:
    """All tasks that a small plan may ask for."""
    return tuple(task for split in SPLITS for task in SUITE.tasks(family, split, 12))


@cache
def names_of(family: str, seed: int) -> dict[str, str]:
    """Names that differ between the tasks of a family, by what they are for."""
    return dict(draw(FAMILIES[family], "base", seed).names)


def right(task: Task) -> str:
    return SUITE.program(task)


def by_another_office(task: Task) -> str:
    """A program that does the job, by house rules that do not hold here."""
    family = FAMILIES[task.family]
    return family.program(draw(family, "base", task.seed), family.houses["north"])


def renamed(program: str, family: str, seed: int, other: int) -> str:
    """`program`, written for one task of a family, with the names of another: in literals, and nowhere else."""
    names, others = names_of(family, seed), names_of(family, other)
    new = {names[purpose]: others[purpose] for purpose in names}
    literals = "|".join(re.escape(name) for name in sorted(new, key=len, reverse=True))
    return re.sub(rf"(['\"])({literals})\1", lambda m: f"{m[1]}{new[m[2]]}{m[1]}", program)


def filled(form: str, values: dict[str, str]) -> str:
    """A call whose arguments are descriptions, with these values in their place."""
    return re.sub(FIELD, lambda field: f"    {field[1]}={values[field[1]]!r},", form, flags=re.MULTILINE)


def fenced(program: str) -> str:
    return f"```python\n{program}```"


def task_in(request: Request, families: tuple[str, ...]) -> Task:
    """The task that a request is about: by its job, or by the file that the program in it writes."""
    text = "\n".join(m.content for m in request.messages if m.role == "user")
    tasks = [task for family in families for task in known_tasks(family)]
    found = [t for t in tasks if t.prompt.splitlines()[0] in text] or [t for t in tasks if t.outputs[0] in text]
    assert found, f"no known task in {text[:300]!r}"
    return max(found, key=lambda t: sum(line in text for f in t.files for line in f.text.splitlines()[:3]))


@dataclass
class WeakModel:
    """The script as a `Model`. Every paid call is told to `on_call` before it is answered."""

    families: tuple[str, ...] = ("ledger-totals",)
    unskilled: Callable[[Task], str] = by_another_office
    """What it writes without a skill."""
    explored: Callable[[Task], str] = right
    """What one in three of its samples is."""
    on_call: Callable[[Request], None] = lambda request: None
    name: str = "scripted:weak"
    requests: list[Request] = field(default_factory=list[Request])

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        self.on_call(request)
        await anyio.sleep(0)
        text = fenced(self.program(request))
        words = sum(len(m.content) for m in request.messages) // 4
        cost = Cost(calls=1, prompt_tokens=words, completion_tokens=len(text) // 4, seconds=0.25, usd=0.001)
        return Response(text=text, model=self.name, cost=cost)

    def program(self, request: Request) -> str:
        task = task_in(request, self.families)
        if request.temperature > 0 and (len(request.messages) == 2 or request.messages[1].content == EXAMPLE[0]):
            return self.explored(task) if request.seed % 3 == 0 else by_another_office(task)
        skilled = [code for language, code in code_blocks(request.messages[0].content) if language == "python"]
        return self._copied(skilled[0] + "\n", task) if skilled else self.unskilled(task)

    def _copied(self, program: str, task: Task) -> str:
        """The skill's program, for the task at hand: a form filled in, or names of another task replaced."""
        fields = re.findall(FIELD, program, re.MULTILINE)
        for seed in (EXAMPLE_SEED, *(t.seed for t in known_tasks(task.family))):
            names = names_of(task.family, seed)
            asked = {f"{p}_{kind}": p for p in names for kind in ("name", "column")}  # a person's form
            asked |= {"source": "source", "source_2": "other", "target": "target"}
            asked |= {f"{name}_column": purpose for purpose, name in names.items()}  # a learned one, from this task
            if fields and set(fields) <= set(asked):
                return filled(program, {name: names_of(task.family, task.seed)[asked[name]] for name in fields})
            if not fields and all(repr(name)[1:-1] in program for name in (names["source"], names["target"])):
                return renamed(program, task.family, seed, task.seed)
        return program


def view_of(*skills: Skill) -> View:
    snapshot = Snapshot.of(skills)
    return View(snapshot=snapshot.digest, skills=snapshot.skills)


def run(plan: Plan, model: Model, out: Path, library: Library | None = None, **more: Any) -> RunRecord:
    """`plan`, run to its end in `out`."""
    options: dict[str, Any] = {"concurrency": 2, "report": lambda event: None} | more

    async def main() -> RunRecord:
        return await run_plan(plan, model=model, out=out, library=library, **options)

    return anyio.run(main)


def noted(events: list[Event]) -> Callable[[Event], None]:
    return events.append
