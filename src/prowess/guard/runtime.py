"""What may be done with a skill right now: the one place that is asked before a text is shown and before a script runs.

Agents ask again at every load and every script run, so that a demotion or a revocation holds from the next step on.

| tier | text | scripts |
|---|---|---|
| revoked | none | never |
| T1 | on request, fenced as untrusted | never on the user's data |
| T2 | as reference, ask before acting | never on the user's data |
| T3, T4 | whole | yes |

Trials are another matter: they run in the sandbox, on made-up tasks, and are how a skill earns its tier.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.core.trust import Tier
from prowess.guard.capabilities import is_script
from prowess.guard.keys import Keyring
from prowess.guard.promotion import demote
from prowess.guard.tiers import Standing, standings
from prowess.library import Library
from prowess.library.trees import Tree, tree_digest

Text = Literal["none", "fenced", "reference", "whole"]


class Permit(NamedTuple):
    """What may be done with one version of a skill."""

    text: Text
    scripts: bool
    why: str = ""
    """Why not more."""


class Runtime(Protocol):
    """Where agents ask."""

    def permit(self, skill: Skill) -> Permit: ...

    def violated(self, skill: Skill, what: str) -> None:
        """Told when a skill did what none may, such as changing its own files."""
        ...


@dataclass(frozen=True, slots=True)
class Trials:
    """Trials on made-up tasks: the text whole; scripts only where the agent's programs run in the sandbox."""

    scripts: bool = True

    def permit(self, skill: Skill) -> Permit:
        return Permit("whole", self.scripts, "" if self.scripts else "scripts run in the sandbox only")

    def violated(self, skill: Skill, what: str) -> None:
        """Nothing: the outcome of the trial tells."""


TRIALS: Final = Trials()
OUTSIDE: Final = Trials(scripts=False)
"""Trials of agents that run with the user's rights."""


@dataclass(slots=True)
class Tiered:
    """The user's own work with the skills of one library. Which version an agent holds is told by its content alone."""

    library: Library
    keyring: Keyring
    _known: dict[str, Standing] = field(default_factory=dict[str, Standing])
    """By digest of the skill, as of `_state`."""
    _state: object = None

    def permit(self, skill: Skill) -> Permit:
        return permit(self.standing(skill))

    def standing(self, skill: Skill) -> Standing:
        """Of exactly this content; of one that the library never had, that nobody vouched for it."""
        state = (self.library.trust.number(), self.keyring.stamp())
        if state != self._state:
            found = standings(self.library, self.keyring)
            self._known = {}
            for tree, skills in self.library.trust.contents(found).items():
                for held in skills:
                    # Two folders may show an agent the same: then what is known of the worse one counts.
                    other = self._known.get(held.digest)
                    if other is None or (found[tree].revoked, -found[tree].tier) > (other.revoked, -other.tier):
                        self._known[held.digest] = found[tree]
            self._state = state
        return self._known.get(skill.digest, Standing())

    def violated(self, skill: Skill, what: str) -> None:
        """Quarantines the skill, whatever it was before."""
        if self.library.snapshot().get(skill.name) == skill:
            demote(self.library, self.keyring, skill.name, by="runtime", reason=what)


def barred(library: Library, keyring: Keyring) -> Callable[[str, Tree], str]:
    """Says of a skill (name and folder) why it may not go to an agent that runs with the user's rights; "" if it may.

    What lies in such an agent's folder is out of our hands, so an unvetted text stays here, and so does a skill whose
    scripts may not run.
    """
    known = standings(library, keyring)

    def reason(name: str, tree: Tree) -> str:
        found = known.get(tree_digest(tree), Standing())
        allowed = permit(found)
        if allowed.text in ("none", "fenced"):
            hint = "" if found.revoked else f"; `prowess trust {name} --to T2` once you have read it"
            return f"{found.tier}, {allowed.why}{hint}"
        if not allowed.scripts and any(is_script(File(path=path, data=data)) for path, data in tree.items()):
            return f"{found.tier}, and it brings scripts, which need T3; `prowess trust {name}` says what that takes"
        return ""

    return reason


def permit(standing: Standing) -> Permit:
    """What a tier allows on the user's data."""
    if standing.revoked:
        return Permit("none", False, standing.why)
    if standing.tier == Tier.QUARANTINED:
        return Permit("fenced", False, standing.why)
    if standing.tier == Tier.REVIEWED:
        return Permit("reference", False, "scripts run from T3 on")
    return Permit("whole", True)
