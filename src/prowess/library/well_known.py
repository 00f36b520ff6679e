"""Skills published on the web where agents look for them: `/.well-known/agent-skills/` (discovery RFC, 0.2.0).

A skill of one file is published as its SKILL.md, one of several as a zip archive with SKILL.md at its root; either with
the SHA-256 of the bytes that are served.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from prowess.core.errors import UserError
from prowess.library.archives import archive_bytes
from prowess.library.disk import write_file
from prowess.library.trees import Tree, skill_of

PREFIX: Final = ".well-known/agent-skills"
INDEX: Final = "index.json"
SCHEMA: Final = "https://schemas.agentskills.io/discovery/0.2.0/schema.json"


def published(trees: Mapping[str, Tree]) -> dict[str, bytes]:
    """Path below the prefix to content, the index first. Folders that hold no valid skill are left out."""
    entries: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    for name, tree in sorted(trees.items()):
        skill = skill_of(name, tree).skill
        if skill is None:
            continue
        alone = set(tree) == {"SKILL.md"}
        path = f"{name}/SKILL.md" if alone else f"{name}.zip"
        files[path] = tree["SKILL.md"] if alone else archive_bytes(tree)
        entries.append(
            {
                "name": name,
                "type": "skill-md" if alone else "archive",
                "description": skill.description,
                "url": f"/{PREFIX}/{path}",
                "digest": f"sha256:{hashlib.sha256(files[path]).hexdigest()}",
            }
        )
    index = json.dumps({"$schema": SCHEMA, "skills": entries}, indent=2, ensure_ascii=False) + "\n"
    return {INDEX: index.encode(), **files}


def write(folder: Path, trees: Mapping[str, Tree]) -> list[Path]:
    """Writes it all below `folder`, the root of a web site; the index last, so that it never names what is not there.

    Raises:
        UserError: the folder cannot be written.
    """
    files = published(trees)
    places: list[Path] = []
    try:
        for path, data in reversed(files.items()):
            place = folder / PREFIX / path
            place.parent.mkdir(parents=True, exist_ok=True)
            write_file(place, data, place.parent)
            places.append(place)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error
    return places
