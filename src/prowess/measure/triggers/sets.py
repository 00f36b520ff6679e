"""Trigger sets: queries, and which skills an agent should and should not load for each.

A set is a YAML or JSON file, written by a person or by `prowess.measure.triggers.generate`. The list of
`{"query", "should_trigger"}` that Anthropic's skill-creator writes is one too, given the skill it is about.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import Field, ValidationError

from prowess.core.base import Frozen, digest
from prowess.core.errors import UserError
from prowess.core.model import storable

Part = Literal["tune", "held-out"]
"""Descriptions are written looking at `tune`; what is claimed of them comes from `held-out`."""
MOST_BYTES = 8 << 20
MOST_CHARS = 20_000
"""Of one query."""
_DEPTH = 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHAPE = 'write entries such as {query: "…", should: [NAME]}, or {query: "…", should_trigger: true} with a `skill`'


class Query(Frozen):
    """Something a person may ask an agent, with what it should load for that."""

    query: str
    should: tuple[str, ...] = ()
    should_not: tuple[str, ...] = ()
    """Skills that are in neither list may be loaded or not: nobody said."""
    need: str = ""
    """Queries of one need are wordings of the same wish: they stay in one part and count as one observation."""
    part: Part
    source: Literal["user", "generated"] = "user"

    @property
    def key(self) -> str:
        """Identity of text and labels; what a trial of the query is stored under."""
        return digest([self.query, sorted(self.should), sorted(self.should_not)])[:16]

    @property
    def unit(self) -> str:
        """What counts as one observation: the need, or the query itself."""
        return self.need or same(self.query)

    @property
    def skills(self) -> tuple[str, ...]:
        return (*self.should, *self.should_not)


class _Entry(Frozen):
    """A query as it stands in a file; the part may be left open."""

    query: str = Field(max_length=MOST_CHARS)
    should: tuple[str, ...] = ()
    should_not: tuple[str, ...] = ()
    should_trigger: bool | None = Field(default=None, strict=True)
    need: str = ""
    part: Part | None = None
    source: Literal["user", "generated"] = "user"


def part_of(unit: str) -> Part:
    """The part that a need falls into where nobody said: half of all, drawn from a digest of its text.

    So a query never moves to the other part when the set grows.
    """
    return "held-out" if hashlib.sha256(unit.encode("utf-8", "replace")).digest()[0] % 2 else "tune"


def same(query: str) -> str:
    """Queries that differ in case and spacing alone have this in common."""
    return " ".join(query.casefold().split())


def load(path: Path, skill: str | None = None) -> tuple[Query, ...]:
    """The queries of the file at `path`.

    Args:
        skill: what `should_trigger` is about, where the file does not name a `skill`.

    Raises:
        UserError: the file cannot be read, has unknown keys, or says two things of one query and skill.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is larger than {MOST_BYTES >> 20} MB", "split the set")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the trigger set {path}: {error}", "give a YAML or JSON file") from error
    return parse(text, skill, str(path))


def parse(text: str, skill: str | None = None, where: str = "the trigger set") -> tuple[Query, ...]:
    """`load` for text."""
    try:
        found = _data(text)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{where} is neither YAML nor JSON: {' '.join(str(error).split())[:300]}", _SHAPE) from error
    rows: Any = found
    if isinstance(found, dict):
        top = cast("dict[Any, Any]", found)
        if unknown := [k for k in top if k not in ("skill", "queries")]:
            raise UserError(f"{where} has an unknown key {unknown[0]!r}", "its keys are skill and queries")
        named: Any = top.get("skill", skill)
        if named is not None and not isinstance(named, str):
            raise UserError(f"{where} names a skill that is no text: {named!r}", "write its name")
        skill, rows = named, top.get("queries")
    if not isinstance(rows, list) or not rows:
        raise UserError(f"{where} holds no list of queries", _SHAPE)
    entries = [_entry(row, skill, f"{where}, entry {n}") for n, row in enumerate(cast("list[Any]", rows), 1)]
    return merged(entries, where)


