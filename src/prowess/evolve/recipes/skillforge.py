"""SkillForge (2604.08618): a creator that mines past work, then three cycles of analysis, diagnosis and repair.

As in the paper: the creator mines each piece of past work for its issue, its way to a solution and its do's and
don'ts, and writes a skill from them. Then, three times: tasks are done; each bad case is analysed in four dimensions,
each in a call of its own, with an issue and a severity; issues are aggregated over the batch by frequency and
severity; a diagnostician attributes the gravest to a place in the skill and plans a change; an optimiser carries the
plan out by small edits. There is no gate that measures. Ours: past work is what the agent did in a first round
without a skill, with the checks in the place of an expert's reply; the diagnostician gets lines with numbers where
the paper's reads files; the five gravest issues of a family make the plan. Reconstructed: issues of style, and the
words of the questions.

Without the paper's ideas: `undiagnosed` gives issues to the optimiser without place and plan; `generic` creates from
the text of a task alone, as a creator without the domain does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.agents.prompting import preload
from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.editing import Editing, Writing, lines_of, shown
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes import one_shot
from prowess.evolve.reflect import TaskTexts, outcome, reference_to, transcript
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.evolve.statistics import did, is_first
from prowess.measure.pool import for_each

CYCLES = 3
GRAVEST = 5
"""Issues of a skill that make a plan."""
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "knowledge": ("missing", "incorrect", "contradictory", "outdated", "misapplied", "not-surfaced"),
    "tool": ("missed-call", "wrong-tool", "wrong-parameters", "repeated", "misread-result"),
    "clarification": ("over-asking", "under-asking"),
    "style": ("wrong-form", "wrong-tone"),
}
"""Dimensions in the order of the paper's ties, with their issues."""
SEVERITY = {"low": 1, "medium": 2, "high": 3}
ASK = prompts("skillforge")
_LINE = text(8, 240)


class _Mined(Frozen):
    issue: str
    path: tuple[str, ...]
    do: tuple[str, ...]
    dont: tuple[str, ...]


class _Said(Frozen):
    issue: str
    severity: Literal["low", "medium", "high"] = "low"
    what: str = ""


class _Plan(Frozen):
    line: int
    kind: Literal["missing", "insufficient", "incorrect"]
    change: str


@dataclass(frozen=True, slots=True)
class Issue:
    """What one dimension of one bad case shows."""

    dimension: str
    name: str
    severity: int
    what: str
    episode: Episode


