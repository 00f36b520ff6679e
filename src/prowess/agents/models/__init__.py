"""Model clients. `open_model` turns a short text such as `embedded` or `openai:gpt-5-mini` into a `Model`.

Nothing heavy is imported before a model of that kind is opened. Wrap what comes back as needed: `cache.Cached` never
pays twice, `meter.Metered` holds a budget (`open_metered` is both in one), `recorder.Recorder` keeps a cassette.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prowess.core.errors import UserError
from prowess.core.model import Model

__all__ = ["PROVIDERS", "Options", "open_metered", "open_model"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a provider may be told; each uses what concerns it and ignores the rest."""

    base_url: str | None = None
    """Address of the endpoint; the SDK's own default where None."""
    api_key: str | None = None
    """The SDK's own environment variable where None. Never stored, never logged."""
    timeout: float | None = None
    """Seconds that one call may take; the provider's default where None."""
    threads: int | None = None
    """Threads of the embedded engine; chosen from what is idle where None."""
    context: int = 8192
    """Tokens that prompt and answer may have together in the embedded engine."""
    logprobs: bool = False
    """Ask for the log-probability of each token, where the engine gives them."""


def _embedded(name: str, options: Options) -> Model:
    from prowess.agents.models.embedded import EmbeddedModel
    from prowess.agents.models.pull import find

    file = find(name)
    return EmbeddedModel(
        file.path,
        f"embedded:{file.name}@{file.sha256[:12]}",
        threads=options.threads,
        context=options.context,
        timeout=options.timeout or 600.0,
        logprobs=options.logprobs,
    )


def _openai(name: str, options: Options) -> Model:
    from prowess.agents.models.openai import OpenAIModel

    return OpenAIModel(
        _named("openai", name),
        base_url=options.base_url,
        api_key=options.api_key,
        timeout=options.timeout or 120.0,
        logprobs=options.logprobs,
    )


def _anthropic(name: str, options: Options) -> Model:
    from prowess.agents.models.anthropic import AnthropicModel

    return AnthropicModel(
        _named("anthropic", name),
        base_url=options.base_url,
        api_key=options.api_key,
        timeout=options.timeout or 120.0,
    )


def _scripted(name: str, options: Options) -> Model:
    from prowess.agents.models.scripted import ScriptedModel

    return ScriptedModel.from_file(Path(_named("scripted", name)))


PROVIDERS: dict[str, Callable[[str, Options], Model]] = {
    "anthropic": _anthropic,
    "embedded": _embedded,
    "openai": _openai,
    "scripted": _scripted,
}
"""Kind of model → function that opens one. Add an entry to add a kind."""


def open_model(
    spec: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float | None = None,
    threads: int | None = None,
    context: int = 8192,
    logprobs: bool = False,
) -> Model:
    """The model that `spec` names: `kind` or `kind:name`. The keywords are described by `Options`.

    `embedded` is the default embedded model, `embedded:NAME` another of the catalogue or a GGUF file,
    `openai:NAME` any endpoint that speaks OpenAI's chat dialect, `anthropic:NAME`, `scripted:FILE`.
    Raises `UserError` for an unknown kind or name, a missing key, or an embedded model that was not pulled.
    """
    kind, _, name = spec.partition(":")
    if kind not in PROVIDERS:
        raise UserError(
            f"no kind of model is called {kind!r} (in {spec!r})",
            f"write one of {', '.join(sorted(PROVIDERS))}, then a colon and the model's name",
        )
    options = Options(base_url, api_key, timeout, threads, context, logprobs)
    return PROVIDERS[kind](name, options)


def open_metered(spec: str, budget_usd: float | None) -> Model:
    """The model that `spec` names, which stops once `budget_usd` dollars are spent; None is no limit."""
    from prowess.agents.models.meter import Budget, Metered

    return Metered(open_model(spec), Budget(usd=budget_usd))


def _named(kind: str, name: str) -> str:
    if not name:
        raise UserError(f"{kind!r} needs a name", f"write {kind}:NAME")
    return name
