"""What an agent is shown of the library for a task."""

from dataclasses import dataclass

from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.core.view import View


@dataclass(frozen=True, slots=True)
class NoSkills:
    """The baseline arm: nothing is shown."""

    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot=library.digest)


@dataclass(frozen=True, slots=True)
class BestMatches:
    """The `k` skills that match the prompt best, by lexical search, with their bodies in the prompt.

    SkillOS shows five; a small model on a CPU pays for every token it reads, so one is the default here.
    """

    k: int = 1

    def view(self, task: Task, library: Snapshot) -> View:
        from prowess.search.lexical import search

        hits = search(library, task.prompt, self.k)
        skills = tuple(skill for hit in hits if (skill := library.get(hit.name)) is not None)
        return View(snapshot=library.digest, skills=skills)


@dataclass(frozen=True, slots=True)
class Always:
    """One given skill for every task, whatever the library holds: the arm that measures this skill."""

    skill: Skill

    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot=library.digest, skills=(self.skill,))
