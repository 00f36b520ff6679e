"""Which trajectories a page holds, and how much of each."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prowess.core.evidence import Evidence
from prowess.core.text import cut
from prowess.core.trajectory import Step, Trajectory
from prowess.evolve.record import RunRecord

MOST = 40
"""Trajectories in one page."""
STEPS = 40
"""Steps shown of one trajectory."""
CHARACTERS = 3000
"""Characters shown of one message, call or observation."""


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of text of a step."""

    kind: str
    """`message`, `reasoning`, `call`, `observation`, `error`."""
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A trajectory as the page shows it."""

    anchor: str
    why: str
    """What led here: `a pair that got worse`, `evidence for a lesson`, `stream`, `held-out task`."""
    trajectory: Trajectory
    steps: tuple[tuple[Step, tuple[Block, ...]], ...]
    steps_left_out: int


def choose(record: RunRecord, load: Callable[[str], Trajectory | None]) -> tuple[tuple[Shown, ...], int]:
    """The trajectories that a reader most likely wants to open, and how many others the record names.

    Harms come first, then what lessons quote, then gate trials and the stream.
    """
    return load_first(_named(record), load)


def load_first(
    named: Iterable[tuple[str, str]], load: Callable[[str], Trajectory | None]
) -> tuple[tuple[Shown, ...], int]:
    """The first of the named trajectories (id, why) that are there, and how many others are named."""
    wanted: dict[str, str] = {}
    for name, why in named:
        wanted.setdefault(name, why)
    shown: list[Shown] = []
    for name, why in wanted.items():
        if len(shown) == MOST:
            break
        trajectory = load(name)
        if trajectory is not None:
            shown.append(_shown(f"t{len(shown) + 1}", why, trajectory))
    return tuple(shown), len(wanted) - len(shown)


def _named(record: RunRecord) -> Iterable[tuple[str, str]]:
    gates = [v.evidence for d in record.decisions for v in d.verdicts if v.evidence is not None]
    held_out = [c.evidence for c in record.comparisons]
    for evidence in (*held_out, *gates):
        yield from ((trajectory, "got worse") for _, trajectory in evidence.harms)
    for decision in record.decisions:
        for lesson in decision.lessons:
            yield from ((r.trajectory, "behind a lesson") for r in lesson.references)
    for evidence in held_out:
        yield from some_of(evidence)
    yield from ((p.trajectory, f"task {p.position + 1} of the stream") for p in record.curve)
    for evidence in (*held_out, *gates):
        yield from ((t.trajectory, f"trial, {t.arm}") for t in evidence.trials)


def some_of(evidence: Evidence) -> Iterable[tuple[str, str]]:
    """A few trials of each arm, which tell more than all of one."""
    for arm in (evidence.baseline, evidence.treatment):
        some = [t for t in evidence.trials if t.arm == arm][:3]
        yield from ((t.trajectory, f"held-out task, {arm}") for t in some)


def _shown(anchor: str, why: str, trajectory: Trajectory) -> Shown:
    steps = tuple((step, tuple(_blocks(step))) for step in trajectory.steps[:STEPS])
    return Shown(anchor, why, trajectory, steps, max(0, len(trajectory.steps) - STEPS))


def _blocks(step: Step) -> Iterable[Block]:
    if step.reasoning:
        yield _block("reasoning", "reasoning", step.reasoning)
    if step.message:
        yield _block("message", "", step.message)
    for call in step.tool_calls:
        yield _block("call", call.name, _arguments(call.arguments))
    for observation in step.observations:
        yield _block(
            "error" if observation.is_error else "observation", "observation", observation.content or "(nothing)"
        )


def _arguments(arguments: Mapping[str, object]) -> str:
    if len(arguments) == 1:
        (only,) = arguments.values()
        if isinstance(only, str):  # a program or a command: shown as it was written
            return only
    return json.dumps(arguments, indent=1, ensure_ascii=False)


def _block(kind: str, title: str, text: str) -> Block:
    return Block(kind, title, cut(text, CHARACTERS))
