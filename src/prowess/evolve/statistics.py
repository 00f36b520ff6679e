"""What a run's past says: groups of episodes and lessons, and how often each skill did well."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prowess.core.lesson import Lesson
from prowess.evolve.protocols import Context, Episode

NO_SKILL = ""
"""The group of episodes in which no skill was loaded."""


def is_first(context: Context) -> bool:
    """Whether the run is in its first round."""
    return len(context.past.rounds) == 1


def did(episode: Episode) -> bool | None:
    """Whether the task was done, by whoever judged; None where nobody could. Only for learning, never for a verdict."""
    score = episode.trajectory.score
    return None if episode.trajectory.status == "missing" or score is None else score.passed


def by_skill(episodes: Iterable[Episode]) -> dict[str, tuple[Episode, ...]]:
    """Episodes under every skill that was loaded in them (being offered does not count), else under `NO_SKILL`."""
    found: dict[str, tuple[Episode, ...]] = {}
    for episode in episodes:
        for name in episode.trajectory.loaded or (NO_SKILL,):
            found[name] = (*found.get(name, ()), episode)
    return found


def by_family(episodes: Iterable[Episode]) -> dict[str, tuple[Episode, ...]]:
    found: dict[str, tuple[Episode, ...]] = {}
    for episode in episodes:
        found[episode.task.family] = (*found.get(episode.task.family, ()), episode)
    return found


def lessons_by_family(lessons: Sequence[Lesson]) -> dict[str, tuple[Lesson, ...]]:
    found: dict[str, tuple[Lesson, ...]] = {}
    for lesson in lessons:
        found[lesson.family or ""] = (*found.get(lesson.family or "", ()), lesson)
    return found


def lessons_by_skill(lessons: Sequence[Lesson]) -> dict[str, tuple[Lesson, ...]]:
    """Lessons under the skill that they are about; those about none under `NO_SKILL`."""
    found: dict[str, tuple[Lesson, ...]] = {}
    for lesson in lessons:
        found[lesson.skill or NO_SKILL] = (*found.get(lesson.skill or NO_SKILL, ()), lesson)
    return found


@dataclass(frozen=True, slots=True)
class Utility:
    """How a skill has done."""

    passed: int = 0
    failed: int = 0

    @property
    def n(self) -> int:
        return self.passed + self.failed

    @property
    def share(self) -> float:
        """Passed of all; half where nothing is known."""
        return self.passed / self.n if self.n else 0.5


def utilities(episodes: Iterable[Episode]) -> dict[str, Utility]:
    """The utility of each skill that was loaded. A run counts once, however often it stands in `episodes`."""
    once = {episode.trajectory.id: episode for episode in episodes}
    found: dict[str, Utility] = {}
    for name, group in by_skill(once.values()).items():
        outcomes = [passed for episode in group if (passed := did(episode)) is not None]
        if name != NO_SKILL and outcomes:
            found[name] = Utility(sum(outcomes), len(outcomes) - sum(outcomes))
    return found
