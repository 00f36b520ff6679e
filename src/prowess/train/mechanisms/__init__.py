"""The mechanism suite: eight small worlds, each of which lets one effect of several papers be seen in minutes."""

from prowess.core.errors import UserError
from prowess.train.mechanisms.base import Env, Example, Heard, Mechanism, split_of
from prowess.train.mechanisms.constraints import Constraints
from prowess.train.mechanisms.expr import Expressions
from prowess.train.mechanisms.grid import Grid
from prowess.train.mechanisms.guess import Guess
from prowess.train.mechanisms.kb import Facts
from prowess.train.mechanisms.macro import Macro
from prowess.train.mechanisms.rules import Rules
from prowess.train.mechanisms.strings import Strings

__all__ = ["MECHANISMS", "Env", "Example", "Heard", "Mechanism", "mechanism", "split_of"]

MECHANISMS: dict[str, type[Mechanism]] = {
    "strings": Strings, "macro": Macro, "rules": Rules, "grid": Grid, "kb": Facts, "constraints": Constraints,
    "expr": Expressions, "guess": Guess,
}  # fmt: skip


def mechanism(name: str) -> Mechanism:
    """The mechanism called `name`, with its usual sizes.

    Raises:
        UserError: there is none.
    """
    if name not in MECHANISMS:
        raise UserError(f"there is no mechanism {name!r}", f"choose one of {', '.join(MECHANISMS)}")
    return MECHANISMS[name]()
