"""Edits of agents' configuration files, each of which can be taken back when others have edited the file since.

JSON is edited as data. TOML is edited as text, so that comments stay: tables go to the end, single values to the start.
"""

import copy
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.errors import UserError

_BEGIN, _END = "# prowess: begin", "# prowess: end"
_WAS: Final = "# prowess: was "


class Edit(Frozen):
    """A value at a place in a file."""

    path: tuple[str, ...]
    value: JsonValue
    item: bool = False
    """Whether the value is added to a list there, instead of taking the place."""

    @property
    def where(self) -> str:
        return ".".join(self.path)


class Conflict(Exception):
    """Somebody has edited just what we had written."""


def applied(file: Path, text: str, edits: Sequence[Edit]) -> str:
    """The file's text with the edits.

    Raises:
        UserError: the file cannot be read as what its name says, or has something else at one of the places.
    """
    if file.suffix == ".toml":
        return _applied_toml(file, text, edits)
    data = _read_json(file, text)
    for edit in edits:
        parent = data
        for key in edit.path[:-1]:
            inner = parent.setdefault(key, {})
            if not isinstance(inner, dict):
                raise UserError(f"{key!r} in {file} is no object", f"mend the file: prowess would set {edit.where}")
            parent = cast(dict[str, Any], inner)
        last = edit.path[-1]
        if not edit.item:
            parent[last] = copy.deepcopy(edit.value)
            continue
        items: object = parent.setdefault(last, [])
        if not isinstance(items, list):
            raise UserError(f"{edit.where!r} in {file} is no list", "mend the file")
        cast(list[Any], items).append(copy.deepcopy(edit.value))
    return _written_json(data, text)


def undone(file: Path, text: str, before: str, edits: Sequence[Edit]) -> str:
    """The file's present text without our edits; `before` is what it was before them.

    Raises:
        Conflict: what we wrote has been edited, so that nobody can tell what should stand there.
    """
    if file.suffix == ".toml":
        return _undone_toml(text, before, edits)
    try:
        data, old = _read_json(file, text), _read_json(file, before)
    except UserError as error:
        raise Conflict(error.message) from error
    changed = False
    for edit in reversed(edits):
        changed |= _undo_one(data, old, edit)
    return _written_json(data, text) if changed else text


def _undo_one(data: dict[str, Any], old: dict[str, Any], edit: Edit) -> bool:
    """Takes one edit back; whether there was anything to take back."""
    found, was = _at(data, edit.path), _at(old, edit.path)
    if edit.item:
        items = cast(list[Any], found) if isinstance(found, list) else []
        if edit.value not in items:
            return False  # somebody has taken it away, which is what we are about to do
        del items[len(items) - 1 - items[::-1].index(edit.value)]  # ours is the last: it was put at the end
        if items or was is not None:
            return True
    elif found == was:
        return False
    elif found != edit.value:
        raise Conflict(f"{edit.where} is neither what prowess had written nor what was there before")
    parents = [data]
    for key in edit.path[:-1]:
        parents.append(parents[-1][key])
    if was is not None:
        parents[-1][edit.path[-1]] = copy.deepcopy(was)
        return True
    del parents[-1][edit.path[-1]]
    for depth in range(len(edit.path) - 1, 0, -1):  # objects that were made to hold it
        if not parents[depth] and _at(old, edit.path[:depth]) is None:
            del parents[depth - 1][edit.path[depth - 1]]
    return True


def _at(data: object, path: Sequence[str]) -> Any:
    for key in path:
        inner = cast(dict[str, object], data) if isinstance(data, dict) else {}
        if key not in inner:
            return None
        data = inner[key]
    return data


def _read_json(file: Path, text: str) -> dict[str, Any]:
    try:
        data: object = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise UserError(f"{file} is no plain JSON: {error}", "take comments out, or edit it by hand") from error
    if not isinstance(data, dict):
        raise UserError(f"{file} holds no JSON object", "mend the file")
    return cast(dict[str, Any], data)


def _written_json(data: dict[str, Any], like: str) -> str:
    """JSON with the indentation that the file had."""
    found = re.search(r"\n([ \t]+)\"", like)
    return json.dumps(data, indent=found[1] if found else 2, ensure_ascii=False) + "\n"


def _applied_toml(file: Path, text: str, edits: Sequence[Edit]) -> str:
    for edit in edits:
        if len(edit.path) == 1:
            line = _line(text, edit.path[0])
            if line:
                text = text.replace(line, f"{_WAS}{line}", 1)
            text = f"{_block(edit)}{text}"
        else:
            text = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{_block(edit)}"
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        places = ", ".join(edit.where for edit in edits)
        raise UserError(
            f"{file} cannot take {places}: {error}", "take out what stands there, or mend the file"
        ) from error
    for edit in edits:
        if _at(data, edit.path) != edit.value:
            raise UserError(f"{edit.where} cannot be set in {file}", "mend the file")
    return text


def _undone_toml(text: str, before: str, edits: Sequence[Edit]) -> str:
    for edit in reversed(edits):
        block = _block(edit)
        if block in text:
            text = text.replace(block, "", 1)
        elif edit.path[-1] in text and _at(_toml(text), edit.path) not in (None, _at(_toml(before), edit.path)):
            raise Conflict(f"{edit.where} has been edited")
        line = _line(before, edit.path[0]) if len(edit.path) == 1 else ""
        if line and f"{_WAS}{line}" in text:
            text = text.replace(f"{_WAS}{line}", line, 1)
    return text


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Conflict(f"it is no TOML any more: {error}") from error


def _line(text: str, key: str) -> str:
    """The line that sets a value outside of all tables; empty where none does."""
    head = re.split(r"(?m)^[ \t]*\[", text, maxsplit=1)[0]
    found = re.search(rf"(?m)^[ \t]*{re.escape(key)}[ \t]*=.*\n?", head)
    return found[0] if found else ""


def _block(edit: Edit) -> str:
    # Strings, lists and truth values of JSON are TOML too.
    if len(edit.path) == 1 or not isinstance(edit.value, dict):
        lines = [f"{edit.path[-1]} = {json.dumps(edit.value)}"]
        table = edit.path[:-1]
    else:
        lines = [f"{key} = {json.dumps(value)}" for key, value in edit.value.items()]
        table = edit.path
    head = [f"[{'.'.join(table)}]"] if table else []
    return "\n".join([_BEGIN, *head, *lines, _END, ""])
