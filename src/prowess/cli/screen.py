"""What a verb prints on: text for people or one JSON value for programs on stdout, all else on stderr.

Everything shown may come from a model or a stranger, so control characters are spelled out and nothing is read as
markup. `NO_COLOR` and pipes switch colours off.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prowess.core.errors import ProwessError, Refused, UserError
from prowess.report.text import visible

if TYPE_CHECKING:
    from rich.console import Console

GOOD, BAD, SOFT, BOLD = "green", "red", "dim", "bold"
"""The only styles; each is also told by a word or a sign."""


class Screen:
    """One verb's output."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self._consoles: dict[bool, Console] = {}

    def data(self, value: Any) -> None:
        """Print `value` as JSON. Models are dumped; text that is no UTF-8 is escaped."""
        import json

        sys.stdout.write(json.dumps(value, indent=2, default=_plain, allow_nan=False) + "\n")

    def line(self, *parts: str | tuple[str, str], err: bool = False) -> None:
        """Print a line made of texts, or of (text, style)."""
        from rich.text import Text

        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(visible(words), style)
        self.console(err).print(text, soft_wrap=True)

    def note(self, *parts: str | tuple[str, str]) -> None:
        """A line for people only, on stderr, so that it never stands in a program's way."""
        self.line(*parts, err=True)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> None:
        """Columns that fit the terminal; numbers to the right."""
        from rich.table import Table
        from rich.text import Text

        kept = [[(cell, "") if isinstance(cell, str) else cell for cell in row] for row in rows]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for i, header in enumerate(headers):
            right = bool(kept) and all(_is_number(row[i][0]) for row in kept)
            table.add_column(Text(header), justify="right" if right else "left", overflow="fold")
        for row in kept:
            table.add_row(*(Text(visible(words), style) for words, style in row))
        self.console().print(table)

    def diff(self, text: str) -> None:
        """A unified diff, in colour where that is welcome."""
        for line in text.splitlines():
            bold = line.startswith(("+++", "---", "diff "))
            style = BOLD if bold else GOOD if line[:1] == "+" else BAD if line[:1] == "-" else ""
            self.line((line, SOFT if line.startswith("@@") else style))

    def confirm(self, question: str, yes: bool) -> None:
        """Go on only if the user says so.

        Raises:
            Refused: the answer is no (exit code 1), or nobody can be asked and `yes` is not set.
        """
        if yes:
            return
        if self.json or not self.interactive:
            raise Refused(f"not done without a yes: {question}", "add --yes")
        if self.ask(f"{question} [y/N]") not in ("y", "yes"):
            raise Declined("nothing was changed")

    def ask(self, question: str, *, exact: bool = False) -> str:
        """What a person answers, in lower case unless `exact`; empty at the end of input."""
        self.console(err=True).print(visible(question), end=" ")
        said = sys.stdin.readline().strip()
        return said if exact else said.lower()

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def error(self, error: ProwessError) -> None:
        """What went wrong and what to do next; with --json also as a JSON value on stdout."""
        message, hint = (error.message, error.hint) if isinstance(error, UserError) else (str(error), "")
        if self.json:
            self.data({"error": {"kind": type(error).__name__, "message": message, "hint": hint}})
        word = "" if isinstance(error, Declined) else "error: "
        self.note((word, BAD), message)
        if hint:
            self.note("  → ", hint)

    def console(self, err: bool = False) -> "Console":
        if err not in self._consoles:
            from rich.console import Console

            self._consoles[err] = Console(stderr=err, highlight=False, markup=False, emoji=False)
        return self._consoles[err]


class Declined(Refused):
    """A person was asked and said no."""

    exit_code = 1


def _plain(value: Any) -> Any:
    from pathlib import Path

    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("$", "").replace("–", "").isdigit() or text in ("–", "")
