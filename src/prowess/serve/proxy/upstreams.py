"""Where requests go, and with which key: from a file of whoever runs the proxy, never from a request.

    token = "PROXY_TOKEN"                     # variable with what clients must send as their key; optional

    [[upstream]]
    url = "https://api.openai.com/v1"
    dialects = ["chat", "responses"]
    key = "OPENAI_API_KEY"                    # the variable that holds the key; leave out where none is needed
    models = ["gpt-*", "o*"]                  # optional: only these; the first upstream that fits is taken

A client that could name a host would be sent the key (BerriAI/litellm#24952), so nothing in a request chooses more than
a model.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from prowess.core.base import Frozen
from prowess.core.errors import UserError

Dialect = Literal["chat", "responses", "messages"]
Variables = Callable[..., Mapping[str, str]]
"""The values of those of the named variables that are set, as `prowess.settings.variables` gives them."""


class Upstream(Frozen):
    """One provider."""

    url: str
    """What the paths of the dialects are put behind, as in `https://api.openai.com/v1`."""
    dialects: tuple[Dialect, ...] = Field(min_length=1)
    key: str = ""
    """Name of the environment variable that holds the key; empty for no key."""
    models: tuple[str, ...] = ("*",)
    """Patterns of the models that go there, as in `claude-*`."""

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("write it as https://host/v1")
        if parts.username or parts.password:
            raise ValueError("name a variable as `key` instead of writing a secret into the address")
        return url.rstrip("/")

    @property
    def provider(self) -> str:
        """What metrics and prices call it."""
        host = urlsplit(self.url).hostname or ""
        return next((name for name in ("openai", "anthropic") if host.endswith(f"{name}.com")), host)


class _File(Frozen):
    token: str = ""
    upstream: tuple[Upstream, ...] = Field(min_length=1)


USUAL: Final = _File(
    upstream=(
        Upstream(url="https://api.openai.com/v1", dialects=("chat", "responses"), key="OPENAI_API_KEY"),
        Upstream(url="https://api.anthropic.com/v1", dialects=("messages",), key="ANTHROPIC_API_KEY"),
    )
)
"""Where there is no file: the two providers, each where its usual variable is set."""


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream with its key."""

    upstream: Upstream
    key: str = field(repr=False)

    def headers(self, dialect: Dialect) -> dict[str, str]:
        """How the provider is shown the key."""
        if not self.key:
            return {}
        return {"x-api-key": self.key} if dialect == "messages" else {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True, slots=True)
class Routes:
    """All that the file says, with the secrets that it names."""

    routes: tuple[Route, ...]
    token: str = field(default="", repr=False)
    """What clients must send as their key; empty for anything."""

    def choose(self, dialect: Dialect, model: str) -> Route | None:
        """The first upstream for that dialect and model; None when there is none."""
        fits = (r for r in self.routes if dialect in r.upstream.dialects)
        return next((r for r in fits if any(fnmatchcase(model, p) for p in r.upstream.models)), None)


def load(path: Path, variables: Variables) -> Routes:
    """What the file at `path` says; the usual providers where there is none.

    Raises:
        UserError: the file does not fit, or a variable that it names is not set.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        found, usual = USUAL, True
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", "mend the file, or move it away") from error
    else:
        found, usual = _parsed(text, path), False
    names = tuple(dict.fromkeys([u.key for u in found.upstream if u.key] + ([found.token] if found.token else [])))
    known = variables(*names)
    if usual:
        routes = tuple(Route(u, known[u.key]) for u in found.upstream if known.get(u.key))
        if not routes:
            raise UserError(
                "no upstream is known: there is no key in " + " or ".join(names),
                f"set one of them, or describe your upstreams in {path}",
            )
        return Routes(routes)
    if unset := [name for name in names if not known.get(name)]:
        raise UserError(f"{path} names the variable {unset[0]}, which is not set", f"set {unset[0]}")
    routes = tuple(Route(u, known[u.key] if u.key else "") for u in found.upstream)
    return Routes(routes, known[found.token] if found.token else "")


def _parsed(text: str, path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is no TOML: {error}", "mend the file") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where} in {path}: {first['msg']}", "mend the value") from error
