"""`prowess show`: one thing, whole: a skill, change, proposal, lesson, trajectory, or finished run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.skill import Skill
    from prowess.core.trajectory import Trajectory
    from prowess.library import Library


def show(
    *,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT",
            help="A skill's name, the id of a change, proposal, lesson or trajectory, or the folder of a run.",
        ),
    ] = None,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Show one thing whole, or list the skills."""
    from prowess.cli.outcome import is_run, read_record, show_record
    from prowess.cli.screen import Screen

    screen = Screen(json)
    if what is not None and is_run(Path(what)):
        show_record(screen, read_record(Path(what)), Path(what))
        return
    opened = open_library(library)
    if what is None:
        _all(screen, opened)
    elif (skill := opened.snapshot().get(what)) is not None:
        _skill(screen, opened, skill)
    else:
        _by_id(screen, opened, what)


def _all(screen: "Screen", library: "Library") -> None:
    skills, uses = library.snapshot().skills, library.uses()
    problems = library.problems()
    rows = [
        {
            "name": s.name,
            "description": s.description,
            "digest": s.digest,
            "by_prowess": library.is_authored(s.name),
            "used": uses[s.name].used if s.name in uses else 0,
            "offered": uses[s.name].offered if s.name in uses else 0,
            "problems": problems.get(s.name, []),
        }
        for s in skills
    ]
    if screen.json:
        unreadable = {n: p for n, p in problems.items() if all(s.name != n for s in skills)}
        screen.data({"library": str(library.path), "skills": rows, "unreadable": unreadable})
        return
    from prowess.core.text import one_line

    screen.note(f"{library.path}: {len(rows)} skills")
    screen.table(
        ("skill", "offered", "used", "by", "what it is for"),
        [
            (
                (str(r["name"]), "bold"),
                str(r["offered"]),
                str(r["used"]),
                "prowess" if r["by_prowess"] else "you",
                one_line(str(r["description"]), 160),
            )
            for r in rows
        ],
    )
    for name, found in problems.items():
        screen.note(f"{name}: ", "; ".join(found))


def _skill(screen: "Screen", library: "Library", skill: "Skill") -> None:
    from prowess.cli import views
    from prowess.library.skillmd import render

    versions, use = library.versions(skill.name), library.uses().get(skill.name)
    text = render(skill)
    if screen.json:
        screen.data({"skill": skill, "text": text, "path": library.path / skill.name, "versions": versions, "use": use})
        return
    screen.line(text.rstrip("\n"))
    screen.line()
    for file in skill.files:
        screen.line(("+ ", "dim"), file.path, (f"  {len(file.data):,} bytes", "dim"))
    if use is not None:
        screen.line(f"offered {use.offered}, loaded {use.loaded}, used {use.used}: {use.passed} of them passed")
    for change in library.log(skill.name, 5):
        views.change(screen, change)


def _by_id(screen: "Screen", library: "Library", id: str) -> None:
    from prowess.cli import views
    from prowess.core.errors import UserError

    change = next((c for c in library.log() if c.id.startswith(id)), None)
    if change is not None:
        if screen.json:
            screen.data({"change": change, "diff": library.diff(change.before, change.after)})
            return
        views.change(screen, change)
        views.verdicts(screen, change.verdicts)
        views.lessons(screen, change.lessons)
        screen.diff(library.diff(change.before, change.after))
        return
    proposal = next((p for p in library.proposals() if p.id.startswith(id)), None)
    if proposal is not None:
        screen.data(proposal) if screen.json else views.proposal(screen, library, proposal)
        return
    trajectory = find_trajectory(id)
    if trajectory is not None:
        screen.data(trajectory) if screen.json else _trajectory(screen, trajectory)
        return
    try:
        lesson = library.lesson(id)
    except UserError as error:
        raise UserError(
            f"nothing is called {id!r}: no skill, change, proposal, lesson or trajectory",
            "`prowess show` lists the skills, `prowess log` the changes, `prowess review` the proposals",
        ) from error
    if screen.json:
        screen.data({"lesson": lesson, "changes": [c.id for c in library.changes_for_lesson(lesson.id)]})
        return
    views.lessons(screen, [lesson])
    for change in library.changes_for_lesson(lesson.id):
        views.change(screen, change)


def find_trajectory(id: str) -> "Trajectory | None":
    """The imported trajectory whose id begins so, else the one of this very id from a run below the present folder."""
    from prowess.cli.outcome import STORE, load_trajectory
    from prowess.cli.places import trajectories

    imported = trajectories()
    if imported.path.is_file():
        with imported:
            begun = [row.id for row in imported.find() if row.id.startswith(id)]
            if len(begun) == 1 or id in begun:
                return imported.get(id if id in begun else begun[0])
    for place in sorted({*Path().glob(f"*/{STORE}"), *Path().glob(f"runs/*/{STORE}")}):
        found = load_trajectory(place, id)
        if found is not None:
            return found
    return None


def _trajectory(screen: "Screen", t: "Trajectory") -> None:
    from prowess.core.text import cut
    from prowess.report.text import spent

    state = {True: ("✓ passed", "green"), False: ("✗ failed", "red"), None: ("– not judged", "dim")}[t.passed]
    screen.line((t.task_id or t.id, "bold"), "  ", state, f"  {t.agent} with {t.model}  ", (spent(t.cost), "dim"))
    screen.line(f"skills offered: {', '.join(t.offered) or 'none'} · used: {', '.join(t.used) or 'none'}")
    for check in t.score.failures if t.score is not None else ():
        screen.line("  ✗ ", check.name, f": {check.message}")
    for number, step in enumerate(t.steps, 1):
        screen.line()
        screen.line((f"{number} · {step.source}", "bold"))
        for text in (step.reasoning, step.message):
            if text:
                screen.line(cut(text, 4000))
        for call in step.tool_calls:
            for key, value in call.arguments.items():
                screen.line((f"→ {call.name} {key}: ", "dim"), cut(str(value), 4000))
        for observation in step.observations:
            screen.line(("← ", "red" if observation.is_error else "dim"), cut(observation.content, 4000))
