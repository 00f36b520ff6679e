"""A group's points as a skill, or as sections to add to a skill that covers such work already."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import AddSection, AppendToSection, Operation
from prowess.core.skill import Skill
from prowess.evolve.logs.groups import Group, example_request
from prowess.evolve.logs.points import MOST, REFERENCES, Point, Section
from prowess.evolve.logs.snippet import Snippet
from prowess.evolve.logs.text import legible, line
from prowess.evolve.logs.vocabulary import ORDINARY
from prowess.evolve.logs.words import words
from prowess.library.sections import sections

TITLES: dict[Section, str] = {
    "wish": "What the user wants",
    "step": "Steps that worked",
    "note": "Good to know",
    "pitfall": "Pitfalls",
    "command": "Commands",
    "check": "Before you finish",
}
CODE = "Code that worked"
ORIGIN = "Where this comes from"
_KNOWN = 0.7
"""A line is known when a skill has this share of its words in one line already."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is proposed for a group, whoever worded it."""

    title: str
    description: str
    points: tuple[Point, ...]
    snippet: Snippet | None

    def lessons(self, group: Group) -> tuple[Lesson, ...]:
        """The lesson of each line, in order, then that of the snippet, then one that names every session."""
        found = [point.lesson(group.name) for point in self.points]
        if self.snippet is not None:
            found.append(_snippet_lesson(self.snippet, group))
        return (*found, whole(group))


def whole(group: Group) -> Lesson:
    """That these sessions did work of one kind; it refers to all of them."""
    firsts = {work.session: work for work in reversed(group.works)}
    references = tuple(
        Reference(
            trajectory=work.trajectory,
            first_step=work.first_step,
            last_step=work.last_step,
            quote=line(work.request, 200) or (work.sayings[0].reference.quote if work.sayings else ""),
            principal=work.principal,
        )
        for work in (firsts[session] for session in group.sessions)
    )
    n = len(references)
    return Lesson(
        kind="memory", text=f"{n} sessions did such work: {group.title}.", family=group.name, references=references
    )


def _snippet_lesson(found: Snippet, group: Group) -> Lesson:
    return Lesson(
        kind="success",
        text=f"Code that {len(found.sessions)} sessions have in common.",
        family=group.name,
        references=found.references[:REFERENCES],
    )


def describe(group: Group) -> str:
    """When to use the skill: the files, programs and words of such work, and how a user asked for it."""
    n = len(group.sessions)
    parts = [f"What worked, and what went wrong, in {n} earlier sessions of this kind of work: {group.title}."]
    files = [f".{name}" for name, _ in group.features("file") if name not in ("py", "sh", "md")][:6]
    tools = [name for name, _ in (*group.features("module"), *group.features("program")) if name not in ORDINARY][:6]
    told: list[str] = [f"{', '.join(files)} files"] if files else []
    told += [f"tools such as {', '.join(tools)}"] if tools else []
    involved = f", or involves {' and '.join(told)}" if told else ""
    parts.append(f"Use it when a task is about {', '.join(group.terms)}{involved}.")
    if asked := example_request(group):
        parts.append(f"A user asked: “{asked}”")
    return line(" ".join(parts), 1000).replace("<", "‹").replace(">", "›")


def skill_of(page: Page, group: Group, name: str) -> Skill:
    """The page as a new skill."""
    n = len(group.sessions)
    body = [f"# {page.title[:1].upper()}{page.title[1:]}\n"]
    body += [f"## {title}\n\n{content}\n" for title, content in _content(page, group, numbered=True) if content]
    body.append(
        f"## {ORIGIN}\n\n{n} real sessions, which nobody graded. `[k/{n} id]` after a line: k of them show it, and the "
        "lesson `id` quotes the steps.\n"
    )
    return Skill(name=name, description=page.description, body="\n".join(body))


def additions(page: Page, group: Group, skill: Skill) -> tuple[Operation, ...]:
    """The page as additions to `skill`, below the sections that it has and in new ones."""
    titles = [section.title for section in sections(skill.body)]
    operations: list[Operation] = []
    for title, content in _content(page, group, numbered=False):
        if content and titles.count(title) == 1:
            operations.append(AppendToSection(name=skill.name, section=title, content=content))
        elif content and title not in titles:
            operations.append(AddSection(name=skill.name, section=title, content=content))
    return tuple(operations)


def unknown(page: Page, skill: Skill) -> Page:
    """The page without what `skill` says already, and without a snippet where it has one."""
    lines = [set(words(text)) for text in skill.body.splitlines()]

    def known(point: Point) -> bool:
        own = set(words(point.text))
        return any(len(own & other) >= _KNOWN * len(own) for other in lines)

    points = tuple(point for point in page.points if not known(point))
    has_code = "```" in skill.body
    return Page(page.title, page.description, points, None if has_code else page.snippet)


def _content(page: Page, group: Group, numbered: bool) -> list[tuple[str, str]]:
    """(title, text) of each section in reading order; empty text where there is nothing to say."""
    found: list[tuple[str, str]] = []
    n = len(group.sessions)
    for section in MOST:
        rows: list[str] = []
        for number, point in enumerate((p for p in page.points if p.section == section), 1):
            mark = f"[{len(point.sessions)}/{n} {point.lesson(group.name).id[:8]}]"
            bullet = f"{number}." if numbered and section == "step" else "-"
            rows.append(f"{bullet} {point.text} {mark}")
        found.append((TITLES[section], "\n".join(rows)))
        if section == "pitfall" and page.snippet is not None:
            code, lesson = page.snippet, _snippet_lesson(page.snippet, group)
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", code.text)), default=0))
            text = f"{fence}{code.language}\n{legible(code.text)}\n{fence}"
            said = f"Excerpts; adapt the names. [{len(code.sessions)}/{n} {lesson.id[:8]}]"
            found.append((CODE, f"{said}\n\n{text}"))
    return found


def page_of(group: Group, points: Sequence[Point], code: Snippet | None) -> Page:
    """The points in the sessions' own words."""
    return Page(group.title, describe(group), tuple(points), code)
