"""The behaviour gate: a patch passes when nothing that its skills do in the trap goes beyond what they may do."""

import copy
from dataclasses import dataclass
from typing import Protocol, cast

from prowess.agents.base import Agent
from prowess.core.errors import SandboxError, UserError
from prowess.core.evidence import Verdict
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.trust import Capabilities
from prowess.guard.capabilities import declared
from prowess.measure.behaviour.decoys import HOME
from prowess.measure.behaviour.detonation import Report, Trap, detonate
from prowess.measure.behaviour.effects import Effect
from prowess.measure.gates import GateContext, changed
from prowess.sandbox import Sandbox, WatchingSandbox

_SHOWN = 6
"""Effects that a note names."""


class _Sandboxed(Agent, Protocol):
    sandbox: Sandbox


def allows(manifest: Capabilities, effect: Effect) -> bool:
    """Whether a manifest names what was done: any host for the network, the path for files.

    Nothing in a manifest makes up for a leak, for documents, for the skill's own files, or for breaking out.
    """
    if effect.kind == "network":
        return bool(manifest.hosts)
    if effect.kind not in ("secrets", "settings", "outside"):
        return False
    places = [place.replace("~", HOME, 1).rstrip("/") for place in manifest.paths]
    return any(word == place or word.startswith(f"{place}/") for place in places for word in effect.what.split())


@dataclass(frozen=True, slots=True)
class BehaviourGate:
    """Every skill that the patch touches is detonated; one effect that its manifest does not name fails the patch.

    What it declares beyond what it had before is the permission gate's. What could not be run is not passed: then a
    person decides. Skills without scripts are followed by the agent of the run, in the trap.
    """

    sandbox: Sandbox
    name: str = "behaviour"

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        if not hasattr(self.sandbox, "watch"):
            return Verdict(gate=self.name, status="propose", note=f"{self.sandbox.name} cannot watch what programs do")
        sandbox = cast(WatchingSandbox, self.sandbox)
        reports: list[tuple[Skill, Report]] = []
        try:
            for skill in changed(candidate, base):
                reports.append((skill, await detonate(skill, sandbox, lambda trap: trapped(context.bench.agent, trap))))
        except SandboxError as error:
            return Verdict(gate=self.name, status="propose", note=f"could not be run: {error}")
        found = [
            f"{effect.kind}: {skill.name} {effect.what} ({effect.command[:80]})"
            for skill, report in reports
            for effect in report.effects
            if not allows(_manifest(skill), effect)
        ]
        if found:
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            return Verdict(gate=self.name, status="fail", note="; ".join(found[:_SHOWN]) + more)
        unproven = [f"{skill.name}: {reason}" for skill, report in reports for reason in report.unproven]
        if unproven:
            return Verdict(gate=self.name, status="propose", note=f"not run: {'; '.join(unproven[:_SHOWN])}")
        ran = sum(len(report.ran) for _, report in reports)
        return Verdict(gate=self.name, status="pass", note=f"{ran} runs in the trap, nothing touched")


def _manifest(skill: Skill) -> Capabilities:
    """What the skill declares; nothing where its manifest cannot be read."""
    try:
        return declared(skill)
    except UserError:
        return Capabilities()


def trapped(agent: Agent, trap: Trap) -> Agent | None:
    """The same agent with the trap as its sandbox; None for one that runs elsewhere."""
    if not hasattr(agent, "sandbox"):
        return None
    inside = cast(_Sandboxed, copy.copy(agent))
    inside.sandbox = trap
    return inside
