"""What `search` and `route` share: the libraries they look in, the index kept current, and the router."""

import os
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


def libraries(given: Path | None, scope: str) -> "list[Library]":
    """The libraries to look in: all that apply, the project's first, since its names count; or that of one scope.

    Raises:
        UserError: there is no such scope, or no library in it.
    """
    from prowess.cli.options import open_libraries, open_library
    from prowess.core.errors import UserError
    from prowess.library.scopes import project_library, user_library

    if not scope:
        return open_libraries(given)
    if given is not None:
        raise UserError("--scope and --library both say where to look", "leave out one of them")
    places = {"project": project_library(Path.cwd()), "user": user_library()}
    if scope not in places:
        raise UserError(f"there is no scope {scope!r}", "choose project or user, or leave it out for both")
    path = places[scope]
    if path is None:
        raise UserError("this folder belongs to no project", "a project has a folder .git or .agents")
    return [open_library(path)]


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


def rank(
    screen: "Screen", library: "Library", query: str, limit: int, router: str, only: "Filter", model: str = ""
) -> Answer:
    """What the router called `router` answers in `library`; the best that is ready for an empty name."""
    import anyio

    index = open_current(screen, library)
    chosen = _router(screen, router, library, index, model)
    hits = anyio.run(chosen.rank, query, index, limit, only)
    skills = {skill.name: skill for skill in library.skills([hit.name for hit in hits])}
    found = tuple(Found(hit.name, hit.score, skills[hit.name]) for hit in hits if hit.name in skills)
    return Answer(found, index, chosen.name)


def router_path(library: "Library") -> Path:
    return library.own / "router.npz"


def _router(screen: "Screen", name: str, library: "Library", index: "SearchIndex", model: str) -> "Router":
    from prowess.core.errors import UserError
    from prowess.search.routers import Dense, Hybrid, Lexical, load

    if not name:
        return best_ready(screen, library, index)
    if name == "model":
        from prowess.agents.models import open_model
        from prowess.agents.rerank import Reranked
        from prowess.search.keeping import descriptions
        from prowess.settings import load as settings

        chosen = open_model(model or settings().settings.model)
        return Reranked(best_ready(screen, library, index), chosen, lambda names: descriptions(library, names))
    if name == "hierarchical":
        return _hierarchical(screen, library, index)
    if name == "learned":
        return load(router_path(library))
    known = {"lexical": Lexical, "dense": Dense, "hybrid": Hybrid}
    if name not in known:
        names = ", ".join([*known, "hierarchical", "learned", "model"])
        raise UserError(f"there is no router {name!r}", f"choose {names}")
    return known[name]()


def _hierarchical(screen: "Screen", library: "Library", index: "SearchIndex") -> "Router":
    from prowess.library.derived import Derived
    from prowess.search.hierarchy import Hierarchical
    from prowess.search.tree import kept_tree

    skills = library.snapshot().skills
    tree = kept_tree(skills, Derived(library.path))
    return Hierarchical.of(tree, {s.name: s for s in skills}, best_ready(screen, library, index), index.encoder)


def best_ready(screen: "Screen", library: "Library", index: "SearchIndex") -> "Router":
    """The learned router where one fits the index, else words and vectors, else words.

    A damaged router is told, and not used.
    """
    from prowess.core.errors import UserError
    from prowess.search.routers import Hybrid, Lexical, load

    if index.encoder is None:
        return Lexical()
    if os.path.exists(router_path(library)):
        try:
            learned = load(router_path(library))
        except UserError as error:
            screen.note(f"search without what was learned: {error.message}")
        else:
            if learned.encoder == index.encoder.name:
                return learned
    return Hybrid()
