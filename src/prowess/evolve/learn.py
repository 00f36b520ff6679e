"""`prowess learn`: from sessions that really happened to proposed skills.

No task of these sessions has checks, so nothing can be tried and measured: what comes out is proposed, with its quotes,
and only a person applies it. The same sessions never give the same proposal twice (`prowess.evolve.logs.history`).

The lines are found without a model. A model, where one is named, may word them better, but not add to them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from prowess.core.errors import ModelError, PatchConflict
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.model import Model
from prowess.core.patch import CreateSkill, Operation, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.trajectory import Trajectory
from prowess.evolve.logs.groups import Group, groups
from prowess.evolve.logs.history import AUTHOR, Past, history, learned_skill, reason_to_wait
from prowess.evolve.logs.page import Page, additions, page_of, skill_of, unknown
from prowess.evolve.logs.points import points
from prowess.evolve.logs.snippet import snippet
from prowess.evolve.logs.words import cosine, vector, words
from prowess.evolve.logs.works import works
from prowess.evolve.protocols import Event
from prowess.guard.redact import redact
from prowess.guard.scan import scan, scan_change
from prowess.library import Library, Proposal
from prowess.library.patching import apply
from prowess.library.skillmd import validate
from prowess.measure.pool import for_each
from prowess.trajectories.store import CorruptTrajectory, TrajectoryStore

NO_MODEL = "none"
"""The name of no model: the lines stay in the sessions' own words."""
SESSIONS = 2
"""Independent sessions that a kind of work needs. What happened once may be chance."""
LINES = 4
"""A new skill has at least this many lines; an addition at least one."""
COVERS = 0.2
"""A skill covers a group when the cosine of their words is this or more, the same as for a piece of work that joins a
group (docs/decisions/0090)."""

Report = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Case:
    """A group that may be learned from, and where the result goes."""

    group: Group
    page: Page
    name: str
    existing: Skill | None
    left_out: int
    """Lines that the scan blocked."""


async def learn(
    *,
    source: Path | None,
    sessions: TrajectoryStore,
    library: Library,
    model: str,
    concurrency: int,
    budget_usd: float | None,
    report: Report,
) -> tuple[Proposal, ...]:
    """Propose skills for `library`.

    Args:
        source: A folder or file of session logs; they are kept in `sessions` too, so that quotes can be looked up. None
            for all imported sessions in `sessions`.
        model: Words the lines; `NO_MODEL` for none. An answer that cannot be used is reported, and the lines stay as
            they were.

    Raises:
        UserError: nothing lies at `source`, or `model` cannot be opened.
        BudgetExceeded: the budget was reached; what was proposed before stays proposed.
    """
    return await learn_from(
        _read(source, sessions, report), library=library, writer=_open(model, budget_usd), concurrency=concurrency,
        report=report,
    )  # fmt: skip


async def learn_from(
    trajectories: Iterable[Trajectory], *, library: Library, writer: Model | None, concurrency: int, report: Report
) -> tuple[Proposal, ...]:
    """The same from sessions wherever they lie; `writer` None leaves the lines in the sessions' own words."""
    found = works(trajectories)
    snapshot = library.snapshot()
    cases = _cases(groups(found), history(library, found), snapshot, report)
    done: dict[int, Proposal] = {}

    async def one(number: int) -> None:
        case = cases[number]
        proposal = await _propose(case, snapshot, library, writer, report)
        if proposal is not None:
            done[number] = proposal
        report(Event("propose", case.name, {"total": len(cases)}))

    await for_each(range(len(cases)), one, concurrency)
    return tuple(done[number] for number in sorted(done))


def _open(model: str, budget_usd: float | None) -> Model | None:
    if model == NO_MODEL:
        return None
    from prowess.agents.models import open_metered

    return open_metered(model, budget_usd)


