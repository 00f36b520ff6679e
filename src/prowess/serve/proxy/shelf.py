"""Which skills of the library a request is shown, and how: those that fit, and that the agent does not have already."""

import re
from typing import Final, NamedTuple

from prowess.agents.prompting import preload
from prowess.core.skill import Skill
from prowess.guard.runtime import Runtime
from prowess.serve.access import Access

MOST: Final = 3
"""Skills that one request is shown at most."""
MOST_CHARS: Final = 32_000
"""Of their text together."""
_HEAD: Final = "Skills learned from earlier work that fit this task. Follow what applies.\n"


class Shown(NamedTuple):
    """What a request is shown."""

    skills: tuple[Skill, ...]
    text: str
    snapshot: str | None
    """Digest of the library that they are from; None where nothing is shown."""


NOTHING: Final = Shown((), "", None)


class Shelf:
    """The library behind `access`, as far as `runtime` permits it."""

    def __init__(self, access: Access, runtime: Runtime) -> None:
        self._access = access
        self._runtime = runtime

    def choose(self, task: str, request: bytes) -> Shown:
        """What to show. It hangs on the task alone, so that a conversation is shown the same in each of its requests
        and the provider's prompt cache holds.

        Args:
            task: What the user asked for first.
            request: The whole request, in which the agent's own skills may be listed.
        """
        if not task.strip():
            return NOTHING
        fitting, snapshot = self._access.fitting(task, MOST)
        text = request.decode("utf-8", "replace")
        skills: list[Skill] = []
        for skill in fitting:
            if has(text, skill.name):
                continue
            if len(preload((*skills, skill), self._runtime)) > MOST_CHARS:
                break
            skills.append(skill)
        told = preload(tuple(skills), self._runtime)
        return Shown(tuple(skills), _HEAD + told, snapshot) if told else NOTHING


def has(request: str, name: str) -> bool:
    """Whether the agent loads this skill by itself: its catalogue or a path in the request names it.

    An agent that is shown a skill twice pays for it twice (AMAP-ML/SkillClaw#40).
    """
    quoted = re.escape(name)
    lists = rf"<name>\s*{quoted}\s*<|(?:^|\\n|[\n\"])\s*[-*] [*`]*(?:[\w.-]+:)?{quoted}[*`]*\s*(?::|\\n|\n|\()"
    return re.search(rf"{lists}|[/\\]{quoted}[/\\]+SKILL\.md|name=\\?\"{quoted}\\?\"", request) is not None
