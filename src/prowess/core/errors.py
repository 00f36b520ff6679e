"""Every error that prowess raises on purpose.

    ProwessError
    ├── UserError        the caller can mend it; the text says what was wrong, where, and what to do next (exit 2)
    │   ├── InvalidSkill     a SKILL.md or skill folder breaks the specification
    │   ├── PatchConflict    a patch does not fit the library it is applied to
    │   ├── BudgetExceeded   a limit on calls, tokens, money or time was reached; finished work is kept (exit 3)
    │   └── Refused          a destructive step was not confirmed, or a rule forbids it
    └── BoundaryError    something outside failed; recorded on the trial, never kills its siblings
        ├── ModelError       a provider or the embedded engine gave no usable answer
        ├── SandboxError     no sandbox, or the sandbox itself failed (not the program in it)
        ├── AgentError       an external agent failed to run
        └── WorldError       the world of an episode failed, died or did not answer in time

Catch `ProwessError` to catch them all. Anything else is a bug and is allowed to crash.
"""


class ProwessError(Exception):
    """Base of all errors raised on purpose."""


class UserError(ProwessError):
    """The caller can mend this. `hint` says what to do next."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class InvalidSkill(UserError):
    """A skill breaks the Agent Skills specification; `problems` lists every breach found."""

    def __init__(self, where: str, problems: list[str]) -> None:
        super().__init__(f"{where} is not a valid skill: {'; '.join(problems)}", "mend the file, then try again")
        self.where = where
        self.problems = problems


class PatchConflict(UserError):
    """A patch does not fit; `conflicts` says, per operation, what was expected and what was found."""

    def __init__(self, conflicts: list[str]) -> None:
        super().__init__(
            "the patch conflicts with the library: " + "; ".join(conflicts),
            "rebase it with a three-way merge, or make it again from the present library",
        )
        self.conflicts = conflicts


class BudgetExceeded(UserError):
    """A hard limit was reached. Everything finished so far is stored; the same command resumes."""

    exit_code = 3


class Refused(UserError):
    """A destructive step was not confirmed, or a rule forbids it."""


class BoundaryError(ProwessError):
    """Something outside of prowess failed. `retryable` tells whether the same call may work later."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class ModelError(BoundaryError):
    """A model gave no usable answer: time-out, refusal, rate limit, garbage."""


class SandboxError(BoundaryError):
    """The sandbox itself failed. A program that fails inside a working sandbox is not an error."""


class AgentError(BoundaryError):
    """An external agent could not be run to its end."""


class WorldError(BoundaryError):
    """The world that an episode is played in failed. What happened in it says nothing about the agent."""
