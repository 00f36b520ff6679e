"""Data sets that do not come with prowess: where they are looked for, and the command that brings them."""

from dataclasses import dataclass
from pathlib import Path

from prowess.core.errors import UserError

BESIDE = Path("../shared/data")
"""Looked at after the data folder of the settings, relative to the working folder."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder of public data."""

    name: str
    """For people."""
    folder: str
    """Below the data folder of the settings (`PROWESS_DATA`)."""
    origin: str
    """Address of its public repository."""
    marker: str
    """A file that is there when the data are."""
    within: tuple[str, ...] = ("",)
    """Where `marker` may lie in the folder: as collected by hand, or as a checkout of `origin` has it."""

    def find(self, root: Path | None = None) -> Path:
        """The folder that holds `marker`.

        Args:
            root: The folder that holds `folder`; by default that of the settings, else `BESIDE`.

        Raises:
            UserError: it is not there; the hint is the command that brings it.
        """
        from prowess.settings import load

        settled = load().settings.data
        for base in (settled, BESIDE) if root is None else (root,):
            for place in self.within:
                found = base / self.folder / place
                if (found / self.marker).is_file():
                    return found
        where = (root or settled) / self.folder
        raise UserError(f"{self.name} is not at {where}", f"git clone --depth 1 {self.origin} {where}")

    def lacking(self) -> UserError | None:
        """What is not there, and what to do about it; None where all is there."""
        try:
            self.find()
        except UserError as error:
            return error
        return None

    def install(self) -> Path:
        """Data are not installed by us. Raises `UserError`, which says how to get them."""
        if (lacking := self.lacking()) is not None:
            raise lacking
        return self.find()


def broken(path: Path, why: object) -> UserError:
    """A file that is not what it should be."""
    return UserError(f"{path} is not the data set: {why}", "fetch the data set again")
