"""A study: one method beside its baselines and ablations, from one warm start, on equal steps and seeds.

Everything is kept in a folder as it is made, so that a stopped study goes on where it was.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from prowess.core.errors import UserError
from prowess.library.disk import write_file
from prowess.train import checkpoints
from prowess.train.parts import Recipe
from prowess.train.policies.decoder import count
from prowess.train.policies.model import ModelPolicy
from prowess.train.record import ArmRecord, Point, SeedRun, StudyRecord
from prowess.train.trainer import Metrics, Trainer

Policies = Mapping[str, Any]
Skills = Mapping[str, str]
RECORD = "study.json"
WARM_SAVED = 250
"""Steps of a warm start between two checkpoints."""
Told = Callable[[str, int, int, str], object]
"""Told what is being done, how many steps of how many are finished, and a few figures."""


class Phase(NamedTuple):
    """Some steps of one recipe."""

    recipe: Recipe
    steps: int


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training: phases, one after the other, with the same policies."""

    what: str
    phases: Callable[[int], Sequence[Phase]]
    """From a seed to fresh phases; parts may keep a state."""


@dataclass(frozen=True, slots=True)
class Study:
    """What is compared, and how it is measured."""

    name: str
    source: str
    """The paper."""
    claim: str
    """What the paper found, in one sentence about `headline`."""
    substituted: str
    """What stands here in place of the paper's model, data or environment."""
    headline: str
    start: Callable[[int], ModelPolicy]
    """From a seed to an untrained actor."""
    warm: Callable[[int], Phase] | None
    """None for an actor that knows enough already."""
    arms: Mapping[str, Arm]
    """The method itself comes first."""
    measure: Callable[[Policies, Skills, int, int], Metrics]
    """From the policies, the library as training left it, a seed and a number of held-out tasks to figures."""
    measured: int = 128
    """Held-out tasks of each figure."""
    cast: Callable[[ModelPolicy], Policies] = lambda actor: {"actor": actor, "reference": actor.clone("reference")}
    """All policies of an arm, made from the warm-started actor."""


def alternate(phases: Sequence[Phase], rounds: int) -> list[Phase]:
    """The phases over and over: co-evolution of policies that take turns."""
    return [phase for _ in range(rounds) for phase in phases]


def run_study(
    study: Study, folder: Path, *, seeds: Sequence[int], arms: Sequence[str] = (), scale: float = 1.0, looks: int = 8,
    told: Told = lambda what, done, total, note: None,
) -> StudyRecord:  # fmt: skip
    """Run arms under seeds, and write `study.json` in the folder after each; what it holds already is not run again.

    Args:
        arms: names; all for none.
        scale: multiplies the steps of every phase, the warm start's included: less for a first look.
        looks: measurements along each run, its start and end included.

    Returns:
        Everything that the folder holds now, other arms and seeds included.

    Raises:
        UserError: an arm is unknown, or the folder holds another study.
    """
    if not seeds:
        raise UserError("a study needs a seed", "give at least one")
    unknown = [a for a in arms if a not in study.arms]
    if unknown:
        raise UserError(f"study {study.name!r} has no arm {unknown[0]!r}", f"choose from {', '.join(study.arms)}")
    _claim(folder, {"study": study.name, "scale": scale, "looks": looks})
    done = _done(folder / RECORD)
    for seed in seeds:
        left = [a for a in study.arms if (not arms or a in arms) and seed not in done.get(a, {})]
        if not left:
            continue
        actor = _warmed(study, folder, seed, scale, told)
        start = next((runs[seed].points[0].figures for runs in done.values() if seed in runs), None)
        if start is None:
            library = next(iter(study.arms.values())).phases(seed)[0].recipe.skills
            start = study.measure(study.cast(actor), library, seed, study.measured)
        for arm in left:
            run = _run(study, arm, actor, seed, folder, scale, looks, start, told)
            done.setdefault(arm, {})[seed] = run
            record = _record(study, done, f"{count(actor.network):,} parameters")
            write_file(folder / RECORD, record.model_dump_json(indent=1).encode(), folder)
    return StudyRecord.model_validate_json((folder / RECORD).read_text("utf-8"))


def _done(path: Path) -> dict[str, dict[int, SeedRun]]:
    """The runs that a record holds, by arm and seed; none where there is no record yet."""
    if not path.is_file():
        return {}
    record = StudyRecord.model_validate_json(path.read_text("utf-8"))
    return {arm.name: {run.seed: run for run in arm.runs} for arm in record.arms}


def _record(study: Study, done: Mapping[str, Mapping[int, SeedRun]], model: str) -> StudyRecord:
    arms = [
        ArmRecord(name=name, what=arm.what, runs=tuple(done[name][seed] for seed in sorted(done[name])))
        for name, arm in study.arms.items()
        if done.get(name)
    ]
    return StudyRecord(
        study=study.name, source=study.source, claim=study.claim, substituted=study.substituted,
        headline=study.headline, model=model, machine=machine(), arms=tuple(arms),
    )  # fmt: skip


def trained(study: Study, arm: str, seed: int, folder: Path, *, scale: float = 1.0) -> tuple[ModelPolicy, Policies]:
    """The actor before an arm, and all policies as a finished arm left them.

    Raises:
        UserError: the arm was not run in this folder.
    """
    state = checkpoints.latest(_kept(folder, arm, seed))
    if state is None or state["trainer"] is None:
        raise UserError(f"{folder} has no run of {arm!r} with seed {seed}", "run the study first")
    before = _warmed(study, folder, seed, scale, lambda what, done, total, note: None)
    policies = study.cast(before.clone("actor", trainable=True))
    _carry(policies, state["trainer"]["state"])
    return before, policies


