"""What a world needs that does not come with prowess, and the command that brings it."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from prowess.core.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = "install Chromium, such as Debian's chromium"
JAVA = "install a Java runtime, version 8 or later, such as Debian's default-jre-headless"
INSTALL_SECONDS = 3_600.0


@dataclass(frozen=True)
class Needs:
    """The package of a world, and where it is looked for."""

    module: str
    """What is imported."""
    extra: str
    """The extra of prowess that installs it beside prowess; also the name of its own environment."""
    java: bool = False
    chromium: bool = False
    also: tuple[str, ...] = ()
    """What else of the same extra is imported."""
    apart: tuple[str, ...] = ()
    """Requirements of an environment of its own, for packages that are big or do not go with others."""
    package: str = ""
    """How the package is called where it is published, if not like its module."""
    alone: tuple[str, ...] = ()
    """Requirements of that environment that are installed without theirs, since they ask for far more than they use
    here; what they do use stands in `apart`."""

    @property
    def environment(self) -> Path:
        """The folder of the world's own environment, whether it is there or not."""
        from prowess.settings import load

        return load().settings.cache / "worlds" / self.extra

    @cached_property
    def source(self) -> str:
        """The package that is used and its version, as `minigrid 3.1.0`: what `Task.source` says of its tasks."""
        name = self.package or self.module
        folders = (
            None if find_spec(self.module) else [str(p) for p in self.environment.glob("lib/python*/site-packages")]
        )
        found = (
            metadata.distributions(name=name) if folders is None else metadata.distributions(name=name, path=folders)
        )
        return next((f"{d.metadata['Name']} {d.version}" for d in found), "")

    def lacking(self) -> UserError | None:
        """What is not there, and what to do about it; None where all is there."""
        absent = next((module for module in (self.module, *self.also) if find_spec(module) is None), None)
        if absent is not None and not (self.apart and _python_of(self.environment).exists()):
            how = f"prowess suites install {self.extra}" if self.apart else f"pip install 'prowess[{self.extra}]'"
            return UserError(f"the package {absent!r} of this world is not installed", how)
        if self.java and shutil.which("java") is None:
            return UserError("this world runs on Java, and there is no `java`", JAVA)
        if self.chromium and browser() is None:
            return UserError("this world runs in Chromium, and there is none", CHROMIUM)
        return None

    def python(self) -> Path:
        """The Python that has the package: this one where it can, else that of the world's own environment.

        Raises:
            UserError: something is lacking; its hint is the command that brings it.
        """
        if (lacking := self.lacking()) is not None:
            raise lacking
        return Path(sys.executable) if find_spec(self.module) is not None else _python_of(self.environment)

    def install(self) -> Path:
        """Make the world's own environment. What was there before is replaced only by what works.

        Raises:
            UserError: the world has none, or the package could not be installed.
        """
        if not self.apart:
            raise UserError("this world needs no environment of its own", f"pip install 'prowess[{self.extra}]'")
        folder, made = self.environment, self.environment.with_name(f"{self.extra}.new")
        shutil.rmtree(made, ignore_errors=True)
        made.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(made)])
        pip = [str(_python_of(made)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *self.apart])
        if self.alone:
            _run([*pip, "--no-deps", *self.alone])
        _run([str(_python_of(made)), "-c", f"import {self.module}"])
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)  # only its scripts would mind, and none is used
        return folder


def browser() -> str | None:
    """The program of a Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"the environment could not be made: {error}", "try it again") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"the environment could not be made: {said}", f"the command was: {' '.join(command)}")
