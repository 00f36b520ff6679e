"""What tokens cost, read from `prices.toml`."""

import logging
import re
import tomllib
from functools import cache
from importlib.resources import files

from pydantic import TypeAdapter

from prowess.core.base import Frozen

_VERSION = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_log = logging.getLogger(__name__)


class Price(Frozen):
    """USD per million tokens."""

    input: float
    cached: float
    output: float
    written: float | None = None
    """Tokens written to the provider's cache; as `input` where None."""

    def usd(self, fresh: int, cached: int, output: int, written: int = 0) -> float:
        """The price of one call; the four counts are disjoint."""
        dear = self.input if self.written is None else self.written
        return (fresh * self.input + cached * self.cached + output * self.output + written * dear) / 1e6


UNKNOWN = Price(input=0.0, cached=0.0, output=0.0)


def price_of(provider: str, model: str) -> Price | None:
    """The price of `model`, dated versions included; None when the table does not know it."""
    table = _table().get(provider, {})
    return table.get(model) or table.get(_VERSION.sub("", model))


@cache
def price_or_warning(provider: str, model: str) -> Price:
    """The price of `model`, or a price of nothing, said once in the log, so that no sum is taken for complete."""
    known = price_of(provider, model)
    if known is None:
        _log.warning("the price of %s:%s is not known: its calls count as 0 USD", provider, model)
    return known or UNKNOWN


@cache
def _table() -> dict[str, dict[str, Price]]:
    raw = tomllib.loads(files("prowess.agents.models").joinpath("prices.toml").read_text("utf-8"))
    return TypeAdapter(dict[str, dict[str, Price]]).validate_python(raw)