def machine() -> str:
    """What ran it, in a few words."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"{device}, {torch.get_num_threads()} of {os.cpu_count()} threads, torch {torch.__version__}"


def _kept(folder: Path, arm: str, seed: int) -> Path:
    """Where the checkpoints of one run lie."""
    return folder / f"{arm}-{seed}".replace(" ", "-")


def _claim(folder: Path, what: dict[str, Any]) -> None:
    """Make the folder this study's; refuse one that belongs to another."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "of.json"
    if path.is_file() and (found := json.loads(path.read_text("utf-8"))) != what:
        raise UserError(f"{folder} holds a study of {found}, not of {what}", "name another folder, or delete this one")
    write_file(path, json.dumps(what).encode(), folder)


def _warmed(study: Study, folder: Path, seed: int, scale: float, told: Told) -> ModelPolicy:
    """The warm-started actor: from the folder, else trained now."""
    actor = study.start(seed)
    if study.warm is None:
        return actor
    keep = folder / f"warm-{seed}"
    recipe, steps = study.warm(seed)
    trainer = Trainer({"actor": actor}, recipe, steps=_scaled(steps, scale), seed=seed)
    if (state := checkpoints.latest(keep)) is not None:
        trainer.load_state_dict(state)
    planned = trainer.context.steps
    while (step := trainer.context.step) < planned:
        until = min(planned, step + WARM_SAVED)
        _advance(trainer, until, lambda m: None, lambda done, s: told(f"warm start, seed {seed}", done, planned, s))
        checkpoints.save(keep, until, trainer.state_dict())
    actor.version = 0
    return actor


def _run(
    study: Study, arm: str, warmed: ModelPolicy, seed: int, folder: Path, scale: float, looks: int, start: Metrics,
    told: Told,
) -> SeedRun:  # fmt: skip
    """One arm under one seed, from the last checkpoint where there is one."""
    keep = _kept(folder, arm, seed)
    policies = study.cast(warmed.clone("actor", trainable=True))
    phases = [Phase(p.recipe, _scaled(p.steps, scale)) for p in study.arms[arm].phases(seed)]
    planned = sum(p.steps for p in phases)
    marks = sorted({round(planned * i / max(1, looks - 1)) for i in range(1, looks)})
    state: dict[str, Any] = checkpoints.latest(keep) or {
        "done": 0, "tokens": 0, "seconds": 0.0, "rewards": [], "trainer": None,
        "points": [{"step": 0, "tokens": 0, "figures": dict(start)}],
    }  # fmt: skip
    stopped: dict[str, Any] | None = state["trainer"]
    before = 0
    for i, phase in enumerate(phases):
        after = before + phase.steps
        if after > state["done"]:  # else it was finished before the stop
            trainer = Trainer(policies, phase.recipe, steps=phase.steps, seed=seed * 1000 + i)
            if stopped is not None and stopped["phase"] == i:
                trainer.load_state_dict(stopped["state"])
            elif stopped is not None:
                _carry(policies, stopped["state"])
            stopped = None
            while state["done"] < after:
                until = min(after, next(m for m in marks if m > state["done"]))
                _advance(
                    trainer, until - before, lambda metrics: _count(state, metrics),
                    lambda done, text, b=before: told(f"{arm}, seed {seed}", b + done, planned, text),
                )  # fmt: skip
                state["done"] = until
                if until in marks:
                    figures = study.measure(policies, trainer.context.skills, seed, study.measured)
                    state["points"].append({"step": until, "tokens": state["tokens"], "figures": figures})
                state["trainer"] = {"phase": i, "state": trainer.state_dict()}
                checkpoints.save(keep, until, state)
        before = after
    return SeedRun(
        seed=seed, points=tuple(Point.model_validate(p) for p in state["points"]), rewards=tuple(state["rewards"]),
        seconds=state["seconds"],
    )  # fmt: skip


def _count(state: dict[str, Any], metrics: Metrics) -> None:
    state["tokens"] += int(metrics.get("tokens", 0))
    state["seconds"] += metrics["collecting"] + metrics["updating"]
    if "reward" in metrics:
        state["rewards"].append(metrics["reward"])


def _carry(policies: Policies, state: dict[str, Any]) -> None:
    """Weights of the phase before, where a stop fell between two phases."""
    for name, weights in state["weights"].items():
        policies[name].restore(weights)
        policies[name].version = state["versions"][name]


def _advance(
    trainer: Trainer, until: int, note: Callable[[Metrics], object], told: Callable[[int, str], object]
) -> None:
    """Steps up to a number of them, telling about twice a second."""
    said = 0.0
    while trainer.context.step < until:
        metrics = trainer.step()
        note(metrics)
        now = time.monotonic()
        if now - said > 0.5 or trainer.context.step == until:
            said = now
            shown = (f"{k} {metrics[k]:.3g}" for k in ("reward", "ce", "loss") if k in metrics)
            told(trainer.context.step, ", ".join(list(shown)[:2]))


def _scaled(steps: int, scale: float) -> int:
    return max(2, round(steps * scale))
