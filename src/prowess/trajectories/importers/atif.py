"""ATIF documents (`*.json`, one trajectory each, or JSONL of them)."""

from collections.abc import Iterator
from pathlib import Path

from prowess.core.errors import UserError
from prowess.core.trajectory import Trajectory
from prowess.trajectories.atif import from_atif
from prowess.trajectories.importers.chat import read_json
from prowess.trajectories.importers.records import Json, Report, as_dict, as_list, is_own_run, read_records
from prowess.trajectories.skill_use import with_skills


def read(path: Path, report: Report) -> Iterator[Trajectory]:
    for line, document in _documents(path, report):
        try:
            trajectory = from_atif(document)
        except UserError as error:
            report.broke(line, error.message)
            continue
        report.known["trajectory"] += 1
        if is_own_run(list(trajectory.steps), trajectory.extra.get("cwd")):
            report.own_runs += 1
            continue
        if not (trajectory.offered or trajectory.loaded):
            trajectory = with_skills(trajectory, ())
        yield trajectory


def _documents(path: Path, report: Report) -> Iterator[tuple[int, Json]]:
    if path.suffix.lower() == ".jsonl":
        for record in read_records(path, report):
            yield record.line, record.data
        return
    data = read_json(path, report)
    for item in as_list(data) if isinstance(data, list) else [data]:
        if isinstance(item, dict):
            yield 1, as_dict(item)
