"""What the verbs share that look at skills: where these lie, the index kept current, and the router."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.skill import Skill, Snapshot
    from prowess.library import Library
    from prowess.library.derived import Derived
    from prowess.search.filters import Filter
    from prowess.search.index import SearchIndex
    from prowess.search.routers import Router


@dataclass(frozen=True, slots=True)
class Shown:
    """Skills to look at, and what is known of them."""

    snapshot: "Snapshot"
    loaded: dict[str, int]
    """How often each was loaded."""
    kept: "Derived | None"
    """What is kept beside them; nothing beside a folder that is no library."""


def look(screen: "Screen", library: Path | None, folder: Path | None) -> Shown:
    """The skills of the library, or those below `folder`."""
    from prowess.cli.options import open_library
    from prowess.library.derived import Derived

    if folder is not None:
        return Shown(_below(screen, library, folder), {}, None)
    opened = open_library(library)
    return Shown(opened.snapshot(), {n: use.loaded for n, use in opened.uses().items()}, Derived(opened.path))


def _below(screen: "Screen", library: Path | None, folder: Path) -> "Snapshot":
    from prowess.core.errors import UserError
    from prowess.library.folders import skills_below

    if library is not None:
        raise UserError("--skills and --library both say where to look", "leave out one of them")
    found = skills_below(folder)
    if found.unreadable:
        more = f" and {len(found.unreadable) - 1} more" if found.unreadable[1:] else ""
        screen.note(f"left out: {found.unreadable[0]}{more}")
    return found.snapshot


@dataclass(frozen=True, slots=True)
class Place:
    """Where a router looks."""

    index: "SearchIndex"
    path: Path
    read: "Callable[[Sequence[str]], list[Skill]]"
    """Skills by name."""
    snapshot: "Callable[[], Snapshot]"
    library: "Library | None" = None


def place(screen: "Screen", library: "Library") -> Place:
    """A library with its index brought up to date."""
    return Place(open_current(screen, library), library.path, library.skills, library.snapshot, library)


def place_below(screen: "Screen", library: Path | None, folder: Path) -> Place:
    """The skills below `folder`, indexed in memory."""
    from prowess.search.index import SearchIndex

    snapshot = _below(screen, library, folder)
    by_name = {skill.name: skill for skill in snapshot.skills}
    return Place(
        SearchIndex.of(snapshot), folder, lambda names: [by_name[n] for n in names if n in by_name], lambda: snapshot
    )


def trusted(place: Place, only: "Filter", tier: str | None) -> "Filter":
    """The same conditions, for skills of this tier or above; None for all.

    Raises:
        UserError: no tier is called so, or it is asked of a folder, where nobody can have vouched for a skill.
    """
    from prowess.core.errors import UserError
    from prowess.core.trust import Tier
    from prowess.guard.keys import Keyring
    from prowess.guard.tiers import standings_now

    if tier is None:
        return only
    least = Tier.parse(tier)
    if place.library is None:
        raise UserError("skills of a folder have no tier", "leave out --tier, or add them to a library")
    return only.among(name for name, s in standings_now(place.library, Keyring()).items() if s.tier >= least)


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
    """The index of `library`, brought up to date; what it lacks is told on the screen."""
    from prowess.search import keeping
    from prowess.settings import load

    return keeping.open_current(library, load().settings.cache / "encoders", screen.note)


def rank(
    screen: "Screen", place: Place, query: str, limit: int, router: str, only: "Filter", model: str = ""
) -> Answer:
    """What the router called `router` answers; the best that is ready for an empty name."""
    import anyio

    chosen = _router(screen, router, place, model)
    hits = anyio.run(chosen.rank, query, place.index, limit, only)
    skills = {skill.name: skill for skill in place.read([hit.name for hit in hits])}
    found = tuple(Found(hit.name, hit.score, skills[hit.name]) for hit in hits if hit.name in skills)
    if not len(place.index):
        screen.note("there are no skills yet")
    return Answer(found, place.index, chosen.name)


def _router(screen: "Screen", name: str, place: Place, model: str) -> "Router":
    from prowess.core.errors import UserError
    from prowess.search.keeping import router_path
    from prowess.search.routers import Dense, Hybrid, Lexical, load

    if not name:
        return best_ready(screen, place)
    if name == "model":
        from prowess.agents.models import open_model
        from prowess.agents.rerank import Reranked
        from prowess.settings import load as settings

        chosen = open_model(model or settings().settings.model)
        return Reranked(best_ready(screen, place), chosen, lambda n: {s.name: s.description for s in place.read(n)})
    if name == "hierarchical":
        return _hierarchical(screen, place)
    if name == "learned" and place.library is not None:
        return load(router_path(place.library))
    known = {"lexical": Lexical, "dense": Dense, "hybrid": Hybrid}
    if name not in known:
        names = ", ".join([*known, "hierarchical", "learned", "model"])
        why = "a folder has none" if name == "learned" else f"there is no router {name!r}"
        raise UserError(why, f"choose {names}" if name != "learned" else "a router is learned for a library")
    return known[name]()


def _hierarchical(screen: "Screen", place: Place) -> "Router":
    from prowess.library.derived import Derived
    from prowess.search.hierarchy import Hierarchical
    from prowess.search.tree import grow, kept_tree

    skills = place.snapshot().skills
    tree = grow(skills) if place.library is None else kept_tree(skills, Derived(place.library.path))
    return Hierarchical.of(tree, {s.name: s for s in skills}, best_ready(screen, place), place.index.encoder)


def best_ready(screen: "Screen", place: Place) -> "Router":
    """The best router that the place's index bears."""
    from prowess.search import keeping, routers

    learned = None if place.library is None else keeping.router_path(place.library)
    return routers.best_ready(place.index, learned, screen.note)
