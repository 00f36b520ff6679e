"""`prowess measure`: does it help? Paired trials of a skill, a patch, a library, or two libraries."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from prowess.cli.options import (
    Budget,
    Concurrency,
    Families,
    Json,
    LibraryPath,
    ModelSpec,
    Seed,
    SuiteName,
    chosen_budget,
    find_proposal,
    open_library,
)

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.cost import Cost
    from prowess.core.evidence import Verdict
    from prowess.core.model import Model
    from prowess.core.patch import Patch
    from prowess.core.skill import Snapshot
    from prowess.core.task import Task
    from prowess.library import Library
    from prowess.measure.libraries import Judging, Measurement, Past, Wanted
    from prowess.measure.trials import Bench

What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WHAT", help="Skills, or one patch file or proposal; by default the whole library.",
        show_default=False,
    ),
]  # fmt: skip
Tasks = Annotated[int, typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family.")]
Against = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="LIBRARY", help="Another library's folder or an older snapshot, instead of no skills.",
        show_default=False,
    ),
]  # fmt: skip
Adjust = Annotated[
    Literal["holm", "benjamini-hochberg"], typer.Option("--adjust", help="How p-values of many skills are adjusted.")
]
Graded = Annotated[bool, typer.Option("--graded", help="Compare graded scores, and not who passed.")]
Calibrate = Annotated[bool, typer.Option("--calibrate", help="Also run the library twice (A/A), to see what is noise.")]
History = Annotated[
    bool, typer.Option("--history", help="Also try every earlier state of the library: its learning curve.")
]
JudgeSpec = Annotated[
    str | None,
    typer.Option("--judge", metavar="MODEL", help="Let a model judge too, by --criterion.", show_default=False),
]
Criteria = Annotated[
    list[str] | None,
    typer.Option("--criterion", metavar="TEXT", help="What good work does; may stand more than once.",
                 show_default=False),
]  # fmt: skip
SameFamily = Annotated[
    bool, typer.Option("--same-family", help="Let a judge of the agent's own model family decide alone.")
]
Page = Annotated[
    Path | None, typer.Option("--page", metavar="FILE", help="Write a page with plots.", show_default=False)
]


def measure(
    *,
    what: What = None,
    suite: SuiteName = "workbench",
    family: Families = None,
    tasks: Tasks = 20,
    against: Against = None,
    adjust: Adjust = "holm",
    graded: Graded = False,
    calibrate: Calibrate = False,
    history: History = False,
    judge: JudgeSpec = None,
    criterion: Criteria = None,
    same_family: SameFamily = False,
    page: Page = None,
    model: ModelSpec = None,
    library: LibraryPath = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Measure whether a library, a skill or a patch helps.

    A library is compared with no skills (or another library) on held-out tasks, as a whole and skill
    by skill. A patch is compared with the library as it is, on the tasks of gates, until the answer
    is known. Exit code 1 when it makes things worse. Trials are stored, so that a stopped command
    resumes, and what was paid once is free.
    """
    from prowess.agents.models import open_metered
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.cli.trials import chosen_families, open_bench
    from prowess.measure.libraries import Wanted
    from prowess.settings import load
    from prowess.suites import open_suite

    screen, opened, chosen, limit = Screen(json), open_library(library), open_suite(suite), chosen_budget(budget)
    now, patch = _what(opened, what or [])
    split = "test" if patch is None else "gate"
    some = tuple(task for f in chosen_families(chosen, family) for task in chosen.tasks(f, split, tasks))
    other = None if against is None else _other(opened, against)
    executor = open_metered(model or load().settings.model, limit)
    with Waiting(limit) as waiting:
        bench = open_bench(chosen, executor, concurrency, waiting)
        if patch is not None:
            outcome = _measure_patch(screen, opened, patch, some, bench)
        else:
            judging = _judging(judge, criterion or [], executor, same_family)
            past = _past(opened) if history else ()
            wanted = Wanted(adjust, graded, calibrate, judging, past, _learned_for(opened))
            outcome = _measure_library(screen, now, other, some, wanted, seed, bench, page)
    if outcome == "worse":
        raise typer.Exit(1)


