"""`prowess sleep`: what can be done while nobody works. New sessions in, proposals out."""

from typing import TYPE_CHECKING

from prowess.cli.learn import Wording
from prowess.cli.options import Budget, Concurrency, Json, LibraryPath, chosen_budget, open_library

if TYPE_CHECKING:
    from prowess.core.evidence import Verdict
    from prowess.library import Library, Proposal
    from prowess.trajectories.store import TrajectoryStore


def sleep(
    *,
    model: Wording = None,
    library: LibraryPath = None,
    concurrency: Concurrency = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Capture, learn, replay and stage, once.

    Reads new sessions, finds work that recurs in them, proposes skills for it, and puts the requests of all sessions to
    each: one that is not found for its own, or pushes itself into others, is rejected. What is left waits for `prowess
    review`; nothing is applied. Made to be run by a timer at night; it ends by itself.
    """
    import anyio

    from prowess.cli.capture import look
    from prowess.cli.places import trajectories
    from prowess.cli.screen import BAD, BOLD, Screen
    from prowess.evolve.learn import learn as propose
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    usual = "none" if settings.model.partition(":")[0] == "embedded" else settings.model
    swept = look()
    opened = open_library(library, create=True)
    with trajectories() as store:
        proposals = anyio.run(
            lambda: propose(
                source=None, sessions=store, library=opened, model=model or usual,
                concurrency=concurrency or settings.concurrency, budget_usd=chosen_budget(budget),
                report=lambda event: None,
            )
        )  # fmt: skip
        judged = _judged(proposals, opened, store)
    for proposal, verdict in judged:
        if verdict is not None and verdict.status == "fail":
            opened.reject(proposal.id, f"replay: {verdict.note}")
    if json:
        rows = [{"id": p.id, "reason": p.patch.reason, "replay": v} for p, v in judged]
        screen.data({"captured": swept._asdict(), "proposals": rows})
        return
    screen.note(f"{swept.sessions:,} sessions in {swept.files:,} changed files, {swept.new:,} new")
    for proposal, verdict in judged:
        failed = verdict is not None and verdict.status == "fail"
        screen.line((proposal.id[:8], BOLD), f"  {proposal.patch.reason}", (" rejected" if failed else "", BAD))
        if verdict is not None:
            screen.line("    ", verdict.note)
    waiting = len(opened.proposals())
    screen.note(f"{waiting} wait for `prowess review`" if waiting else "nothing waits for review")


def _judged(
    proposals: "tuple[Proposal, ...]", library: "Library", store: "TrajectoryStore"
) -> "list[tuple[Proposal, Verdict | None]]":
    """Each proposal with the verdict of the replay; the sessions are read only where there is something to judge."""
    from prowess.evolve.logs.works import works
    from prowess.evolve.replay import replay

    if not proposals:
        return []
    asked = works(store.get(row.id) for row in store.find() if row.task_id is None and row.status == "completed")
    replays = [(proposal, replay(proposal, library, asked)) for proposal in proposals]
    return [(proposal, found.verdict if found is not None else None) for proposal, found in replays]
