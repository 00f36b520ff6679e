"""The pages: each a function from a site and what was asked to HTML. None changes anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prowess import __version__
from prowess.core.errors import UserError
from prowess.core.evidence import Evidence
from prowess.core.skill import Skill, Snapshot
from prowess.core.trust import Tier
from prowess.guard.account import account
from prowess.guard.tiers import Standing, standings
from prowess.library import Change, Library
from prowess.library.provenance import why
from prowess.library.skillmd import render as skill_text
from prowess.library.trees import tree_digest
from prowess.measure.funnel import funnel
from prowess.report.charts import forest_of
from prowess.report.page import environment
from prowess.report.sessions import load_first
from prowess.report.skills import diff_skills
from prowess.report.summary import sentence
from prowess.search.index import SearchIndex
from prowess.serve import review
from prowess.serve.hub.accounts import NotFound
from prowess.serve.web.site import Run, Site, shown
from prowess.serve.web.structure import differences

if TYPE_CHECKING:
    from jinja2 import Environment

LISTED: Final = 500
"""Most rows of a list; the search finds the rest."""
LINES: Final = 1500
"""Most lines of a text that are shown with what is behind them."""


@cache
def _templates() -> "Environment":
    made = environment("prowess.serve.web")
    made.filters["when"] = shown  # pyright: ignore[reportUnknownMemberType]
    return made


@cache
def asset(name: str) -> bytes:
    """A style or script of ours: the report's and the pages' own."""
    own = files("prowess.serve.web") / "templates" / name
    common = files("prowess.report") / "templates" / {"site.css": "style.css", "site.js": "script.js"}[name]
    return common.read_bytes() + b"\n" + own.read_bytes()


def rendered(template: str, site: Site | None, /, **values: Any) -> str:
    """A template filled; `here` names the part of the navigation that is open."""
    return _templates().get_template(template).render(site=site, version=__version__, **values)


@dataclass(slots=True)
class _Skills:
    """The skills of a library as they were read, which takes seconds where there are thousands."""

    state: object
    snapshot: Snapshot
    tiers: dict[str, Tier]
    problems: dict[str, list[str]]
    """Of folders that are no readable skills."""
    index: SearchIndex | None = None


_read: dict[Path, _Skills] = {}


def _skills(site: Site) -> _Skills:
    """Those of now: read again only when a folder, or the trust in one, has changed."""
    lib = site.library
    state = (lib.stamps(), lib.trust.number())
    found = _read.get(lib.path)
    if found is None or found.state != state:
        trees, known = lib.trees(), standings(lib, site.keyring)
        tiers = {name: known.get(tree_digest(tree), Standing()).tier for name, tree in trees.items()}
        problems = {name: said for name, said in lib.problems().items() if name not in trees}
        found = _read[lib.path] = _Skills(state, lib.snapshot(), tiers, problems)
    return found


def library(site: Site) -> str:
    """Every skill, with how far it is trusted, how often it was used, and what is known of its effect."""
    lib, now = site.library, _skills(site)
    snapshot, uses, effects = now.snapshot, lib.uses(), _effects(lib)
    rows = [
        {
            "skill": skill, "tier": now.tiers.get(skill.name, Tier.QUARANTINED),
            "use": uses.get(skill.name), "effect": effects.get(skill.name),
        }
        for skill in snapshot.skills[:LISTED]
    ]  # fmt: skip
    waiting = len(lib.proposals())
    more = len(snapshot.skills) - len(rows)
    return rendered("library.html", site, here="library", rows=rows, more=more, waiting=waiting, problems=now.problems)


def _effects(lib: Library) -> dict[str, Evidence]:
    """The newest evidence with which each skill's present text came in."""
    found: dict[str, Evidence] = {}
    settled: set[str] = set()
    for change in lib.log():
        evidence = _evidence(change)
        for name in change.trees:
            if name not in settled and evidence and change.kind == "apply":
                found[name] = evidence[-1][1]
            settled.add(name)
    return found


def _evidence(change: Change) -> list[tuple[str, Evidence]]:
    return [(v.gate, v.evidence) for v in change.verdicts if v.evidence is not None]


def skill(site: Site, name: str) -> str:
    """One skill: its text with the reason of each line, effect, use, trust and versions. Raises NotFound."""
    lib = site.library
    found = _skills(site).snapshot.get(name)
    if found is None:
        raise NotFound(f"there is no skill {name!r}")
    behind, trust = why(lib, name), account(lib, site.keyring, name)
    changes = lib.log(name, 50)
    plot = forest_of(
        [("gate trials", f"change {c.id[:8]}, gate “{gate}”", e) for c in changes for gate, e in _evidence(c)]
    )
    ours = next((s for s in funnel(site.sessions.use()).skills if s.skill == name), None)
    cited = {r.trajectory for reason in behind.reasons for lesson in reason.lessons.values() for r in lesson.references}
    sessions = {id: f"{site.at}/sessions/{id}" for id in cited if site.sessions.whole(id) is not None}
    return rendered(
        "skill.html", site, here="library", skill=found, trust=trust, behind=behind, lines=behind.lines[:LINES],
        left_out=max(0, len(behind.lines) - LINES), forest=plot, funnel=ours, use=lib.uses().get(name),
        versions=lib.versions(name), changes=changes, sessions=sessions, anchors={},
    )  # fmt: skip


