"""Every training recipe beside its baselines and ablations: does the paper's effect show, and how surely?

    python benchmarks/mechanisms.py                                  # all, three seeds
    python benchmarks/mechanisms.py sage skill0 --seeds 5            # some, more seeds
    python benchmarks/mechanisms.py --scale 0.05 --seeds 1           # does it all run? about five minutes

Prints one table in Markdown for each study: the headline figure at the warm start and at the end, its mean over seeds
with the 95 % interval (Student's t), how far the method is ahead, seed by seed, and minutes. Leaves a page with the
learning curves in `runs/mechanisms/<study>/page.html`. Stopped, the same command resumes.
"""

import argparse
import statistics
from pathlib import Path

import torch

from prowess.cli.progress import Waiting
from prowess.report.training import render_study
from prowess.train.recipes import STUDIES, study
from prowess.train.record import StudyRecord, difference, interval
from prowess.train.study import run_study


def table(record: StudyRecord) -> str:
    """The result as Markdown."""
    method, h = record.arms[0], record.headline
    lines = [
        f"\n### {record.study}\n",
        f"{record.claim}\n",
        f"Figure: {h}; {record.model}; {record.machine}; n = {len(method.runs)} seeds.\n",
        f"| arm | warm start | end | {method.name} ahead by | tokens sampled | minutes a run |",
        "|---|---|---|---|---|---|",
    ]
    for arm in record.arms:
        start = statistics.fmean(run.points[0].figures[h] for run in arm.runs)
        ahead = "" if arm is method else str(difference(method, arm, h))
        tokens = statistics.fmean(run.points[-1].tokens for run in arm.runs)
        minutes = statistics.fmean(run.seconds for run in arm.runs) / 60
        lines.append(
            f"| {arm.name} | {start:.2f} | {interval(arm.last(h))} | {ahead} | {tokens:,.0f} | {minutes:.1f} |"
        )
    others = [f for f in record.arms[0].runs[0].points[-1].figures if f != h]
    lines += ["", "| at the end | " + " | ".join(others) + " |", "|---" * (len(others) + 1) + "|"]
    for arm in record.arms:
        cells = [f"{statistics.fmean(arm.last(f)):.2f}" for f in others]
        lines.append(f"| {arm.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", default=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/mechanisms"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.studies:
        folder = options.out / name
        with Waiting() as waiting:
            record = run_study(study(name), folder, seeds=range(options.seeds), scale=options.scale, told=waiting.at)
        (folder / "page.html").write_text(render_study(record), "utf-8")
        print(table(record), flush=True)


if __name__ == "__main__":
    main()
