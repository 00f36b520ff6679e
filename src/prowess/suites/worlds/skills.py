"""Skills that a person wrote for worlds: `skills/<world>/<family>.md`, or `any.md` for all families of a world."""

from importlib.resources import files

from prowess.core.skill import Skill


def written(world: str, family: str) -> Skill | None:
    """The skill for a family, else the one for its whole world; None where nobody wrote one."""
    from prowess.library.skillmd import parse  # engines run where its packages are not

    folder = files("prowess.suites.worlds").joinpath("skills", world)
    for name in (family, "any"):
        found = folder.joinpath(f"{name}.md")
        if found.is_file():
            return parse(found.read_text("utf-8"), str(found))
    return None
