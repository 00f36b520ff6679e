"""The gates that every project can name, in the order in which they are asked."""

import difflib
from collections.abc import Iterable

from prowess.core.errors import UserError

GATES = (
    "format", "scan", "permission", "lint", "behaviour", "cached-outputs", "semantic", "regression", "safety", "trials",
    "approval",
)  # fmt: skip
"""Cheap ones first: text, then the sandbox, then the model, then the agent, then a person."""


def known_gates(names: Iterable[str], where: str) -> tuple[str, ...]:
    """`names` in the order of `GATES`, each once; the order in which they were written does not matter.

    Args:
        names: As a person wrote them.
        where: Names the place in errors: a file, a variable.

    Raises:
        UserError: a name is no gate.
    """
    wanted = list(names)
    for name in wanted:
        if name not in GATES:
            close = difflib.get_close_matches(name, GATES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(GATES)}"
            raise UserError(f"{where} names a gate {name!r} that does not exist", hint)
    return tuple(name for name in GATES if name in wanted)
