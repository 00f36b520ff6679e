"""What a skill contributes, followed over many audits: moving average, streak and exposure.

An audit leaves one skill out: its contribution is the success with it less that without it, on the tasks that show it.
One audit is noisy, so the average moves, and a skill is to be retired only after several low audits in a row, and never
before enough tasks have shown it. The rules and their constants are those of SLIM (Dynamic Skill Lifecycle Management,
arXiv 2605.10923, section 3, and its released `lifecycle.py`). They bound no error: a removal that must be proven asks
`prowess.measure.attribution`, or a gate.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prowess.core.errors import UserError

Stage = Literal["unmeasured", "watch", "keep", "retire"]
"""`retire`: nominated. `watch`: measured, and neither clearly worth its place nor clearly not."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds; the defaults are those of the paper."""

    decay: float = 0.9
    """Weight of the past in the moving average."""
    low: float = 0.001
    """An average below this is in the low zone."""
    keep: float = 0.03
    """A skill with at least this average is worth its place."""
    patience: int = 3
    """Audits in a row in the low zone before a skill is nominated."""
    exposure: int = 30
    """Audited tasks, over all audits, before a skill is nominated."""
    from_zero: bool = False
    """Begin the average at 0 instead of at the first contribution, as the released code does for a skill that training
    used before its first audit."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise UserError(f"decay is {self.decay!r}", "give a share from 0 to below 1")
        if self.keep < self.low:
            raise UserError(f"the keep zone begins at {self.keep!r}, below the low zone {self.low!r}", "swap them")
        if min(self.patience, self.exposure) < 1:
            raise UserError("a count among the lifecycle rules is below 1", "give at least 1")


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of one skill's contribution."""

    average: float | None = None
    """Moving average of the contributions, in success rate; None before the first audit."""
    low: int = 0
    """Audits in a row, up to now, that left the average in the low zone."""
    exposure: int = 0
    """Tasks over all audits."""
    audits: int = 0

    def after(self, effect: float, n: int, rules: Rules = Rules()) -> "Standing":
        """The standing after an audit of `n` tasks with contribution `effect`; one of no task changes nothing.

        average ← decay · average + (1 - decay) · effect, begun at the first effect (or at 0: `Rules.from_zero`).

        Raises:
            UserError: the effect is no difference of two shares, or `n` is negative.
        """
        if not -1.0 <= effect <= 1.0 or n < 0:
            raise UserError(f"an audit with effect {effect!r} on {n} tasks", "give a number from -1 to 1 and a count")
        if n == 0:
            return self
        before = 0.0 if self.average is None and rules.from_zero else self.average
        average = effect if before is None else rules.decay * before + (1 - rules.decay) * effect
        low = self.low + 1 if average < rules.low else 0
        return Standing(average, low, self.exposure + n, self.audits + 1)

    def stage(self, rules: Rules = Rules()) -> Stage:
        """Retire: low now and for `patience` audits, and seen on enough tasks; all three."""
        if self.average is None:
            return "unmeasured"
        if self.low >= rules.patience and self.exposure >= rules.exposure:
            return "retire"
        return "keep" if self.average >= rules.keep else "watch"

    def why(self, rules: Rules) -> str:
        """The reason of the stage, in words."""
        if self.average is None:
            return "no audit has measured it"
        points = f"{100 * self.average:+.1f} points on average over {self.exposure} tasks"
        match self.stage(rules):
            case "keep":
                return f"contributes {points}"
            case "retire":
                return f"contributes {points}, low in {self.low} audits in a row"
            case _ if self.average >= rules.low:
                return f"contributes {points}, which is little"
            case _:
                wanting = [
                    f"{have} of {need} {what}"
                    for have, need, what in (
                        (self.low, rules.patience, "low audits in a row"),
                        (self.exposure, rules.exposure, "tasks"),
                    )
                    if have < need
                ]
                return f"contributes {points}; {' and '.join(wanting)} before it is nominated"


def standing(contributions: Iterable[tuple[float, int]], rules: Rules) -> Standing:
    """The standing after audits given as (effect, tasks), oldest first."""
    now = Standing()
    for effect, n in contributions:
        now = now.after(effect, n, rules)
    return now
