"""`prowess learn`: propose skills from sessions that really happened."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Budget, Concurrency, Json, LibraryPath, chosen_budget, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.evolve.protocols import Event
    from prowess.library import Proposal

SHOWN = 5
"""Lines of each proposal that are shown here; `prowess review` shows all."""


Source = Annotated[
    Path | None,
    typer.Option("--from", metavar="FOLDER", help="Sessions to read; by default all that were imported."),
]
Wording = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL",
        help="Words the lines better: openai:NAME, anthropic:NAME, embedded, or none. By default the model of the "
        "settings, but the embedded one only where it is named here: it is slow at this.",
        show_default=False,
    ),
]  # fmt: skip


def learn(
    *,
    source: Source = None,
    model: Wording = None,
    library: LibraryPath = None,
    concurrency: Concurrency = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Propose skills from real sessions.

    Needs no model. Nothing is applied: `prowess review` decides on what is proposed. The same sessions
    give nothing new, and what was refused stays refused. Exit code 1 when there are no sessions.
    """
    import anyio

    from prowess.cli.places import trajectories
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.evolve.learn import learn as propose
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    limit = chosen_budget(budget)
    usual = "none" if settings.model.partition(":")[0] == "embedded" else settings.model
    opened, remarks = open_library(library, create=True), _Remarks()
    with trajectories() as store, Waiting(limit) as waiting:

        def tell(event: "Event") -> None:
            remarks.note(event)
            waiting.tell(event)

        proposals = anyio.run(
            lambda: propose(
                source=source,
                sessions=store,
                library=opened,
                model=model or usual,
                concurrency=concurrency or settings.concurrency,
                budget_usd=limit,
                report=tell,
            )
        )
    if json:
        screen.data(proposals)
    for proposal in () if json else proposals:
        _show(screen, proposal)
    remarks.say(screen)
    if proposals:
        screen.note(f"{len(proposals)} proposed; `prowess review` decides on them")
    elif remarks.sessions:
        screen.note("nothing new was found that a skill could help with")
    else:
        screen.note("there are no sessions yet: `prowess import PATH` reads some, or name a folder with --from")
        raise typer.Exit(1)


class _Remarks:
    """What there is to say of a run besides its proposals: what was left out and why, and what went wrong."""

    def __init__(self) -> None:
        self.sessions = 0
        """Or files that hold some."""
        self._left_out: Counter[str] = Counter()
        self._wrong: list[str] = []

    def note(self, event: "Event") -> None:
        self.sessions += event.stage in ("import", "read")
        if why := event.data.get("why"):
            self._left_out[why] += 1
        if event.stage in ("refuse", "write"):
            self._wrong.append(event.message)

    def say(self, screen: "Screen") -> None:
        for message in self._wrong:
            screen.note("not as hoped: ", message)
        for why, n in self._left_out.most_common():
            screen.note(f"{n} kind{'s' * (n > 1)} of work left out: {why}")


def _show(screen: "Screen", proposal: "Proposal") -> None:
    """The proposal in brief: what is behind it, and its best supported lines, each with a quote."""
    from prowess.cli import entries
    from prowess.cli.screen import BOLD, SOFT

    screen.line((proposal.id[:8], BOLD), f"  {proposal.patch.reason}")
    entries.verdicts(screen, [v for v in proposal.verdicts if v.status != "pass"])
    named = [lesson for lesson in proposal.lessons if lesson.kind != "memory"] or list(proposal.lessons)
    best = sorted(named, key=lambda x: (x.kind != "cause", -len({r.trajectory for r in x.references})))[:SHOWN]
    entries.lessons(screen, [lesson.model_copy(update={"references": lesson.references[:1]}) for lesson in best])
    if len(proposal.lessons) > len(best):
        more = len(proposal.lessons) - len(best)
        screen.line("    ", (f"and {more} more: `prowess show {proposal.id[:8]}`", SOFT))
    screen.line()
