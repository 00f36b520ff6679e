"""`prowess evals`: the evaluation file of skill-creator, read as tasks, and written from the tasks of a suite."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Families, Json, SuiteName, Yes

if TYPE_CHECKING:
    from prowess.core.task import Task

app = typer.Typer(no_args_is_help=True, help="Read and write skill-creator's evals/evals.json.", rich_markup_mode=None)
Skill = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a skill.")]


@app.command()
def read(folder: Skill, json: Json = False) -> None:
    """Read the tasks that a skill brings.

    Each has a prompt, files, and the statements that a judge decides of an answer. --json gives whole tasks. Exit
    code 1 when the skill brings none.
    """
    from prowess.cli.screen import Screen
    from prowess.library.disk import read_folder
    from prowess.report.text import count
    from prowess.suites import evals

    screen = Screen(json)
    _skill_in(folder)
    found = evals.tasks(read_folder(folder).files)
    if json:
        screen.data([{**task.model_dump(mode="json", exclude={"files"}), "files": _encoded(task)} for task in found])
    for task in () if json else found:
        screen.line((task.id, "bold"), f"  {' '.join(task.prompt.split())[:200]}")
        screen.line(f"  {', '.join(file.path for file in task.files) or 'no files'}")
        for statement in evals.rubric(task):
            screen.line(("  - ", "dim"), statement)
    if not found:
        screen.note(f"{folder} has no {evals.PLACE}")
        raise typer.Exit(1)
    screen.note(count(len(found), "task"))


@app.command()
def write(
    folder: Skill,
    suite: SuiteName = "workbench",
    family: Families = None,
    tasks: Annotated[int, typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family.")] = 3,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Write tasks of a suite into a skill's folder, for skill-creator.

    They are tasks of the split that is learned from, so that those of gates and tests stay unseen. The right answer
    goes in as what is expected, for a judge: their own checks cannot.
    """
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.library.disk import write_file
    from prowess.suites import evals, open_suite

    screen, name, opened = Screen(json), _skill_in(folder), open_suite(suite)
    if unknown := [one for one in family or () if one not in opened.families]:
        raise UserError(f"{suite} has no family {unknown[0]!r}", f"choose one of {', '.join(opened.families)}")
    drawn = [task for one in family or opened.families for task in opened.tasks(one, "evidence", tasks)]
    files = evals.dump(name, [evals.expecting(task, opened.oracle(task)) for task in drawn])
    if (folder / evals.PLACE).exists():
        screen.confirm(f"Replace {folder / evals.PLACE}?", yes)
    try:
        for file in reversed(files):  # the list comes last, so that it never names what is not there
            place = folder / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            write_file(place, file.data, place.parent)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error
    if json:
        screen.data({"file": folder / evals.PLACE, "tasks": len(drawn)})
    else:
        screen.line(f"wrote {len(drawn)} tasks to {folder / evals.PLACE}")


def _skill_in(folder: Path) -> str:
    """The name of the skill in `folder`; raises UserError where there is none."""
    from prowess.core.errors import UserError
    from prowess.library.disk import read_folder
    from prowess.library.trees import skill_of

    try:
        found = skill_of(folder.resolve().name, read_folder(folder).files).skill
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}", "name the folder of a skill") from error
    if found is None:
        raise UserError(f"{folder} holds no skill", "name a folder with a SKILL.md")
    return found.name


def _encoded(task: "Task") -> list[dict[str, str]]:
    """Files as text where they are text, else in base64."""
    from base64 import b64encode

    rows: list[dict[str, str]] = []
    for file in task.files:
        try:
            rows.append({"path": file.path, "text": file.data.decode()})
        except UnicodeDecodeError:
            rows.append({"path": file.path, "base64": b64encode(file.data).decode()})
    return rows
