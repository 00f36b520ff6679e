"""From the roles of a team to a set of skills: a role becomes a skill, a hand-off its next step, the team a plan."""

import re

from prowess.core.errors import Refused, UserError
from prowess.core.skill import Skill
from prowess.evolve.compiling.conditions import check
from prowess.evolve.compiling.definition import Hand, Role, Team
from prowess.library.skillmd import validate

_DESCRIPTION = 1_024


def compile_team(team: Team) -> tuple[Skill, ...]:
    """The skills of `team`: the plan first, named like the team, then one for each role.

    Raises:
        Refused: a condition is broken beyond doubt; the message names each.
        UserError: a role makes no valid skill.
    """
    certain = [doubt for doubt in check(team) if doubt.certain]
    if certain:
        told = "; ".join(f"{doubt.condition}: {doubt.why}" for doubt in certain)
        raise Refused(
            f"{team.name!r} cannot become one agent: {told}", "keep the team, or change what breaks the condition"
        )
    names = _names(team)
    skills = (_plan(team, names), *(_skill(team, role, names) for role in team.roles))
    for skill in skills:
        if wrong := validate(skill):
            raise UserError(f"{skill.name!r} is no valid skill: {'; '.join(wrong)}", "change the definition")
    return skills


def _names(team: Team) -> dict[str, str]:
    """Role to skill name; the empty role is the plan."""
    found = {"": _slug(team.name)}
    for role in team.roles:
        base = _slug(f"{team.name} {role.name}")
        taken = set(found.values())
        found[role.name] = next(
            n for i in range(1, len(taken) + 2) if (n := base if i == 1 else f"{base[:60]}-{i}") not in taken
        )
    return found


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.casefold()))[:64].strip("-") or "team"


def _skill(team: Team, role: Role, names: dict[str, str]) -> Skill:
    purpose = " ".join((role.description or _sentence(role.instructions)).split())
    before = [hand for hand in team.hands if hand.target == role.name]
    use = "Use it first." if role.name == team.entry and not before else _use(before, names)
    parts = [f"# {role.name}", role.instructions.strip()]
    if role.tools:
        parts.append("## Tools\n\n" + "\n".join(f"- `{tool}`" for tool in role.tools))
    parts.append("## Next\n\n" + _next(team.after(role.name), names))
    return Skill(
        name=names[role.name],
        description=f"{purpose.rstrip('.')}. {use}"[:_DESCRIPTION],
        body="\n\n".join(parts) + "\n",
        metadata={"prowess.compiled-from": f"{team.name}/{role.name}"[:200]},
    )


def _plan(team: Team, names: dict[str, str]) -> Skill:
    steps: list[str] = []
    for role in _order(team):
        purpose = " ".join((role.description or _sentence(role.instructions)).split())
        steps.append(
            f"{len(steps) + 1}. `{names[role.name]}`: {purpose} {_next(team.after(role.name), names, short=True)}"
        )
    listed = ", ".join(role.name for role in team.roles)
    return Skill(
        name=names[""],
        description=f"How to do the work of {team.name}: which skill when ({listed}). Use it before the others."[
            :_DESCRIPTION
        ],
        body=f"# {team.name}\n\nOne skill after the other; keep what each found in mind for the next.\n\n"
        + "\n".join(steps)
        + "\n\nAnswer once the last one is done.\n",
        metadata={"prowess.compiled-from": team.name[:200]},
    )


def _order(team: Team) -> list[Role]:
    """Roles as they are first met from the entry on; those that are never handed to come last."""
    seen, waiting = dict[str, None](), [team.entry]
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen[name] = None
            waiting += [hand.target for hand in team.after(name) if hand.target is not None]
    return [team.role(name) for name in seen] + [role for role in team.roles if role.name not in seen]


def _next(hands: tuple[Hand, ...], names: dict[str, str], short: bool = False) -> str:
    if not hands:
        return "(the last)" if short else "This is the last step: give the answer."
    said = [
        ("end" if hand.target is None else f"`{names[hand.target]}`") + (f" when {hand.when}" if hand.when else "")
        for hand in hands
    ]
    return f"→ {' or '.join(said)}" if short else "\n".join(f"- Go on with {one}." for one in said)


def _use(before: list[Hand], names: dict[str, str]) -> str:
    if not before:
        return "Use it where it fits."
    told = [f"after {names[hand.source]}" + (f" when {hand.when}" if hand.when else "") for hand in before]
    return f"Use it {', or '.join(told)}."


def _sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", " ".join(text.split()))[0][:200]
