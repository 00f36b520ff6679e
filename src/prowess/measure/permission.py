"""The permission gate: no patch lets a skill do more than it declares, and a person decides where it asks for more."""

from dataclasses import dataclass

from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.trust import Capabilities
from prowess.guard.capabilities import declared, observed
from prowess.measure.gates import GateContext, changed


@dataclass(frozen=True, slots=True)
class PermissionGate:
    """What a skill does is declared, and nothing that it declares is new.

    Scripts alone are not: until somebody vouches for them they run in the sandbox only.
    """

    name: str = "permission"

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        hidden: list[str] = []
        gained: list[str] = []
        for skill in changed(candidate, base):
            try:
                asked, before = declared(skill), _before(base.get(skill.name))
            except UserError as error:
                hidden.append(error.message)
                continue
            if more := observed(skill).beyond(asked):
                hidden.append(f"{skill.name} does more than it declares: {more}")
            if new := asked.beyond(before).model_copy(update={"scripts": ()}):
                gained.append(f"{skill.name} asks for {new}, which it did not have before")
        status = "fail" if hidden else "propose" if gained else "pass"
        return Verdict(gate=self.name, status=status, note="; ".join([*hidden, *gained]))


def _before(skill: Skill | None) -> Capabilities:
    try:
        return Capabilities() if skill is None else declared(skill)
    except UserError:  # a manifest that nobody could read granted nothing
        return Capabilities()