@dataclass(frozen=True, slots=True)
class Mine:
    """Analyst: what each piece of past work teaches, line by line: the domain creator's first step."""

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        found: list[Lesson] = []
        for episode in episodes:
            if did(episode) is None:
                continue
            task, run = episode
            values = {"task": task.prompt, "transcript": transcript(run), "outcome": outcome(run)}
            schema = fields(issue=_LINE, path=texts(1, 6, _LINE), do=texts(0, 3, _LINE), dont=texts(0, 3, _LINE))
            request = ASK["mine"].request(values, seed=context.seed)
            mined = await answer(context, "mining", request, _Mined, lambda mined: mined, schema)
            lines = (mined.issue, *mined.path, *mined.do, *mined.dont) if mined else ()
            found += [
                Lesson(kind="memory", text=" ".join(line.split()), family=task.family, references=(reference_to(run),))
                for line in dict.fromkeys(lines)
            ]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Analyst: four analyses a bad case, issues aggregated, the gravest attributed to a place with a plan."""

    planned: bool = True

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        bad = [(episode, name) for episode in episodes if did(episode) is False for name in DIMENSIONS]
        issues: dict[int, Issue] = {}

        async def one(number: int) -> None:
            issue = await _analysed(*bad[number], library, context)
            if issue is not None:
                issues[number] = issue

        await for_each(range(len(bad)), one, context.concurrency)
        found: list[Lesson] = []
        for name, group in _by_skill([issues[number] for number in sorted(issues)], library).items():
            for same in gravest(group)[:GRAVEST]:
                found.append(await self._lesson(same, library.get(name), context))
        return tuple(found)

    async def _lesson(self, same: Sequence[Issue], skill: Skill | None, context: Context) -> Lesson:
        first = same[0]
        told = f"{first.dimension}, {first.name}: {first.what}"
        plan = await _diagnosed(told, len(same), skill, context) if skill and self.planned else None
        where = f"line {plan.line}" if plan and plan.line else "not in the skill"
        return Lesson(
            kind="memory",
            text=f"{first.what} ({plan.kind}, {where}: {plan.change})" if plan else first.what,
            family=first.episode.task.family,
            skill=skill.name if skill else None,
            references=tuple(reference_to(issue.episode.trajectory) for issue in same),
        )


async def _analysed(episode: Episode, dimension: str, library: Snapshot, context: Context) -> Issue | None:
    task, run = episode
    names = DIMENSIONS[dimension]
    skills = tuple(skill for name in run.loaded if (skill := library.get(name)) is not None)
    values = {
        "dimension": dimension,
        "issues": ", ".join(names),
        "task": task.prompt,
        "shown": preload(skills) or "No skill was shown.",
        "transcript": transcript(run),
        "outcome": outcome(run),
    }
    request = ASK["analyse"].request(values, seed=context.seed)
    there = fields(issue={"enum": list(names)}, severity={"enum": list(SEVERITY)}, what=text(8, 300))
    none = fields(issue={"const": "none"})
    said = await answer(context, "analysis", request, _Said, lambda said: said, {"anyOf": [there, none]})
    if said is None or said.issue not in names or not said.what.strip():
        return None
    return Issue(dimension, said.issue, SEVERITY[said.severity], " ".join(said.what.split()), episode)


async def _diagnosed(told: str, times: int, skill: Skill, context: Context) -> _Plan | None:
    values = {"skill": shown(skill), "issue": told, "times": str(times)}
    request = ASK["diagnose"].request(values, seed=context.seed)
    lines: list[JsonValue] = [0, *(number for number, _ in lines_of(skill))]
    kinds: JsonValue = {"enum": ["missing", "insufficient", "incorrect"]}
    schema = fields(line={"enum": lines}, kind=kinds, change=text(8, 300))
    return await answer(context, "diagnosis", request, _Plan, lambda plan: plan, schema)


def _by_skill(issues: Sequence[Issue], library: Snapshot) -> dict[str, list[Issue]]:
    """Issues under the skill that was shown, else under the family, which no skill of the library is called."""
    found: dict[str, list[Issue]] = {}
    for issue in issues:
        loaded = [name for name in issue.episode.trajectory.loaded if name in library.names]
        found.setdefault(loaded[0] if loaded else f"({issue.episode.task.family})", []).append(issue)
    return found


def gravest(issues: Sequence[Issue]) -> list[list[Issue]]:
    """Issues of one dimension and name together: the gravest first, then those of most cases, then as dimensions stand.

    Of each group the first stands for it: the most severe.
    """
    groups: dict[tuple[str, str], list[Issue]] = {}
    for issue in issues:
        groups.setdefault((issue.dimension, issue.name), []).append(issue)
    order = list(DIMENSIONS)
    ranked = [sorted(group, key=lambda issue: -issue.severity) for group in groups.values()]
    return sorted(ranked, key=lambda g: (-g[0].severity, -len(g), order.index(g[0].dimension)))


@dataclass(frozen=True, slots=True)
class Cycles:
    """Analyst: `mine` in the first round, then the diagnosis."""

    mine: Mine
    then: Diagnosis

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        return await (self.mine if is_first(context) else self.then).lessons(episodes, library, context)


def recipe(setup: Setup, domain: bool = True, planned: bool = True) -> Recipe:
    tasks, common = setup.all_tasks("evidence", setup.evidence), prompts("common")
    diagnosis = Diagnosis(planned)
    return Recipe(
        name="skillforge",
        source=Stream(tasks * (1 + CYCLES), per_round=len(tasks)),
        provider=BestMatches(),
        analyst=Cycles(Mine(), diagnosis) if domain else TaskTexts(one_shot.first_tasks(setup), diagnosis),
        proposer=Writing(
            Drafting(common["draft" if domain else "write"], "skillforge"), Editing(common["edit"], "skillforge")
        ),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
        rounds=1 + CYCLES,
    )


METHOD = Method(
    "a creator mines past work; three cycles of failure analysis in four dimensions, diagnosis and repair",
    recipe,
    paper="SkillForge (2604.08618)",
    cost="medium",
    ablations=(
        Ablation("undiagnosed", "the diagnostician's plan", lambda setup: recipe(setup, planned=False)),
        Ablation("generic", "the domain creator: from a task's text alone", lambda setup: recipe(setup, domain=False)),
    ),
    needs="an analyst that tells four kinds of issue apart",
)
