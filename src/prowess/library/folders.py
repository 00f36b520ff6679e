"""Skills that lie in folders which are no library of prowess: read, never written."""

from pathlib import Path
from typing import NamedTuple

from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.library.disk import read_folder
from prowess.library.trees import skill_of


class Below(NamedTuple):
    """What lies below a folder."""

    snapshot: Snapshot
    unreadable: tuple[str, ...]
    """Folders, relative to the first, whose SKILL.md is no skill, each with the reason."""


def skills_below(folder: Path) -> Below:
    """Every skill below `folder`, however deep. Of skills with one name all but the first get a number.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "name one that holds folders with a SKILL.md")
    found, unreadable, taken = list[Skill](), list[str](), set[str]()
    for file in sorted(folder.rglob("SKILL.md")):
        name = file.parent.absolute().name
        try:
            parsed = skill_of(name, read_folder(file.parent).files)
        except OSError as error:
            unreadable.append(f"{file.parent.relative_to(folder)}: {error.strerror}")
            continue
        if parsed.skill is None:
            unreadable.append(f"{file.parent.relative_to(folder)}: {'; '.join(parsed.problems)}")
            continue
        number, wanted = 1, parsed.skill.name
        while wanted in taken:
            number += 1
            wanted = f"{parsed.skill.name}-{number}"
        taken.add(wanted)
        found.append(parsed.skill.model_copy(update={"name": wanted}))
    return Below(Snapshot.of(found), tuple(unreadable))
