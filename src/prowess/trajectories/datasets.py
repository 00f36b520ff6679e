"""Trajectories and patches as training data of other engines. Pure: from data to rows of JSON.

Rows hold *messages*, roles and content as chat APIs have them, with tool calls and their results; every engine named
here fills in its model's own template. Only results that a trusted verifier judged are called right or wrong; the rest
is left out, since a score of the learner's own making is no evidence.

* `sft`: whole conversations that passed (TRL's SFTTrainer and every other).
* `dpo`: beside a prompt, one answer that passed and one that failed (TRL's DPOTrainer).
* `trl`, `verl`, `prime-rl`: prompts to practise on, each once, as GRPOTrainer, verl's data set and verifiers read them.
* `atif`: everything, in the exchange format of agent trajectories.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.trajectory import Step, Trajectory
from prowess.trajectories.atif import to_atif
from prowess.trajectories.plain import Json

WRITE_PATCH: Final = "Write the changes to the skill library that these lessons ask for, as JSON."


def messages(steps: Iterable[Step]) -> list[Json]:
    """The steps as chat messages. Reasoning stays inside, under the key that chat templates look for; a result without
    a call is told as the user's words."""
    found: list[Json] = []
    for step in steps:
        message: Json = {"role": "assistant" if step.source == "agent" else step.source, "content": step.message}
        if step.reasoning:
            message["reasoning_content"] = step.reasoning
        if step.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for call in step.tool_calls
            ]
        found.append(message)
        known = {call.id for call in step.tool_calls}
        for seen in step.observations:
            if seen.call_id in known:
                found.append({"role": "tool", "tool_call_id": seen.call_id, "content": seen.content})
            else:
                found.append({"role": "user", "content": seen.content})
    return found


def parts(trajectory: Trajectory) -> tuple[list[Json], list[Json]]:
    """The messages before the agent's first one, and the others."""
    first = next((i for i, step in enumerate(trajectory.steps) if step.source == "agent"), len(trajectory.steps))
    return messages(trajectory.steps[:first]), messages(trajectory.steps[first:])


def sft(trajectories: Iterable[Trajectory]) -> Iterator[Json]:
    """Each conversation that passed."""
    for t in trajectories:
        prompt, answer = parts(t)
        if t.passed and answer:
            yield _row(messages=[*prompt, *answer], task=t.task_id, trajectory=t.id)


def dpo(trajectories: Iterable[Trajectory]) -> Iterator[Json]:
    """For each prompt the attempts that passed, each beside one that failed, as far as both go."""
    for prompt, attempts in _by_prompt(trajectories):
        good = [t for t in attempts if t.passed]
        bad = [t for t in attempts if t.passed is False]
        for right, wrong in zip(good, bad, strict=False):
            yield _row(
                prompt=prompt, chosen=parts(right)[1], rejected=parts(wrong)[1], task=right.task_id,
                trajectories=[right.id, wrong.id],
            )  # fmt: skip


def trl(trajectories: Iterable[Trajectory]) -> Iterator[Json]:
    """Each prompt once, with what was reached on it so far; the other columns reach TRL's reward function."""
    for prompt, attempts in _by_prompt(trajectories):
        yield _row(prompt=prompt, task=attempts[0].task_id, reached=_reached(attempts), attempts=len(attempts))


def verl(trajectories: Iterable[Trajectory]) -> Iterator[Json]:
    """The columns that verl's data set reads; `extra_info` reaches its reward function, which finds the task by its
    id."""
    for i, (prompt, attempts) in enumerate(_by_prompt(trajectories)):
        task = attempts[0].task_id
        yield _row(
            data_source="prowess", prompt=prompt, ability=_family(task),
            reward_model={"style": "rule", "ground_truth": task or ""},
            extra_info={"index": i, "split": "train", "task": task, "reached": _reached(attempts)},
        )  # fmt: skip


def prime_rl(trajectories: Iterable[Trajectory]) -> Iterator[Json]:
    """The columns of a `verifiers` data set: prompt, answer and info."""
    for prompt, attempts in _by_prompt(trajectories):
        info: JsonValue = {"task": attempts[0].task_id, "reached": _reached(attempts)}
        yield _row(prompt=prompt, answer="", task=_family(attempts[0].task_id), info=info)


def atif(trajectories: Iterable[Trajectory]) -> Iterator[Json]:
    """Each as an ATIF document."""
    return map(to_atif, trajectories)


FORMATS: Final[Mapping[str, Callable[[Iterable[Trajectory]], Iterator[Json]]]] = {
    "sft": sft, "dpo": dpo, "trl": trl, "verl": verl, "prime-rl": prime_rl, "atif": atif,
}  # fmt: skip
"""Name → what makes its rows."""


def taught(patch: Patch, lessons: Sequence[Lesson]) -> Json:
    """An accepted patch as a conversation: the lessons that it came from, and its operations. For training a
    curator."""
    asked = "\n".join([WRITE_PATCH, *(f"- {lesson.text}" for lesson in lessons if lesson.id in patch.lessons)])
    said = json.dumps([op.model_dump(mode="json") for op in patch.operations], ensure_ascii=False)
    return _row(
        messages=[{"role": "user", "content": asked}, {"role": "assistant", "content": said}], patch=patch.id
    )  # fmt: skip


def _by_prompt(trajectories: Iterable[Trajectory]) -> Iterator[tuple[list[Json], list[Trajectory]]]:
    """Judged attempts that began with the very same messages, in the order they were met."""
    found: dict[str, tuple[list[Json], list[Trajectory]]] = {}
    for t in trajectories:
        prompt, answer = parts(t)
        if t.passed is not None and prompt and answer:
            found.setdefault(json.dumps([t.task_id, prompt], sort_keys=True), (prompt, []))[1].append(t)
    yield from found.values()


def _reached(attempts: Sequence[Trajectory]) -> float:
    """The share of attempts that passed."""
    return sum(bool(t.passed) for t in attempts) / len(attempts)


def _family(task: str | None) -> str:
    return (task or "").partition("/")[0]


def _row(**columns: object) -> Json:
    return {name: value for name, value in columns.items() if value is not None}  # type: ignore[misc]
