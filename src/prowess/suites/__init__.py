"""Suites: where tasks come from, and who checks the answers."""

from pathlib import Path

from prowess.core.errors import UserError
from prowess.suites.base import Suite

__all__ = ["SUITES", "Suite", "open_suite"]

SUITES = ("workbench", "spreadsheetbench", "sra")


def open_suite(name: str, *, root: Path | None = None) -> Suite:
    """The suite called `name`.

    Args:
        root: folder of downloaded data (`../shared/data` by default); only suites that need data look at it.

    Raises:
        UserError: no such suite, or its data are not there.
    """
    if name == "workbench":
        from prowess.suites.workbench import Workbench

        return Workbench()
    if name == "spreadsheetbench":
        from prowess.suites.spreadsheetbench import DATA, SpreadsheetBench

        return SpreadsheetBench(root or DATA)
    if name == "sra":
        from prowess.suites import sra

        return sra.SraBench(root or sra.DATA)
    raise UserError(f"there is no suite {name!r}", f"choose one of {', '.join(SUITES)}")