def _read(source: Path | None, sessions: TrajectoryStore, report: Report) -> Iterator[Trajectory]:
    """The sessions to learn from, one at a time."""
    if source is not None:
        from prowess.trajectories.importers import Progress, import_path

        def told(at: Progress) -> None:
            report(Event("import", at.path.name, {"done": at.files, "total": at.files_total}))

        for imported in import_path(source, told):
            if imported.trajectory is not None:
                sessions.put(imported.trajectory)
                yield imported.trajectory
        return
    rows = [row for row in sessions.find() if row.task_id is None and row.status == "completed"]
    for number, row in enumerate(rows, 1):
        try:
            yield sessions.get(row.id)
        except CorruptTrajectory as damaged:
            report(Event("read", damaged.message, {"done": number, "total": len(rows)}))
        else:
            report(Event("read", row.agent, {"done": number, "total": len(rows)}))


def _cases(found: list[Group], past: list[Past], library: Snapshot, report: Report) -> list[_Case]:
    taken = {*library.names, *(p.skill for p in past if p.state == "waiting")}
    cases: list[_Case] = []
    for number, group in enumerate(found, 1):
        case, why = _case(group, past, library, taken)
        if case is not None:
            cases.append(case)
            taken.add(case.name)
        told = {"done": number, "total": len(found), "why": why}
        report(Event("group", f"{group.title}: {why or 'to be proposed'}", told))
    return cases


def _case(group: Group, past: list[Past], library: Snapshot, taken: set[str]) -> tuple[_Case | None, str]:
    """What to propose for a group; else nothing, and why."""
    if len(group.sessions) < SESSIONS:
        return None, "seen in one session only"
    if why := reason_to_wait(group, past):
        return None, why
    if not group.believes(group.sessions):
        return None, "seen by too few people"
    page = page_of(group, points(group), snippet(group))
    safe, left_out = _without_blocked(page)
    existing = _covering(group, past, library)
    if existing is not None:
        safe = unknown(safe, existing)
        if not safe.points:
            return None, f"skill {existing.name} says it all"
        return _Case(group, safe, existing.name, existing, left_out), ""
    if len(safe.points) < LINES:
        return None, "too little in common"
    name = group.name
    for n in range(2, len(taken) + 3):
        if name not in taken:
            break
        name = f"{group.name}-{n}"
    return _Case(group, safe, name, None, left_out), ""


def _without_blocked(page: Page) -> tuple[Page, int]:
    """The page without lines that no skill may hold, and how many those are."""
    kept = tuple(point for point in page.points if not _blocked(point.text))
    code = page.snippet if page.snippet is not None and not _blocked(page.snippet.text) else None
    left_out = len(page.points) - len(kept) + (page.snippet is not None and code is None)
    return replace(page, points=kept, snippet=code), left_out


def _blocked(text: str) -> bool:
    if redact(text) != text:  # taken out before a session is stored; here stands what only looks like one together
        return True
    probe = Skill(name="probe", description="-", body=text)
    return any(finding.severity == "block" for finding in scan(probe, learned=True))


def _covering(group: Group, past: list[Past], library: Snapshot) -> Skill | None:
    """The skill of the library that is for such work: learned from it, loaded in it, or of the same words."""
    if (learned := learned_skill(group, past)) is not None:
        return library.get(learned)
    loads = {s.name: len({w.session for w in group.works if s.name in w.loaded}) for s in library.skills}
    loaded = max(loads, key=lambda name: (loads[name], name), default=None)
    if loaded is not None and 2 * loads[loaded] > len(group.sessions):
        return library.get(loaded)
    alike = {skill.name: likeness(skill, group) for skill in library.skills}
    best = max(alike, key=lambda name: (alike[name], name), default=None)
    return library.get(best) if best is not None and alike[best] >= COVERS else None


def likeness(skill: Skill, group: Group) -> float:
    """How alike the words of a skill and of a group's sessions are, 0 to 1; its name and description count most."""
    counts: dict[str, float] = {}
    for text, weight in ((skill.name.replace("-", " "), 4.0), (skill.description, 4.0), (skill.body, 1.0)):
        for word in words(text):
            counts[word] = counts.get(word, 0.0) + weight
    mean: dict[str, float] = {}
    for work in group.works:
        for word, value in vector(work.profile, group.rarity).items():
            if ":" not in word:
                mean[word] = mean.get(word, 0.0) + value
    length = sum(value * value for value in mean.values()) ** 0.5
    return cosine(vector(counts, group.rarity), mean) / length if length else 0.0


