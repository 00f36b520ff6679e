"""MiniWoB++: small tasks on web pages, in a real Chromium (arXiv 1802.08802; package `miniwob`, MIT).

A family is a task of the package. The player sees a page as its accessibility tree (`base`) or as its DOM (`dom`), and
acts on it by text, such as `click [12]`. Families are those tasks for which `gold.py` has a script that earns the
full reward; the others ask for drawing, dragging, or more than a page tells in text.
"""

from typing import Final

from prowess.core.task import Split, Task
from prowess.suites.worlds.miniwob.gold import FREE, SOLUTIONS
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import OFFSETS, WorldSuite

STEPS: Final = 60
PROMPT: Final = (
    "You use a web page, which you see as text. What has a number can be used. Actions: click [N], hover [N], "
    'type [N] "text", which replaces what a field holds, select [N] "option", press KEY, such as `press Enter`, and '
    "wait. Dates are typed as 2016-12-31, times as 18:30. Each action takes a second."
)


class MiniWob(WorldSuite):
    """Task number `i` of a split has seed `3 i` plus the offset of the split; the page draws itself by the seed."""

    name = "miniwob"
    about = "small tasks on web pages, in a browser"
    licence = "MIT"
    engine = "prowess.suites.worlds.miniwob.browser:Browser"
    needs = Needs(module="miniwob", extra="miniwob", also=("playwright",), chromium=True)
    can = frozenset({"actions", "gold"})
    apart = True

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(SOLUTIONS)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base", "dom")

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1`; there is no end to them."""
        self.known(family, variant, n, start)
        return tuple(
            self.drawn(
                family, variant, split, seed, PROMPT,
                {"task": family, "seed": str(seed), "dom": variant == "dom", "free": family in FREE}, STEPS,
            )
            for seed in (3 * i + OFFSETS[split] for i in range(start, start + n))
        )  # fmt: skip