def versions(site: Site, name: str, query: Mapping[str, str]) -> str:
    """Two versions of a skill side by side; the last change without a query. Raises NotFound."""
    lib = site.library
    known = lib.versions(name)
    if not known:
        raise NotFound(f"there is no skill {name!r}")
    numbers = {str(v.number): v for v in known}
    newer = numbers.get(query.get("to", ""), known[0])
    before = next((v for v in known if v.number < newer.number), None)
    older = None if query.get("from") == "0" else numbers.get(query.get("from", ""), before)
    old = _at(lib, name, older.tree if older else None)
    new = _at(lib, name, newer.tree)
    return rendered(
        "versions.html", site, here="library", name=name, versions=known, older=older, newer=newer,
        structure=differences(old, new), diffs=diff_skills(old, new),
    )  # fmt: skip


def _at(lib: Library, name: str, tree: str | None) -> Skill | None:
    if tree is None:
        return None
    return next((s for s in lib.trust.contents([tree]).get(tree, ()) if s.name == name), None)


def queue(site: Site) -> str:
    """Everything that waits for a person."""
    return rendered("queue.html", site, here="review", proposals=site.library.proposals())


def proposal(site: Site, id: str, problem: str = "", text: str | None = None) -> str:
    """One proposal, with what a person needs to decide. Raises NotFound."""
    lib = site.library
    try:
        found = review.find(lib, id)
    except UserError as error:
        raise NotFound(error.message) from error
    pairs, conflict = review.differing(lib, found)
    after = None if conflict else review.candidate(lib, found)
    tweak = ""
    if after is not None:
        try:
            only = after.get(review.only_skill(found, after))
            tweak = skill_text(only) if only is not None else ""
        except UserError:
            pass  # several skills: there is no one text
    plot = forest_of(
        [("gate trials", f"gate “{v.gate}”", v.evidence) for v in found.verdicts if v.evidence is not None]
    )
    foreign = [old.name for old, _ in pairs if old is not None and not lib.is_authored(old.name)]
    cited = {r.trajectory for lesson in found.lessons for r in lesson.references}
    return rendered(
        "proposal.html", site, here="review", proposal=found, conflict=conflict, foreign=foreign, problem=problem,
        changes=[(differences(old, new), diff_skills(old, new), (new or old)) for old, new in pairs], forest=plot,
        tweak=text if text is not None else tweak, anchors={},
        sessions={i: f"{site.at}/sessions/{i}" for i in cited if site.sessions.whole(i) is not None},
    )  # fmt: skip


def search(site: Site, query: str) -> str:
    """The skills that fit a task."""
    now = _skills(site)
    if now.index is None:
        now.index = SearchIndex.of(now.snapshot)
    hits = now.index.search(query, 20) if query.strip() else []
    rows = [(hit, skill) for hit in hits if (skill := now.snapshot.get(hit.name)) is not None]
    return rendered("search.html", site, here="search", query=query, rows=rows)


def sessions(site: Site) -> str:
    """The newest sessions."""
    return rendered("sessions.html", site, here="sessions", rows=site.sessions.recent(200))


def session(site: Site, id: str) -> str:
    """One session, step by step, and what was learned from it. Raises NotFound."""
    from prowess.library.provenance import trace

    whole = site.sessions.whole(id)
    if whole is None:
        raise NotFound(f"there is no session {id!r}")
    (item,), _ = load_first([(id, "")], lambda _: whole)
    try:
        edits = trace(site.library, id).edits
    except UserError:
        edits = ()
    return rendered("session.html", site, here="sessions", item=item, t=whole, edits=edits)


def runs(site: Site) -> str:
    """Runs of recipes: what each came to."""
    rows = [(run, sentence(run.record) if run.record else "") for run in site.runs()]
    return rendered("runs.html", site, here="runs", rows=rows)


def progress(site: Site, fragment: bool = False) -> str:
    """What goes on now; `fragment` alone is what the page asks for again and again."""
    going = [run for run in site.runs() if run.record is None]
    return rendered("going.html" if fragment else "progress.html", site, here="progress", work=site.work(), going=going)


def cost(site: Site) -> str:
    """What sessions and learning cost."""
    stages: dict[str, list[float]] = {}
    for run in site.runs():
        for stage, calls, tokens, usd, seconds in _stages(run):
            total = stages.setdefault(stage, [0.0, 0.0, 0.0, 0.0])
            for i, value in enumerate((calls, tokens, usd, seconds)):
                total[i] += value
    changed = [(c, c.cost) for c in site.library.log(limit=200) if c.cost.calls or c.cost.usd]
    return rendered(
        "cost.html", site, here="cost", models=site.sessions.spent(), stages=sorted(stages.items()), changes=changed
    )


def _stages(run: Run) -> list[tuple[str, float, float, float, float]]:
    if run.record is None:
        return []
    return [(s.stage, s.cost.calls, s.cost.tokens, s.cost.usd, s.cost.seconds) for s in run.record.costs]
