"""`evals/evals.json`, the evaluation file of Anthropic's skill-creator: read as tasks, and written from tasks.

Its assertions are sentences, so what decides them is a judge (`prowess.measure.judge`) with these as its rubric, never
a check of ours. Both spellings that are about are read (`assertions`, `expectations`); the documented one is written.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from prowess.core.errors import UserError
from prowess.core.task import File, Split, Task
from prowess.library.trees import Tree, is_component

PLACE: Final = "evals/evals.json"
"""Within a skill's folder, by convention."""
SUITE: Final = "evals"
ASSERTIONS: Final = "assertions"
EXPECTED: Final = "expected_output"
"""Keys of `Task.meta` for what the file says of an answer."""
SHOWN: Final = 2_000
"""Characters of a right file that are written down."""
MOST: Final = 4 * 2**20
"""Bytes of such a file."""


class _Eval(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: int | str
    prompt: str = Field(min_length=1)
    expected_output: str = ""
    files: tuple[str, ...] = ()
    assertions: tuple[str, ...] = ()
    expectations: tuple[str, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")
    skill_name: str
    evals: tuple[_Eval, ...]


def tasks(tree: Tree, split: Split = "gate") -> tuple[Task, ...]:
    """The tasks that the folder of a skill brings; none where it brings none.

    Raises:
        UserError: the file does not fit, or names a file that the folder does not have.
    """
    text = tree.get(PLACE)
    if text is None:
        return ()
    if len(text) > MOST:
        raise UserError(f"{PLACE} is larger than {MOST >> 20} MiB", "split it")
    try:
        found = _File.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{PLACE}: {where}: {first['msg']}", "mend it as skill-creator describes it") from error
    return tuple(_task(each, number, found.skill_name, tree, split) for number, each in enumerate(found.evals))


def dump(skill: str, given: Iterable[Task]) -> tuple[File, ...]:
    """The file for a skill's folder, and the files of its tasks beside it."""
    rows: list[dict[str, Any]] = []
    files: dict[str, File] = {}
    for number, task in enumerate(given, 1):
        named: list[str] = []
        for file in task.files:
            place = f"evals/files/{number}/{file.path}"
            files[place] = File(path=place, data=file.data)
            named.append(place)
        assertions, expected = task.meta.get(ASSERTIONS), task.meta.get(EXPECTED)
        rows.append(
            {
                "id": number,
                "prompt": task.prompt,
                "expected_output": expected if isinstance(expected, str) else "",
                "files": named,
                "assertions": assertions if isinstance(assertions, list) else [],
            }
        )
    text = json.dumps({"skill_name": skill, "evals": rows}, indent=2, ensure_ascii=False) + "\n"
    return (File(path=PLACE, data=text.encode()), *(files[path] for path in sorted(files)))


def expecting(task: Task, right: Iterable[File] | None) -> Task:
    """A task of another suite with what this file can say of its answer: the right files, as text, where known."""
    files = [f"{file.path}:\n{file.text[:SHOWN]}" for file in right or () if b"\0" not in file.data]
    assertions: list[JsonValue] = [f"The file {path} was written." for path in task.outputs]
    if files:
        assertions.append("What was written says the same as what was expected.")
    return task.model_copy(update={"meta": {ASSERTIONS: assertions, EXPECTED: "\n\n".join(files)}})


def rubric(task: Task) -> tuple[str, ...]:
    """What a judge decides of an answer to this task: the assertions, else the expected output as one."""
    assertions = task.meta.get(ASSERTIONS)
    if isinstance(assertions, list) and assertions:
        return tuple(str(assertion) for assertion in assertions)
    expected = task.meta.get(EXPECTED)
    return (f"The work is what was expected: {expected}",) if isinstance(expected, str) and expected else ()


def _task(each: _Eval, number: int, skill: str, tree: Tree, split: Split) -> Task:
    files: list[File] = []
    for path in each.files:
        if not all(is_component(part) for part in path.split("/")):
            raise UserError(f"{PLACE}: file {path!r} is outside of the skill", "name files of the skill's folder")
        place = next((p for p in (path, f"evals/{path}") if p in tree), None)
        if place is None:
            raise UserError(f"{PLACE}: there is no file {path!r}", "add it to the skill's folder")
        name = Path(path).relative_to("evals") if path.startswith("evals/") else Path(path)
        parts = name.parts[2:] if name.parts[:1] == ("files",) and len(name.parts) > 2 else name.parts[-1:]
        files.append(File(path="/".join(parts), data=tree[place]))
    return Task(
        id=f"{skill}/{each.id}",
        suite=SUITE,
        family=skill,
        split=split,
        seed=number,
        prompt=each.prompt,
        files=tuple(files),
        meta={ASSERTIONS: [*(each.assertions or each.expectations)], EXPECTED: each.expected_output},
    )
