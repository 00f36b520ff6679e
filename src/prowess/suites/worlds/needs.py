"""What a world needs that does not come with prowess, and the command that brings it."""

import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from prowess.core.errors import UserError

JAVA = "install a Java runtime of version 8 or later, such as Debian's `default-jre-headless`"


@dataclass(frozen=True, slots=True)
class Needs:
    """The package of a world, and where it is looked for."""

    module: str
    """What is imported."""
    extra: str
    """The extra of prowess that installs it."""
    java: bool = False
    apart: tuple[str, ...] = ()
    """Requirements of an environment of its own, for packages that are too big, or do not go with others."""

    def lacking(self) -> UserError | None:
        """What is not there, and what to do about it; None where all is there."""
        if find_spec(self.module) is None:
            return UserError(
                f"the package {self.module!r} of this world is not installed", f"pip install 'prowess[{self.extra}]'"
            )
        if self.java and shutil.which("java") is None:
            return UserError("this world runs on Java, and there is no `java`", JAVA)
        return None

    def python(self) -> Path:
        """The Python that has the package.

        Raises:
            UserError: something is lacking; its hint is the command that brings it.
        """
        if (lacking := self.lacking()) is not None:
            raise lacking
        return Path(sys.executable)
