"""Every training recipe beside its baselines and ablations: does the paper's effect show, and how surely?

    python benchmarks/mechanisms.py                              # all, three seeds
    python benchmarks/mechanisms.py --minutes 20                     # as far as that goes; again, and it goes on
    python benchmarks/mechanisms.py sage skill0 --seeds 5            # some, more seeds
    python benchmarks/mechanisms.py --scale 0.05 --seeds 1           # does it all run? about five minutes

Every seed is done for all studies before the next begins. Prints one table in Markdown for each study: the headline
figure at the warm start and at the end, its mean over seeds with the 95 % interval (Student's t), how far the method is
ahead, seed by seed, and minutes; and which seeds an arm lacks. Leaves a page with the learning curves in
`runs/mechanisms/<study>/page.html`. Stopped or killed at any moment, the same command resumes.
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import torch

from prowess.cli.progress import Waiting
from prowess.report.training import render_study
from prowess.train.recipes import STUDIES, study
from prowess.train.record import StudyRecord, difference, interval
from prowess.train.study import Told, run_study


def table(record: StudyRecord, arms: list[str], seeds: range) -> str:
    """The result as Markdown, and which of the arms and seeds it lacks."""
    method, h = record.arms[0], record.headline
    have = {arm.name: {run.seed for run in arm.runs} for arm in record.arms}
    missing = {a: [s for s in seeds if s not in have.get(a, ())] for a in arms}
    lines = [
        f"\n### {record.study}\n",
        f"{record.claim}\n",
        f"Figure: {h}; {record.model}; {record.machine}; n = {len(method.runs)} seeds.\n",
        *(f"Missing: {a}, seed {', '.join(map(str, of))}.\n" for a, of in missing.items() if of),
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
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further arm after so many")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    end = time.monotonic() + 60 * o.minutes
    records: dict[str, StudyRecord] = {}
    studies = {name: study(name) for name in o.studies}
    with Waiting() as waiting:
        for seed in range(o.seeds):
            for name, of in studies.items():
                for arm in of.arms:
                    if time.monotonic() < end:
                        told = partial(_named, waiting.at, name)
                        records[name] = run_study(
                            of, o.out / name, seeds=[seed], arms=[arm], scale=o.scale, told=told
                        )  # fmt: skip
    for name, record in records.items():
        (o.out / name / "page.html").write_text(render_study(record), "utf-8")
        print(table(record, list(studies[name].arms), range(o.seeds)), flush=True)


def _named(told: Told, name: str, what: str, done: int, total: int, note: str) -> object:
    return told(f"{name}: {what}", done, total, note)


if __name__ == "__main__":
    main()
