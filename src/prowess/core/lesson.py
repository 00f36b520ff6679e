"""Lessons: one thing learned from trajectories, with its references and who is to blame."""

from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from prowess.core.base import Frozen, digest
from prowess.core.trust import OWN

Blame = Literal["skill", "agent", "environment"]
"""Only `skill` justifies an edit: `agent` erred although it was told, `environment` is not the library's to mend."""


class Reference(Frozen):
    """Where a lesson comes from."""

    trajectory: str
    first_step: int = 0
    last_step: int = 0
    """Inclusive; indices into `Trajectory.steps`."""
    quote: str = ""
    """At most a few hundred characters of the steps themselves."""
    principal: str = OWN
    """Whose trajectory it is, where it is not the user's own."""

    @model_serializer(mode="wrap")
    def _without_own(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out for one's own, so that a lesson from one's own sessions has the same id with and without it."""
        data = dump(self)
        if self.principal == OWN:
            del data["principal"]
        return data


class Lesson(Frozen):
    kind: Literal["cause", "memory", "success", "program", "request", "goal"]
    """`cause` explains a failure, `memory` generalises it, `success` is what worked, `program` is a program that passed
    on unseen tasks, `request` a skill or tool that was missed, `goal` something that was reached on the way."""
    text: str
    family: str | None = None
    skill: str | None = None
    """The skill that it is about, if one was loaded."""
    blame: Blame = "skill"
    references: tuple[Reference, ...]
    payload: str = ""
    """For `program`: the program text; for the last two kinds, what belongs to them, as JSON."""

    @property
    def id(self) -> str:
        return digest(self)[:16]
