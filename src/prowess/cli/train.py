"""`prowess train`: one training method beside its baselines, in a small world."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.train.record import StudyRecord


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
    seeds: Annotated[int, typer.Option("--seeds", "-n", metavar="N", min=1, max=50, help="Runs of each arm.")] = 3,
    scale: Annotated[
        float, typer.Option("--scale", metavar="X", min=0.001, max=100, help="Multiplies all steps."),
    ] = 1.0,
    threads: Annotated[int, typer.Option("--threads", "-t", metavar="N", min=1, help="Threads of the processor.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Where checkpoints, results and the page go.",
                     show_default="runs/train-RECIPE"),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Train a small model by a published method.

    It is compared with its baseline and ablations: all arms start from the same weights and take equal steps,
    under each of the seeds. Stopped, the same command resumes. Leaves a page with learning curves. Needs
    `pip install 'prowess[train]'`.
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
    screen, folder = Screen(json), out or Path("runs") / f"train-{recipe}"
    with Waiting() as waiting:
        record = run_study(
            chosen, folder, seeds=range(seeds), arms=arm or (), scale=scale,
            told=waiting.at,
        )  # fmt: skip
    page = folder / "page.html"
    write(page, render_study(record))
    if json:
        screen.data(record)
        return
    _show(screen, record)
    screen.note(f"the page: {page}")


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
