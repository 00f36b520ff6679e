"""What all importers share: reading records from hostile files, drafting steps, and the report of what was found."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from pydantic import JsonValue
from pydantic_core import from_json

from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.model import ToolCall
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.guard.redact import RULES, Rule, redact_value
from prowess.trajectories.importers.suspects import suspects
from prowess.trajectories.plain import Json, plain

MAX_LINE = 64 * 2**20
"""Bytes of one line, and of one JSON file. Longer ones are counted as broken and not read."""
OWN_RUN = "PROWESS_RUN"
"""Stands in the working folder or the first prompt, and in the environment, of every run that prowess starts itself."""
_BROKEN_KEPT = 50
_BLOCK = 2**20


@dataclass(slots=True)
class Report:
    """What an import of one file found. Nothing is fatal: what could not be used is counted here."""

    path: Path
    format: str
    bytes: int = 0
    lines: int = 0
    trajectories: int = 0
    own_runs: int = 0
    """Sessions left out because prowess itself ran them."""
    known: Counter[str] = field(default_factory=Counter[str])
    """Records by type."""
    unknown: Counter[str] = field(default_factory=Counter[str])
    """Records of types that this version does not know. They made no step, but are kept in `extra`."""
    broken: int = 0
    """Lines that are not JSON objects."""
    broken_lines: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """(line number, why) of the first 50 of them."""
    truncated: bool = False
    """The last line broke off: the session was still being written, or its writer was killed."""
    redacted: Counter[str] = field(default_factory=Counter[str])
    """Secrets taken out, by kind."""

    def broke(self, line: int, why: str) -> None:
        self.broken += 1
        if len(self.broken_lines) < _BROKEN_KEPT:
            self.broken_lines.append((line, why))


@dataclass(frozen=True, slots=True)
class Imported:
    """One trajectory and the report of its file, which all trajectories of that file share."""

    trajectory: Trajectory | None
    """None when the file held no session; the report says why."""
    report: Report


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    data: Json


def read_records(path: Path, report: Report) -> Iterator[Record]:
    """The records of the file at `path`, as `records_of` has them."""
    with path.open("rb") as file:
        yield from records_of(file, report)


def records_of(file: BinaryIO, report: Report) -> Iterator[Record]:
    """JSON objects, one a line, without secrets. Broken lines are reported and passed over."""
    number = 0
    for raw, rules in _lines(file, report):
        number += 1
        if not raw.strip():
            continue
        if len(raw) > MAX_LINE:
            report.broke(number, f"longer than {MAX_LINE} bytes")
            continue
        data = clean_json(raw, report, rules)
        if isinstance(data, dict):
            yield Record(number, cast(Json, data))
        elif isinstance(data, Broken) and not raw.endswith(b"\n"):
            report.truncated = True
            report.broke(number, "the last line breaks off")
        else:
            report.broke(number, data.why if isinstance(data, Broken) else "not a JSON object")
    report.lines = number


def _lines(file: BinaryIO, report: Report) -> Iterator[tuple[bytes, tuple[Rule, ...]]]:
    """Each line and the rules that may match in it. A line that is too long comes cut to just more than `MAX_LINE`."""
    while block := file.read(_BLOCK):
        if not block.endswith(b"\n"):
            block += file.readline(MAX_LINE)
        report.bytes += len(block)
        while not block.endswith(b"\n") and len(block) > MAX_LINE and (more := file.readline(_BLOCK)):
            report.bytes += len(more)
            block = block if not more.endswith(b"\n") else block + b"\n"
        lines = block.splitlines(keepends=True) if b"\r" not in block else _split(block)
        starts = list(accumulate((len(line) for line in lines[:-1]), initial=0))
        yield from zip(lines, suspects(block, starts), strict=True)


def _split(block: bytes) -> list[bytes]:
    # Only \n ends a line of JSON; splitlines would also cut at a bare \r.
    return [line + b"\n" for line in block.split(b"\n")[:-1]] + (
        [block[block.rfind(b"\n") + 1 :]] if not block.endswith(b"\n") else []
    )


@dataclass(frozen=True, slots=True)
class Broken:
    why: str


def clean_json(raw: bytes, report: Report, rules: tuple[Rule, ...] = RULES) -> Any:
    """The value of a JSON text without secrets, or `Broken`. Only `rules` are tried."""
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError:
        # The fast parser refuses what the slow one can still read: lone surrogates, NaN, bad UTF-8, deep nesting.
        try:
            data = plain(json.loads(raw.decode("utf-8", "replace")))
        except ValueError as error:
            return Broken(f"not JSON: {str(error)[:80]}")
        except RecursionError:
            return Broken("nested too deeply")
    return redact_value(data, report.redacted, rules=rules) if rules else data


@dataclass(slots=True)
class Draft:
    """A step that still grows."""

    source: Literal["system", "user", "agent"]
    message: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    observations: list[Observation] = field(default_factory=list[Observation])
    model: str | None = None
    timestamp: str | None = None
    cost: Cost | None = None
    extra: Json = field(default_factory=dict[str, JsonValue])

    def say(self, text: str) -> None:
        self.message = f"{self.message}\n\n{text}" if self.message else text

    def think(self, text: str) -> None:
        self.reasoning = f"{self.reasoning}\n\n{text}" if self.reasoning else text

    def keep(self, key: str, value: JsonValue) -> None:
        """Append to a list in `extra`."""
        kept = self.extra.setdefault(key, [])
        if isinstance(kept, list):
            kept.append(value)

    def step(self) -> Step:
        # Every part was validated, or came out of a JSON parser, so that checking it again would only cost time.
        return Step.model_construct(
            source=self.source,
            message=self.message,
            reasoning=self.reasoning,
            tool_calls=tuple(self.tool_calls),
            observations=tuple(self.observations),
            model=self.model,
            timestamp=self.timestamp,
            cost=self.cost,
            extra=self.extra,
        )


def tool_call(id: JsonValue, name: JsonValue, arguments: JsonValue) -> ToolCall:
    """A call whose arguments may be an object, a JSON text of one, or anything else."""
    if isinstance(arguments, str):
        try:
            parsed: JsonValue = from_json(arguments, allow_inf_nan=False)
        except ValueError:
            parsed = None
        arguments = parsed if isinstance(parsed, dict) else {"input": arguments}
    elif not isinstance(arguments, dict):
        arguments = {} if arguments is None else {"input": arguments}
    return ToolCall.model_construct(id=as_text(id), name=as_text(name), arguments=arguments)


def trajectory_id(format: str, session: str, anchor: JsonValue) -> str:
    """The id of an imported session: the same however often it is imported, and also when it has grown since.

    `anchor` is the identity, or failing that the content, of its first record.
    """
    return digest([format, session, anchor])[:32]


def is_own_run(steps: list[Step], folder: JsonValue) -> bool:
    first = next((step.message for step in steps if step.source == "user"), "")
    return OWN_RUN in first or (isinstance(folder, str) and OWN_RUN in folder)


def as_text(value: JsonValue) -> str:
    """A string as it is; anything else as JSON; None as nothing."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def as_int(value: JsonValue) -> int:
    """A count from a hostile record: 0 for what is not one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return max(0, min(int(value), 2**53))


def as_float(value: JsonValue) -> float:
    return float(max(0.0, min(value, 1e15))) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def as_dict(value: JsonValue) -> Json:
    return value if isinstance(value, dict) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def as_name(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def add_costs(steps: list[Step]) -> Cost:
    """The sum over steps, in one pass."""
    costs = [step.cost for step in steps if step.cost is not None]
    return Cost(
        calls=sum(c.calls for c in costs),
        prompt_tokens=sum(c.prompt_tokens for c in costs),
        cached_tokens=sum(c.cached_tokens for c in costs),
        completion_tokens=sum(c.completion_tokens for c in costs),
        seconds=sum(c.seconds for c in costs),
        usd=sum(c.usd for c in costs),
    )


def main_model(steps: list[Step], otherwise: JsonValue = None) -> str:
    """The model of most agent steps."""
    seen = Counter(step.model for step in steps if step.model)
    return seen.most_common(1)[0][0] if seen else as_name(otherwise) or "unknown"


_EXIT = re.compile(r"(?:Exit code|exit_code|Process exited with code)[\":]{0,2} {0,2}(\d{1,10})")


def exit_code(text: str) -> int | None:
    """The exit code that the head of a tool's output names, if it does."""
    found = _EXIT.search(text[:400])
    return int(found[1]) if found else None
