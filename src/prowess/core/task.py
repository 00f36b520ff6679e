"""Tasks and scores. A task is data only; the suite that made it knows how to check an answer."""

import hashlib
from typing import Literal

from pydantic import JsonValue

from prowess.core.base import Frozen, digest

Split = Literal["evidence", "gate", "test"]
"""Lessons come from `evidence`, verdicts from `gate`, reported figures from `test`. The three never share a task."""


class File(Frozen):
    """A file of a task, a skill or an answer."""

    path: str
    """Relative, with forward slashes, no `..`."""
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def text(self) -> str:
        """The content as UTF-8; undecodable bytes become replacement characters."""
        return self.data.decode("utf-8", "replace")


class Task(Frozen):
    """A prompt, its files, and where it belongs."""

    id: str
    """Unique within its suite: `<family>/<variant>/<seed>` by convention."""
    suite: str
    family: str
    variant: str = "base"
    """Which shift of the family's rules applies; `base` for none."""
    split: Split
    seed: int
    prompt: str
    files: tuple[File, ...] = ()
    outputs: tuple[str, ...] = ()
    """Paths that the answer must write; empty when the answer is the final message."""
    source: str = ""
    """The package that the task is played or judged with, and its version; empty where none is."""
    meta: dict[str, JsonValue] = {}

    @property
    def digest(self) -> str:
        """What trials are kept under: another version of the package is another task."""
        said = [self.suite, self.id, self.prompt, [(f.path, f.sha256) for f in self.files], self.outputs]
        return digest([*said, self.source] if self.source else said)


class Check(Frozen):
    """One thing that was looked at. `message` says what is wrong without giving the answer away."""

    name: str
    passed: bool
    message: str = ""
    rule: str = ""
    """The requirement that was broken, where the verifier can say it in words that hold beyond this one task."""


class Score(Frozen):
    """What a verifier says of one trajectory."""

    value: float
    """0 to 1; for programmatic checks the share that passed."""
    passed: bool
    checks: tuple[Check, ...] = ()
    verifier: str
    """Who judged: `suite:workbench`, `judge:<model>`, `human`."""
    trusted: bool
    """Whether the verifier is out of the learner's reach. Untrusted scores never decide a verdict."""

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.passed)
