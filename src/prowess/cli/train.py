"""`prowess train`: one training method beside its baselines, in a small world or on a library's skills."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Families, Json, Yes

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.train.record import StudyRecord

SEEDS = 3


def train(
    *,
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="a3t, compositionality, evolving, exit, feedback, sage, score, skill0, skill_sd, skillos, slim, soar "
            "or spear.",
        ),
    ],
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", "-a", metavar="ARM", help="Only this way of training; may stand more than once.",
                     show_default=False),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", "-n", metavar="N", min=1, max=50, help="Runs of each arm.",
                     show_default=f"{SEEDS}; 1 with --library"),
    ] = None,
    scale: Annotated[
        float, typer.Option("--scale", metavar="X", min=0.001, max=100, help="Multiplies all steps."),
    ] = 1.0,
    library: Annotated[
        Path | None,
        typer.Option("--library", "-l", metavar="FOLDER", show_default=False,
                     help="Train on the skills of this library (skill0), and retire those that were learned."),
    ] = None,
    suite: Annotated[
        str,
        typer.Option("--suite", "-s", metavar="SUITE",
                     help="With --library: where its tasks come from; also rules, a small world."),
    ] = "workbench",
    family: Families = None,
    policy: Annotated[
        str,
        typer.Option("--policy", "-p", metavar="MODEL",
                     help="With --library: what is trained: smollm2-135m, tiny, a GGUF file, a folder, or a name."),
    ] = "smollm2-135m",
    tasks: Annotated[
        int, typer.Option("--tasks", metavar="N", min=1, help="With --library: of each family, to train on."),
    ] = 60,
    margin: Annotated[
        float,
        typer.Option("--margin", metavar="SHARE", min=0.01, max=0.5,
                     help="With --library: loss that must be ruled out before a skill leaves."),
    ] = 0.1,
    threads: Annotated[int, typer.Option("--threads", "-t", metavar="N", min=1, help="Threads of the processor.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where checkpoints, results and the page go.",
                     show_default="runs/train-RECIPE"),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Train a model by a published method.

    In a small world, it is compared with its baseline and ablations: all arms start from the same weights and take
    equal steps, under each of the seeds. With --library, a model is trained on the tasks that the library's skills are
    for; a skill leaves the library only when paired trials show that the trained model has learned it. Stopped, the
    same command resumes. Leaves a page with learning curves. Needs `pip install 'prowess[train]'`.
    """
    from prowess.cli.places import write
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.report.training import render_study
    from prowess.train.recipes import study

    chosen = study(recipe)
    import torch

    from prowess.train.study import run_study

    torch.set_num_threads(threads)
    screen, folder, page = Screen(json), out or Path("runs") / f"train-{recipe}", "page.html"
    if library is not None:
        from prowess.cli.internalise import open_shelf, retired, study_of

        shelf = open_shelf(recipe, library, suite, family, policy)
        chosen = study_of(shelf, policy, tasks)
        with Waiting() as waiting:
            record = run_study(
                chosen, folder, seeds=range(seeds or 1), arms=arm or [next(iter(chosen.arms))], scale=scale,
                told=waiting.at,
            )  # fmt: skip
        write(folder / page, render_study(record))
        if not json:
            _show(screen, record)
        decided = retired(screen, shelf, chosen, library, folder, policy, margin=margin, scale=scale, yes=yes)
        if json:
            screen.data({"study": record, "decided": decided})
    else:
        with Waiting() as waiting:
            record = run_study(
                chosen, folder, seeds=range(seeds or SEEDS), arms=arm or (), scale=scale, told=waiting.at
            )  # fmt: skip
        write(folder / page, render_study(record))
        if json:
            screen.data(record)
        else:
            _show(screen, record)
    if not json:
        screen.note(f"the page: {folder / page}")


def _show(screen: "Screen", record: "StudyRecord") -> None:
    """The headline of each arm: at the start, at the end, and how far the method is ahead."""
    from prowess.cli.screen import BOLD
    from prowess.train.record import difference, interval

    screen.line((record.claim, BOLD))
    method, *_ = record.arms
    rows: list[tuple[str, str, str, str]] = []
    for arm in record.arms:
        ahead = None if arm is method else difference(method, arm, record.headline)
        begun = interval([r.points[0].figures[record.headline] for r in arm.runs])
        rows.append((arm.name, f"{begun.mean:.2f}", str(interval(arm.last(record.headline))), str(ahead or "")))
    screen.table(("arm", "warm start", record.headline, f"{method.name} ahead by"), rows)
