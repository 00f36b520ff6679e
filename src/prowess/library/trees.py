"""The content of one skill folder as bytes: its digest, and its reading as a skill."""

import hashlib
from collections.abc import Mapping

from prowess.core.errors import Refused
from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.library.skillmd import KEYS, Parsed, read, render, split, with_body

Tree = Mapping[str, bytes]
"""Path to content, SKILL.md included."""


def manifest(tree: Tree) -> bytes:
    """One line `path NUL sha256` for each file, sorted; its own SHA-256 is the content digest of the folder."""
    lines = [f"{path}\0{hashlib.sha256(data).hexdigest()}\n" for path, data in sorted(tree.items())]
    return "".join(lines).encode()


def tree_digest(tree: Tree) -> str:
    return hashlib.sha256(manifest(tree)).hexdigest()


def paths_of(manifest_bytes: bytes) -> dict[str, str]:
    """Path to SHA-256, from a manifest.

    Raises:
        ValueError: it is no manifest, or names a path that would leave the folder.
    """
    found: dict[str, str] = {}
    for line in manifest_bytes.decode().split("\n")[:-1]:
        path, sha = line.split("\0")
        if not all(is_component(part) for part in path.split("/")):
            raise ValueError(f"path {path!r} is not safe")
        found[path] = sha
    return found


def is_component(part: str) -> bool:
    """Whether `part` names something directly inside a folder, whatever else it holds."""
    return part not in ("", ".", "..") and not any(char in "/\\\0" or ord(char) < 32 for char in part)


def skill_of(name: str, tree: Tree) -> Parsed:
    """A lenient reading of the skill in the folder `name`."""
    text = tree.get("SKILL.md")
    if text is None:
        return Parsed(None, ("there is no SKILL.md",))
    try:
        parsed = read(text.decode(), name)
    except UnicodeDecodeError:
        parsed = read(text.decode("utf-8", "replace"), name)
        parsed = Parsed(parsed.skill, (*parsed.problems, "SKILL.md is not UTF-8"))
    if parsed.skill is None:
        return parsed
    files = tuple(File(path=path, data=data) for path, data in sorted(tree.items()) if path != "SKILL.md")
    return Parsed(parsed.skill.model_copy(update={"files": files}), parsed.problems)


def tree_of(skill: Skill, old: Tree | None) -> dict[str, bytes]:
    """The files to write for `skill` in place of `old`. Frontmatter that says the same is kept to the letter.

    Raises:
        Refused: the frontmatter must be rewritten and holds keys that would be lost.
    """
    text = render(skill)
    if old is not None and (found := skill_of(skill.name, old)).skill is not None:
        before = found.skill
        raw = old["SKILL.md"].decode("utf-8", "replace")
        unknown = unknown_keys(raw)
        if before.model_copy(update={"body": "", "files": ()}) != skill.model_copy(update={"body": "", "files": ()}):
            if unknown:
                raise Refused(
                    f"the frontmatter of {skill.name!r} holds {', '.join(unknown)}, which rewriting it would lose",
                    "edit SKILL.md by hand",
                )
        elif unknown or not found.problems:
            text = raw if before.body == skill.body else with_body(raw, skill.body)
    return {"SKILL.md": text.encode("utf-8", "replace"), **{file.path: file.data for file in skill.files}}


def unknown_keys(text: str) -> list[str]:
    """Frontmatter keys of a readable SKILL.md that the specification does not know."""
    keys = [line.split(":")[0].strip() for line in split(text)[0].splitlines() if line[:1].isalpha() and ":" in line]
    return [key for key in keys if key not in KEYS]