async def _propose(
    case: _Case, library: Snapshot, into: Library, writer: Model | None, report: Report
) -> Proposal | None:
    page, worded = case.page, ""
    if writer is not None:
        page, worded = await _worded(case, writer, report)
    patch, candidate, lessons = _patch(case, page, library)
    try:
        after = apply(patch, library)
    except PatchConflict as conflict:
        report(Event("refuse", f"{case.name}: {conflict.message}", {"skill": case.name}))
        return None
    if case.existing is not None and not into.is_authored(case.existing.name):
        worded += f"; {case.existing.name} was not written by prowess: accept with --foreign"
    verdicts = _verdicts(case, after.get(candidate), worded)
    failed = next((v for v in verdicts if v.status == "fail"), None)
    if failed is not None:
        report(Event("refuse", f"{case.name}: {failed.gate}: {failed.note}", {"skill": case.name}))
        return None
    return into.propose(patch, lessons, verdicts, by=AUTHOR)


async def _worded(case: _Case, writer: Model, report: Report) -> tuple[Page, str]:
    """The page in the model's words and a note about it; as it was where the model fails or says too little."""
    from prowess.evolve.logs.writer import write

    try:
        written = await write(case.page, case.group, writer)
    except ModelError as error:
        report(Event("write", f"{case.name} stays in the sessions' words: {error}", {"skill": case.name}))
        return case.page, ""
    page, _ = _without_blocked(written.page)
    if len(page.points) < (LINES if case.existing is None else 1):
        report(Event("write", f"{case.name} stays in the sessions' words: too few lines came back", {}))
        return case.page, ""
    dropped = f", {written.dropped} lines without a point behind them dropped" if written.dropped else ""
    return page, f"; worded by {writer.name}{dropped}"


def _patch(case: _Case, page: Page, library: Snapshot) -> tuple[Patch, str, tuple[Lesson, ...]]:
    lessons = page.lessons(case.group)
    n = len(case.group.sessions)
    operations: tuple[Operation, ...]
    if case.existing is None:
        operations = (CreateSkill(skill=skill_of(page, case.group, case.name)),)
        reason = f"{case.name}: learned from {n} sessions"
    else:
        operations = additions(page, case.group, case.existing)
        reason = f"{case.name}: {len(page.points)} lines learned from {n} sessions"
    ids = tuple(lesson.id for lesson in lessons)
    return (
        Patch(base=library.digest, operations=operations, reason=reason, lessons=ids, author=AUTHOR),
        case.name,
        lessons,
    )


def _verdicts(case: _Case, skill: Skill | None, worded: str) -> tuple[Verdict, ...]:
    """What can be said without trials: is it valid, is it harmless to the eye of fixed rules, and what is behind it."""
    if skill is None:
        return (Verdict(gate="format", status="fail", note="the patch leaves no skill"),)
    problems = validate(skill)
    findings = scan_change(skill, case.existing)
    notes = [f"{f.file}:{f.line}: {f.why}" for f in findings[:5]]
    if case.left_out:
        notes.append(f"{case.left_out} lines left out, which hold what no skill may hold")
    blocked = any(f.severity == "block" for f in findings)
    harmless = "fail" if blocked else "propose" if notes else "pass"
    others = sorted({name for work in case.group.works for name in work.loaded} - {case.name})
    beside = f"; the sessions had loaded {', '.join(others[:4])}, whose text is not used" if others else ""
    told = (
        f"{len(case.group.sessions)} sessions, none with checks: no trial can measure it, so you decide{beside}{worded}"
    )
    return (
        Verdict(gate="format", status="fail" if problems else "pass", note="; ".join(problems)),
        Verdict(gate="scan", status=harmless, note="; ".join(notes)),
        Verdict(gate="evidence", status="propose", note=told),
    )
