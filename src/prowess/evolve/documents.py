"""What is written down already: manuals, documentation and the sources of a repository, as passages to learn from.

Documents are data: they are quoted to a model, and nothing in them is followed or run.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prowess.core.errors import UserError
from prowess.core.task import File
from prowess.evolve.method import Setup
from prowess.search.likeness import cosines, lexical

PASSAGE = 1_500
"""Characters of one passage at most."""
MOST = 2_000
"""Files of one folder that are read."""
LARGEST = 256 * 1024
"""Bytes of one file that is read."""
TEXTS = frozenset({".md", ".rst", ".txt", ".py"})
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)


class Passage(NamedTuple):
    """A part of a document that stands for itself."""

    path: str
    text: str


def manuals(setup: Setup) -> tuple[tuple[str, str], ...]:
    """Family and what the house has written down for it: the rules of its human-written skill, without the program."""
    found = ((family, setup.suite.human_skill(family)) for family in setup.families)
    return tuple((family, skill.body.partition("\n## Program")[0].strip()) for family, skill in found if skill)


def read_documents(root: Path) -> tuple[File, ...]:
    """Texts and Python sources below a folder, sorted by path; hidden ones, links and large files are left out.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder", "name a folder with documents or a checked-out repository")
    found: list[File] = []
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if hidden or path.suffix.lower() not in TEXTS or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size <= LARGEST:
            found.append(File(path=path.relative_to(root).as_posix(), data=path.read_bytes()))
        if len(found) == MOST:
            break
    return tuple(found)


def passages(documents: Sequence[File]) -> tuple[Passage, ...]:
    """Documents cut at their headings, sources at their functions and classes that say what they are for."""
    return tuple(
        Passage(file.path, part[:PASSAGE].strip())
        for file in documents
        for part in (_defined(file.text) if file.path.endswith(".py") else _sections(file.text))
        if part.strip()
    )


def nearest(about: str, among: Sequence[Passage], k: int) -> tuple[Passage, ...]:
    """The `k` passages whose words are most like those of `about`; none that share no word with it."""
    rows = lexical([about, *(f"{passage.path} {passage.text}" for passage in among)])
    alike: list[float] = cosines(rows[1:], rows[0]).tolist()
    order = sorted(range(len(among)), key=lambda i: -alike[i])
    return tuple(among[i] for i in order[:k] if alike[i] > 0)


def _sections(text: str) -> Iterator[str]:
    """Each heading with what follows it; a heading with nothing below says nothing."""
    starts = [0, *(match.start() for match in _HEADING.finditer(text) if match.start())]
    parts = (text[start:end].strip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True))
    yield from (part for part in parts if "\n" in part or not part.startswith("#"))


def _defined(text: str) -> Iterator[str]:
    """Functions and classes with a docstring, as they stand in the source; nothing of a file that does not parse."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
            yield ast.get_source_segment(text, node) or ""
