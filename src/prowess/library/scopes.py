"""Where libraries lie by default, and what an agent sees when two of them apply.

The user's library belongs to a person and lies in the data folder of the settings; agents see it only where it is
installed. A project's library is the folder `.agents/skills` of the repository, which several agents read directly and
git carries along (decision 0015).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from prowess.core.skill import Skill
from prowess.library.library import Library
from prowess.settings import load

Scope = Literal["user", "project"]
PROJECT_FOLDER = Path(".agents") / "skills"


def user_library() -> Path:
    """The folder of the user's library, whether it exists or not."""
    return load().settings.data / "library"


def project_root(start: Path) -> Path | None:
    """The nearest folder at or above `start` that git or `.agents` marks as a project; never the home folder."""
    home = Path.home()
    for folder in (start.absolute(), *start.absolute().parents):
        if folder == home:
            return None
        if (folder / ".git").exists() or (folder / ".agents").is_dir():
            return folder
    return None


def project_library(start: Path) -> Path | None:
    """The folder of the project's library as seen from `start`, there or not; None outside of any project."""
    root = project_root(start)
    return None if root is None else root / PROJECT_FOLDER


@dataclass(frozen=True, slots=True)
class Seen:
    """A skill, as it is seen where several libraries apply."""

    skill: Skill
    library: Library
    hides: tuple[Library, ...] = ()
    """Libraries with another skill of its name, which does not count."""


def seen(libraries: Iterable[Library]) -> tuple[Seen, ...]:
    """The skills of `libraries`, by name; of several with one name that of the first library counts."""
    found: dict[str, Seen] = {}
    for library in libraries:
        for skill in library.snapshot().skills:
            first = found.setdefault(skill.name, Seen(skill, library))
            if first.skill.digest != skill.digest:
                found[skill.name] = replace(first, hides=(*first.hides, library))
    return tuple(found[name] for name in sorted(found))
