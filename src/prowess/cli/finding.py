"""What `search` and `route` share: the libraries they look in, the index kept current, and the router."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.skill import Skill
    from prowess.library import Library
    from prowess.search.filters import Filter
    from prowess.search.index import SearchIndex
    from prowess.search.routers import Router


@dataclass(frozen=True, slots=True)
class Found:
    name: str
    score: float
    skill: "Skill"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a router said, and the index that it looked in."""

    found: tuple[Found, ...]
    index: "SearchIndex"
    router: str


def libraries(given: Path | None, everywhere: bool) -> Iterator[tuple[str, Path]]:
    """The libraries to look in, each with the word for it: the project's first, since its names count."""
    from prowess.cli.options import chosen_library
    from prowess.library.scopes import library_path
    from prowess.settings import load

    if not everywhere or given is not None:
        yield "", chosen_library(given)
        return
    project, own = library_path("project", Path.cwd()), load().settings.data / "library"
    if project is not None and (project / ".prowess").is_dir():
        yield "project", project
    if (own / ".prowess").is_dir() or project is None:
        yield "user", own


def open_current(screen: "Screen", library: "Library") -> "SearchIndex":
    """The index of `library`, brought up to date; without its vectors, with a remark, where their encoder is gone."""
    from prowess.core.errors import UserError
    from prowess.search.index import SearchIndex
    from prowess.search.keeping import index_path, open_index, refresh
    from prowess.settings import load

    try:
        index = open_index(library, load().settings.cache / "encoders")
    except UserError as error:
        screen.note(f"search by words alone: {error.message}")
        index = SearchIndex(index_path(library))
    refresh(index, library)
    return index


def rank(screen: "Screen", path: Path, query: str, limit: int, router: str, only: "Filter", model: str = "") -> Answer:
    """What the router called `router` answers in the library at `path`; the best that is ready for an empty name."""
    import anyio

    from prowess.library import Library

    library = Library.open(path)
    index = open_current(screen, library)
    chosen = _router(router, library, index, model)
    hits = anyio.run(chosen.rank, query, index, limit, only)
    skills = {skill.name: skill for skill in library.skills([hit.name for hit in hits])}
    found = tuple(Found(hit.name, hit.score, skills[hit.name]) for hit in hits if hit.name in skills)
    return Answer(found, index, chosen.name)


def router_path(library: "Library") -> Path:
    return library.own / "router.npz"


def _router(name: str, library: "Library", index: "SearchIndex", model: str) -> "Router":
    from prowess.core.errors import UserError
    from prowess.search.routers import Dense, Hybrid, Lexical, load

    if not name:
        return best_ready(library, index)
    if name == "model":
        from prowess.agents.models import open_model
        from prowess.agents.rerank import Reranked
        from prowess.search.keeping import descriptions
        from prowess.settings import load as settings

        chosen = open_model(model or settings().settings.model)
        return Reranked(best_ready(library, index), chosen, lambda names: descriptions(library, names))
    known = {"lexical": Lexical, "dense": Dense, "hybrid": Hybrid}
    if name == "learned":
        return load(router_path(library))
    if name not in known:
        raise UserError(f"there is no router {name!r}", f"choose {', '.join([*known, 'learned', 'model'])}")
    return known[name]()


def best_ready(library: "Library", index: "SearchIndex") -> "Router":
    """The learned router where one fits the index, else words and vectors, else words."""
    from prowess.search.routers import Hybrid, Lexical, load

    if index.encoder is None:
        return Lexical()
    if os.path.exists(router_path(library)) and (learned := load(router_path(library))).encoder == index.encoder.name:
        return learned
    return Hybrid()
