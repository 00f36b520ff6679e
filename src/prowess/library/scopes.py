"""Where libraries lie by default, and what an agent sees when two of them apply.

The user's library belongs to a person and lies in the data folder of the settings; agents see it only where it is
installed. A project's library is the folder `.agents/skills` of the repository, which several agents read directly and
git carries along (decision 0015).
"""

from pathlib import Path
from typing import Literal

from prowess.core.skill import Snapshot
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


def library_path(scope: Scope, start: Path) -> Path | None:
    """The folder of the library of `scope` as seen from `start`; None outside of any project."""
    if scope == "user":
        return user_library()
    root = project_root(start)
    return None if root is None else root / PROJECT_FOLDER


def merged(project: Snapshot, user: Snapshot) -> Snapshot:
    """Skills of both; where names are equal the project's skill counts, as the client guide of the format has it."""
    return Snapshot.of([*project.skills, *(skill for skill in user.skills if project.get(skill.name) is None)])


def shadowed(project: Snapshot, user: Snapshot) -> tuple[str, ...]:
    """Names of the user's skills that a different skill of the project hides."""
    return tuple(s.name for s in user.skills if (p := project.get(s.name)) is not None and p.digest != s.digest)
