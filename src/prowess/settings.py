"""The few knobs of prowess: a TOML file and `PROWESS_*` variables. Nothing else reads the environment.

A value comes from the environment, else from the file, else from the default that is right for a laptop. A key or
variable that is not known is an error, since a knob that silently does nothing is worse than none.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import Field, ValidationError, field_validator

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.gates import known_gates

PREFIX = "PROWESS_"
FILE = "PROWESS_CONFIG"
"""The variable that names another file to read."""
RUN = "PROWESS_RUN"
"""Set in every run that prowess starts itself, so that hooks and importers can tell; no knob."""


class Settings(Frozen):
    """All knobs. Paths may begin with `~`."""

    library: Path | None = None
    """Folder of the library; None for the project's where there is one, else the user's own."""
    model: str = "embedded"
    """The model that works where no other is named: `embedded`, `openai:NAME`, `anthropic:NAME`, …"""
    concurrency: int = Field(default=4, ge=1, le=256)
    """Tasks in flight at once."""
    budget_usd: float | None = Field(default=None, ge=0)
    """Most dollars that one command may spend; None for no limit."""
    data: Path = Field(default_factory=lambda: user_data_path("prowess", appauthor=False))
    """Where trajectories, runs and the user's own library lie."""
    cache: Path = Field(default_factory=lambda: user_cache_path("prowess", appauthor=False))
    """Where models and other things lie that can be fetched again."""
    gates: tuple[str, ...] = ()
    """What a change must pass, in place of the recipe's own list; in a variable, separated by commas."""

    @field_validator("gates", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else names

    @field_validator("library", "data", "cache", mode="after")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser()


Origin = Literal["default", "file", "environment"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each value came from."""

    settings: Settings
    origins: dict[str, Origin]
    file: Path
    """The file that was read, or would have been."""


def load(environment: Mapping[str, str] | None = None) -> Loaded:
    """The settings that hold now.

    Raises:
        UserError: the file cannot be read, a key or variable is unknown, or a value does not fit.
    """
    environment = os.environ if environment is None else environment
    file = config_file(environment)
    from_file = _read(file, required=FILE in environment)
    from_environment = _variables(environment)
    merged = {**from_file, **from_environment}
    origins: dict[str, Origin] = {
        name: "environment" if name in from_environment else "file" if name in from_file else "default"
        for name in Settings.model_fields
    }
    try:
        settings = Settings.model_validate(merged)
        where = f"{PREFIX}GATES" if origins["gates"] == "environment" else f"gates in {file}"
        gates = known_gates(settings.gates, where)
        return Loaded(settings.model_copy(update={"gates": gates}), origins, file)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        where = f"{PREFIX}{name.upper()}" if origins[name] == "environment" else f"{name} in {file}"
        raise UserError(f"{where} is {merged[name]!r}: {first['msg']}", "mend the value") from error


def config_folder() -> Path:
    """Where the user's own choices lie."""
    return user_config_path("prowess", appauthor=False)


def config_file(environment: Mapping[str, str]) -> Path:
    """The TOML file: the one that `PROWESS_CONFIG` names, else the user's own."""
    named = environment.get(FILE)
    return Path(named).expanduser() if named else config_folder() / "config.toml"


def _read(file: Path, required: bool) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        if required:
            raise UserError(f"there is no file {file}, which {FILE} names", f"make it, or unset {FILE}") from error
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"cannot read the settings in {file}: {error}", "mend the file, or move it away") from error
    for key in values:
        if key not in Settings.model_fields:
            raise UserError(f"{file} has an unknown key {key!r}", _instead(key, tuple(Settings.model_fields)))
    return values


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in {*known, FILE, RUN}:
            raise UserError(f"the variable {variable} is not known", _instead(variable, (*known, FILE)))
    return {name: environment[variable] for variable, name in known.items() if environment.get(variable)}


def _instead(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def variables(*names: str) -> dict[str, str]:
    """Those of the named variables that are set. They belong to other programs, such as an agent's own folder."""
    return {name: os.environ[name] for name in names if name in os.environ}
