"""Structures kept beside the skills of a library, by skill digest: written once by a model, read by everybody."""

from pydantic import ValidationError

from prowess.core.skill import Skill
from prowess.library.derived import Derived
from prowess.search.extract import extract
from prowess.search.structure import Structure, problems

_KIND = "structure"


def structure_of(skill: Skill, kept: Derived | None = None) -> Structure:
    """The structure that is kept for this version of `skill`, where it is sound; else what the extractor finds now."""
    data = kept.get(_KIND, skill.digest) if kept is not None else None
    if data is not None:
        try:
            found = Structure.model_validate_json(data)
        except ValidationError:
            return extract(skill)
        if found.skill == skill.digest and not problems(found.layers):
            return found
    return extract(skill)


def keep(structure: Structure, kept: Derived) -> None:
    """Keeps `structure` for the version of the skill that it describes."""
    kept.put(_KIND, structure.skill, structure.model_dump_json().encode())
