"""SkillClaw (2604.08377): sessions of many users become one shared library, in rounds of day and night.

As in the paper: each day sessions of all users come in; each is summarised with its causes; sessions are grouped by
the skill that was read, and those without a skill apart; of each group one decision: improve the skill, better its
description, create a skill, or skip; successes are invariants and failures targets; by night what was made is
validated before it is shared. Ours: a family's tasks are dealt to three users in turn; a group without a skill is
split by family; improving means edits of lines; the paper replays three cases that also taught, judged by a model,
and ours are paired trials on unseen tasks. Reconstructed: how users differ, which the paper does not tell.

Without the paper's ideas: `unvalidated` shares at once; `single-user` has the sessions of one user only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.agents.prompting import preload
from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch, SetDescription
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.evolve.asking import answer, fields, text
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.editing import Editing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.reflect import Reflect
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.evolve.statistics import lessons_by_family, lessons_by_skill

USERS = 3
SESSIONS = 30
"""Of a group that a decision looks at."""
Choice = Literal["improve_skill", "optimize_description", "create_skill", "skip"]


class _Decision(Frozen):
    decision: Choice
    description: str = ""


@dataclass(frozen=True, slots=True)
class FourWay:
    """Proposer: one decision for each group of sessions, then what was decided."""

    draft: Drafting
    edit: Editing
    author: str = "skillclaw"

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for name, group in lessons_by_skill(lessons).items():
            skill = library.get(name)
            for sessions in [group] if skill is not None else lessons_by_family(group).values():
                found += await self._decided(skill, sessions[-SESSIONS:], library, context)
        return tuple(found)

    async def _decided(
        self, skill: Skill | None, sessions: Sequence[Lesson], library: Snapshot, context: Context
    ) -> Sequence[Patch]:
        said = await _decision(skill, sessions, context)
        if said is None or said.decision == "skip":
            return ()
        if said.decision == "create_skill" or skill is None:
            loose = [lesson.model_copy(update={"skill": None}) for lesson in sessions]
            return await self.draft.patches(loose, library, context)
        if said.decision == "improve_skill":
            targets = [x for x in sessions if x.blame == "skill"]
            patch = await self.edit.patch(skill, targets, library, context) if targets else None
            return () if patch is None else (patch,)
        description = " ".join(said.description.split())
        if description in ("", skill.description):
            return ()
        return (
            Patch(
                base=library.digest,
                operations=(SetDescription(name=skill.name, description=description),),
                reason=f"{skill.name}: its description",
                lessons=tuple(lesson.id for lesson in sessions),
                author=self.author,
            ),
        )


async def _decision(skill: Skill | None, sessions: Sequence[Lesson], context: Context) -> _Decision | None:
    told = (f"- {'passed' if x.kind == 'success' else 'failed'}, blame {x.blame}: {x.text}" for x in sessions)
    values = {
        "about": sessions[0].family or "",
        "skill": preload((skill,)) if skill else "There is none.",
        "sessions": "\n".join(told),
    }
    without: list[JsonValue] = ["create_skill", "skip"]
    plain = fields(decision={"enum": ["improve_skill", *without] if skill else without})
    better = fields(decision={"const": "optimize_description"}, description=text(20, 240))
    schema: dict[str, JsonValue] = {"anyOf": [plain, better]} if skill else plain
    request = prompts("skillclaw")["decide"].request(values, seed=context.seed)
    return await answer(context, "decision", request, _Decision, lambda said: said, schema)


def dealt(setup: Setup, users: int) -> tuple[tuple[Task, ...], ...]:
    """The evidence tasks of each user: every family's, dealt in turn."""
    stream = setup.mixed_tasks("evidence", setup.evidence)
    by_family = {family: [t for t in stream if t.family == family] for family in setup.families}
    return tuple(tuple(t for tasks in by_family.values() for t in tasks[user::users]) for user in range(users))


def recipe(setup: Setup, validated: bool = True, users: int = USERS) -> Recipe:
    hands = dealt(setup, USERS)[:users]
    days = max(len(hand) for hand in hands)
    day_by_day = tuple(hand[day] for day in range(days) for hand in hands if day < len(hand))
    provider, common = BestMatches(), prompts("common")
    return Recipe(
        name="skillclaw",
        source=Stream(day_by_day, per_round=len(hands)),
        provider=provider,
        analyst=Reflect(prompts("skillclaw")["summarise"], on="all"),
        proposer=FourWay(Drafting(common["draft"], "skillclaw"), Editing(common["edit"], "skillclaw")),
        consolidator=Unmerged(),
        gates=(*FREE_GATES, *((setup.trials(provider),) if validated else ())),
        selector=Last(),
        rounds=-(-len(day_by_day) // len(hands)),
    )


METHOD = Method(
    "sessions of many users become one shared library, validated before it is shared",
    recipe,
    paper="SkillClaw (2604.08377)",
    cost="medium",
    ablations=(
        Ablation("unvalidated", "the validation by night", lambda setup: recipe(setup, validated=False)),
        Ablation("single-user", "the sessions of other users", lambda setup: recipe(setup, users=1)),
    ),
    needs="an analyst that states the rule behind a failed check",
)