def _measure_patch(
    screen: "Screen", library: "Library", patch: "Patch", tasks: "tuple[Task, ...]", bench: "Bench"
) -> str:
    """The gate of paired trials on one patch; its tasks are those of gates, so that the test split stays unseen."""
    import anyio

    from prowess.cli import entries, measured
    from prowess.evolve.providers import BestMatches
    from prowess.measure.calibration import verdicts_with_noise
    from prowess.measure.gates import GateContext, TrialsGate
    from prowess.measure.stats.design import MOST_PAIRS, Design, fewest_pairs

    design = Design(max_pairs=min(MOST_PAIRS, max(len(tasks), fewest_pairs(Design().alpha))))
    gate = TrialsGate(tasks, BestMatches(), design=design, seeds=(0,))
    context = GateContext(bench, say=screen.note)
    verdict: Verdict = anyio.run(gate.check, library.preview(patch), library.snapshot(), patch, context)
    (verdict,) = verdicts_with_noise([verdict], bench.store)
    if screen.json:
        screen.data({"patch": patch.id, "suite": bench.suite.name, "verdict": verdict})
    else:
        entries.verdicts(screen, [verdict])
        screen.line("    ", (verdict.note, "dim"))
        if verdict.evidence is not None:
            measured.details(screen, verdict.evidence)
    return "" if verdict.evidence is None else verdict.evidence.outcome


def _measure_library(
    screen: "Screen",
    now: "Snapshot",
    other: "Snapshot | None",
    tasks: "tuple[Task, ...]",
    wanted: "Wanted",
    seed: int,
    bench: "Bench",
    page: Path | None,
) -> str:
    from functools import partial

    import anyio

    from prowess.cli import measured
    from prowess.evolve.providers import BestMatches
    from prowess.measure.calibration import noise_on
    from prowess.measure.forecast import Assumed, fixed
    from prowess.measure.libraries import measure_library

    assumed = Assumed.of(noise_on(bench))
    screen.note(f"{fixed(len(tasks), assumed)}; noise: {assumed.source}")
    found: Measurement = anyio.run(
        partial(measure_library, tasks, now, other, BestMatches(), bench, seeds=(seed,), wanted=wanted, order_seed=seed)
    )
    if page is not None:
        measured.write(page, found, bench.store)
    if screen.json:
        screen.data(found)
    else:
        measured.show(screen, found)
        if page is not None:
            screen.line(f"Open {page} to see it.")
    return found.evidence.outcome


def _what(library: "Library", names: list[str]) -> "tuple[Snapshot, Patch | None]":
    """What is to be measured: skills of the library, or a patch on it."""
    from prowess.cli.apply import read_patch
    from prowess.core.errors import UserError
    from prowess.core.skill import Snapshot

    now = library.snapshot()
    if len(names) == 1 and now.get(names[0]) is None:
        if Path(names[0]).is_file():
            return now, read_patch(names[0])
        if any(p.id.startswith(names[0]) for p in library.proposals()):
            return now, find_proposal(library, names[0]).patch
    if unknown := [n for n in names if now.get(n) is None]:
        raise UserError(
            f"the library has no skill {unknown[0]!r}, and no proposal or patch file is called that",
            "`prowess show` lists the skills, `prowess review` the proposals",
        )
    if not now.skills:
        raise UserError("the library is empty, so there is nothing to measure", "`prowess run` or `learn` fill it")
    return (now if not names else Snapshot.of([s for s in now.skills if s.name in names])), None


def _other(library: "Library", against: str) -> "Snapshot":
    """The snapshot to compare with: of another library, or an older one of this."""
    from prowess.library import Library

    return Library.open(Path(against)).snapshot() if Path(against).is_dir() else library.at(against)


def _judging(judge: str | None, criteria: list[str], executor: "Model", same_family: bool) -> "Judging | None":
    from prowess.core.errors import UserError

    if bool(criteria) != (judge is not None):
        raise UserError(
            "--judge and --criterion belong together", "give a model and at least one criterion, or neither"
        )
    if judge is None:
        return None
    from prowess.agents.models import open_model
    from prowess.measure.judge import Judge
    from prowess.measure.libraries import Judging

    return Judging(Judge(open_model(judge), tuple(criteria)), executor.name, same_family)


def _past(library: "Library") -> "tuple[Past, ...]":
    """Every state that the library has been in, oldest first, with what had been spent on proof up to it.

    The first is the one before all changes, which is mostly empty and shares its trials with the baseline.
    """
    from itertools import accumulate

    from prowess.core.cost import Cost
    from prowess.measure.libraries import Past

    log = list(reversed(library.log()))
    if not log:
        return ()
    spent = accumulate((change.cost for change in log), initial=Cost())
    labels = ["before the first change", *(c.patch.reason if c.patch is not None else c.kind for c in log)]
    states = [log[0].before, *(change.after for change in log)]
    return tuple(Past(label, library.at(state), cost) for label, state, cost in zip(labels, states, spent, strict=True))


def _learned_for(library: "Library") -> "dict[str, Cost]":
    """What the changes of each skill cost, by the ledger."""
    from prowess.core.cost import Cost

    found: dict[str, Cost] = {}
    for change in library.log():
        for name in change.trees:
            found[name] = found.get(name, Cost()) + change.cost
    return found