def merged(entries: Sequence[Query], where: str = "the trigger set") -> tuple[Query, ...]:
    """Entries of one text as one query, labels together.

    Raises:
        UserError: a label stands twice, a query should and should not load the same skill, or one need lies in two
            parts.
    """
    by_text: dict[str, Query] = {}
    first: dict[str, int] = {}
    for number, entry in enumerate(entries, 1):
        key, new = same(entry.query), entry
        old = by_text.get(key)
        if old is not None:
            if {*old.should} & {*new.should} | {*old.should_not} & {*new.should_not}:
                raise UserError(
                    f"{where}: entries {first[key]} and {number} say the same: {new.query[:80]!r}", "remove one of them"
                )
            if old.part != new.part:
                raise UserError(
                    f"{where}: entries {first[key]} and {number} put one query into both parts: {new.query[:80]!r}",
                    "choose one part",
                )
            labels = {"should": (*old.should, *new.should), "should_not": (*old.should_not, *new.should_not)}
            new = old.model_copy(update=labels)
        if both := sorted({*new.should} & {*new.should_not}):
            raise UserError(
                f"{where}, entry {number}: {both[0]!r} should and should not be loaded for {new.query[:80]!r}",
                "keep one of the two labels",
            )
        by_text[key] = new
        first.setdefault(key, number)
    parts: dict[str, Part] = {}
    for query in by_text.values():
        if parts.setdefault(query.unit, query.part) != query.part:
            raise UserError(f"{where}: the need {query.unit!r} lies in both parts", "put its queries into one part")
    return tuple(by_text.values())


def dump(queries: Iterable[Query]) -> str:
    """A set as YAML, to be read and mended by a person, and read back by `load`."""
    rows = [{k: v for k, v in q.model_dump(mode="json").items() if v not in ([], "")} for q in queries]
    return yaml.dump({"queries": rows}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML takes for the end of a line, so that it is read back as it was."""

    def represent_str(self, data: str) -> Any:
        style = '"' if re.search("[\\x85\\u2028\\u2029]", data) else None
        return cast("Any", self).represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def dump_skill_creator(queries: Iterable[Query], skill: str) -> str:
    """What a set says of one skill, as the JSON that skill-creator reads; parts and needs do not survive."""
    rows = [{"query": q.query, "should_trigger": skill in q.should} for q in queries if skill in q.skills]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def _data(text: str) -> Any:
    """What JSON or YAML says; raises ValueError or YAMLError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    depth = 0
    for event in cast("Any", yaml).parse(text, _LOADER):
        # A few aliases can stand for more text than there is memory, and nesting for more stack than there is.
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it holds aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise ValueError(f"it is nested more than {_DEPTH} deep")
    return yaml.load(text, _LOADER)


def _entry(row: Any, skill: str | None, where: str) -> Query:
    try:
        entry = _Entry.model_validate_json(storable(json.dumps(row, ensure_ascii=False)))
    except (ValidationError, TypeError, ValueError, RecursionError) as error:
        said = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            said = f"{'.'.join(str(p) for p in first['loc']) or 'the entry'}: {first['msg']}"
        raise UserError(f"{where} cannot be used: {said[:300]}", _SHAPE) from error
    query = entry.query.strip()
    if not query:
        raise UserError(f"{where} has an empty query", "write what a person would ask")
    should, should_not = list(entry.should), list(entry.should_not)
    if entry.should_trigger is not None:
        if skill is None:
            raise UserError(f"{where} says should_trigger, but not of which skill", "name the skill")
        (should if entry.should_trigger else should_not).append(skill)
    if not should and not should_not:
        raise UserError(f"{where} says neither what should nor what should not be loaded", _SHAPE)
    unit = entry.need or same(query)
    return Query(
        query=query,
        should=tuple(dict.fromkeys(should)),
        should_not=tuple(dict.fromkeys(should_not)),
        need=entry.need,
        part=entry.part or part_of(unit),
        source=entry.source,
    )
