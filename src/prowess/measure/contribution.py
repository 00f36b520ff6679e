"""What a skill contributes, followed over many audits: moving average, streak and exposure.

An audit leaves one skill out: u = success with it - success without it, on the tasks that show it. One audit is noisy,
so the average moves, a skill retires only after several low audits in a row, and never before enough tasks have shown
it. The rules and their constants are those of dynamic skill lifecycle management (2605.10923, §3 and its released code,
`lifecycle.py`). They bound no error: a removal that must be proven asks `prowess.measure.attribution`.
"""

from dataclasses import dataclass, replace
from typing import Literal

from prowess.core.errors import UserError

Standing = Literal["keep", "watch", "retire"]


@dataclass(frozen=True, slots=True)
class Rules:
    beta: float = 0.9
    """Weight of the average so far; the newest audit has the rest."""
    retire_below: float = 0.001
    keep_from: float = 0.03
    """Averages from here on are safe; between the two a skill is watched."""
    patience: int = 3
    """Audits in a row with a low average that retiring needs."""
    exposure: int = 30
    """Tasks, over all audits, that must have shown the skill before it may retire."""
    from_zero: bool = False
    """Start the average at 0 instead of at the first contribution, as the released code does for a skill that training
    used before its first audit."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta < 1.0:
            raise UserError(f"beta is {self.beta!r}", "give a number from 0 to below 1")
        if self.retire_below > self.keep_from:
            raise UserError(
                f"skills retire below {self.retire_below:g} and are kept from {self.keep_from:g}", "give a lower first"
            )


@dataclass(frozen=True, slots=True)
class Followed:
    """A skill's audits so far."""

    average: float | None = None
    """None before the first audit."""
    streak: int = 0
    """Latest audits in a row whose average was below `Rules.retire_below`."""
    exposure: int = 0

    def audited(self, with_it: float, without_it: float, shown: int, rules: Rules = Rules()) -> "Followed":
        """After one more audit.

            average = u at first, then beta · average + (1 - beta) · u
            streak  = streak + 1 if average < retire_below, else 0

        Args:
            with_it: Success rate with the skill, 0 to 1.
            without_it: The same without it.
            shown: Tasks of this audit that showed the skill; with none the audit says nothing and nothing changes.
            rules: The constants.

        Raises:
            UserError: a rate is no share, or `shown` is negative.
        """
        if not (0.0 <= with_it <= 1.0 and 0.0 <= without_it <= 1.0) or shown < 0:
            raise UserError(
                f"an audit of {with_it!r} with and {without_it!r} without on {shown} tasks",
                "give success rates from 0 to 1 and a count",
            )
        if shown == 0:
            return self
        contribution = with_it - without_it
        before = 0.0 if self.average is None and rules.from_zero else self.average
        average = contribution if before is None else rules.beta * before + (1 - rules.beta) * contribution
        streak = self.streak + 1 if average < rules.retire_below else 0
        return replace(self, average=average, streak=streak, exposure=self.exposure + shown)

    def standing(self, rules: Rules = Rules()) -> Standing:
        """Retire: low average, low for `patience` audits, and seen on enough tasks; all three."""
        if self.average is None:
            return "watch"
        if self.average >= rules.keep_from:
            return "keep"
        low = self.average < rules.retire_below and self.streak >= rules.patience
        return "retire" if low and self.exposure >= rules.exposure else "watch"
