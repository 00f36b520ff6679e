"""`prowess show`: one thing, whole: a skill, change, proposal, lesson, trajectory, or finished run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prowess.cli.options import Json, LibraryPath, open_libraries

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
    from prowess.library.scopes import seen

    screen = Screen(json)
    if what is not None and is_run(Path(what)):
        show_record(screen, read_record(Path(what)), Path(what))
        return
    libraries = open_libraries(library)
    if what is None:
        _all(screen, libraries)
    elif (found := next((s for s in seen(libraries) if s.skill.name == what), None)) is not None:
        _skill(screen, found.library, found.skill)
    else:
        _by_id(screen, libraries[0], what)


def _all(screen: "Screen", libraries: "list[Library]") -> None:
    from prowess.core.text import one_line
    from prowess.library.scopes import seen
    from prowess.report.text import count

    uses = {library: library.uses() for library in libraries}
    problems = {library: library.problems() for library in libraries}
    skills = seen(libraries)
    rows: list[dict[str, Any]] = []
    for skill, library, hides in ((s.skill, s.library, s.hides) for s in skills):
        use = uses[library].get(skill.name)
        rows.append(
            {
                "name": skill.name, "description": skill.description, "digest": skill.digest,
                "by_prowess": library.is_authored(skill.name),
                "used": use.used if use else 0, "offered": use.offered if use else 0,
                "problems": problems[library].get(skill.name, []),
                "library": library.path, "hides": [other.path for other in hides],
            }
        )  # fmt: skip
    if screen.json:
        names = {s.skill.name for s in skills}
        unreadable = {n: p for found in problems.values() for n, p in found.items() if n not in names}
        screen.data({"library": libraries[0].path, "skills": rows, "unreadable": unreadable})
        return
    for library in libraries:
        screen.note(f"{library.path}: {count(sum(s.library is library for s in skills), 'skill')}")
    screen.table(
        ("skill", "offered", "used", "by", "what it is for"),
        [
            (
                (r["name"], "bold"), str(r["offered"]), str(r["used"]), "prowess" if r["by_prowess"] else "you",
                one_line(r["description"], 160),
            )
            for r in rows
        ],
    )  # fmt: skip
    for s in skills:
        for other in s.hides:
            screen.note(f"{s.skill.name}: the project's counts, and hides another in {other.path}")
    for found in problems.values():
        for name, said in found.items():
            screen.note(f"{name}: ", "; ".join(said))


def _skill(screen: "Screen", library: "Library", skill: "Skill") -> None:
    from prowess.cli import entries
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
        entries.change(screen, change)


def _by_id(screen: "Screen", library: "Library", id: str) -> None:
    from prowess.cli import entries
    from prowess.cli.places import trajectory as stored
    from prowess.cli.places import whole_id
    from prowess.core.errors import UserError

    change = next((c for c in library.log() if c.id.startswith(id)), None)
    if change is not None:
        if screen.json:
            screen.data({"change": change, "diff": library.diff(change.before, change.after)})
            return
        entries.change(screen, change)
        entries.verdicts(screen, change.verdicts)
        entries.lessons(screen, change.lessons)
        screen.diff(library.diff(change.before, change.after))
        return
    proposal = next((p for p in library.proposals() if p.id.startswith(id)), None)
    if proposal is not None:
        screen.data(proposal) if screen.json else entries.proposal(screen, library, proposal)
        return
    trajectory = stored(whole_id(id))
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
    entries.lessons(screen, [lesson])
    for change in library.changes_for_lesson(lesson.id):
        entries.change(screen, change)


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
