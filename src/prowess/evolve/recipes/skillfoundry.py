"""SkillFoundry (2604.03964): a domain tree says where skills are missing; documents are mined for them; tests decide.

As in the paper: a tree of domains, of which the leaves without a skill come first, then those tried in vain, then those
with least; for each leaf the documents and sources that are nearest are read; what they say becomes an operational
contract; of it a package is built, with text, script, tests and its sources; tests and trials with and without it
decide, and a leaf that got none is taken up again.

Ours: documents lie in a folder (or are what the suite's people wrote down, without programs), and nothing is fetched; a
leaf is a family of the suite, and its domain the words of its tasks; trials are paired and powered where the paper asks
a model for cases and for the novelty.

Reconstructed: the words of all questions; merging and pruning are the library's own, and run apart.

Without the paper's idea: `unvalidated` takes packages as they are written, untested and untried.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Task
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.documents import Passage, manuals, nearest, passages
from prowess.evolve.drafting import drafted, listed, put
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.reflect import reference_to
from prowess.evolve.requests import Wanted
from prowess.evolve.selectors import Last
from prowess.evolve.selftest import SelfTestGate
from prowess.evolve.statistics import by_family, lessons_by_family
from prowess.evolve.taxonomy import Taxonomy, coverage, frontier
from prowess.evolve.tiers import without_names
from prowess.evolve.tools import develop

FOCUS = 4
"""Leaves that are worked on in one round."""
READ = 3
"""Passages that are read for one leaf."""
CASES = 2
"""Tasks of a leaf that show what is wanted."""
TRIES = 2


@dataclass(frozen=True, slots=True)
class Leaves:
    """Source: tasks of the leaves where skills are missing most; none where every leaf has one."""

    taxonomy: Taxonomy
    tasks_of: dict[str, tuple[Task, ...]]
    """By leaf."""
    resources: dict[str, int]

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        families = {task.family: leaf for leaf, tasks in self.tasks_of.items() for task in tasks}
        refused = [lesson.family for d in context.past.decisions if not d.accepted for lesson in d.lessons[:1]]
        tried = [families[family] for family in refused if family in families]
        places = self.taxonomy.places(library.skills, tried, self.resources)
        context.tell(
            "explore", f"{coverage(places):.0%} of {len(places)} places have a skill", coverage=coverage(places)
        )
        missing = [place for place in places if not place.skills]
        return tuple(task for place in frontier(missing, FOCUS) for task in self.tasks_of[place.name])


class _Contract(Frozen):
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mine:
    """Analyst: what the nearest passages say of a leaf's tasks, as rules that a program must keep."""

    prompt: Prompt
    """About the `$task` and one `$passage`."""
    passages: tuple[Passage, ...]

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        found: list[Lesson] = []
        for family, group in by_family(episodes).items():
            task, run = group[0]
            for passage in nearest(f"{family.replace('-', ' ')} {task.prompt}", self.passages, READ):
                request = self.prompt.request({"task": task.prompt, "passage": passage.text}, seed=context.seed)
                schema = fields(rules=texts(0, 8, text(8, 240)))
                contract = await answer(context, "contract", request, _Contract, lambda c: c.rules, schema)
                reference = reference_to(run).model_copy(update={"quote": passage.text[:300]})
                found += [
                    Lesson(kind="memory", text=rule, family=family, references=(reference,), payload=passage.path)
                    for rule in dict.fromkeys(contract or ())
                ]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Package:
    """Proposer: a skill for each family from its contract, with a script that passes tests, and its sources."""

    ask: dict[str, Prompt]
    """`draft` and `tool`."""
    setup: Setup
    validated: bool

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for family, group in lessons_by_family(lessons).items():
            values = {"about": family, "lessons": listed(group), "skills": ", ".join(library.names) or "none yet"}
            skill = await drafted(context, self.ask["draft"], values)
            if skill is None:
                continue
            skill = _with_sources(skill, group)
            if self.validated:
                skill = await self._with_script(skill, group, context)
            if operations := put(library, skill):
                ids = tuple(lesson.id for lesson in group)
                reason = f"{skill.name}: a package from {len({lesson.payload for lesson in group})} documents"
                found.append(
                    Patch(base=library.digest, operations=operations, reason=reason, lessons=ids, author="skillfoundry")
                )
        return tuple(found)

    async def _with_script(self, skill: Skill, contract: Sequence[Lesson], context: Context) -> Skill:
        """The skill with a script and its tests; as it is where no script passes them."""
        asked = Wanted(name=skill.name, description=skill.description, arguments=("source", "target"))
        material = f"Rules that it must keep:\n{listed(contract)}"
        tool = await develop(context, self.ask["tool"], asked, self.setup.sandbox, material=material)
        if tool is None:
            return skill
        call = tool.body.partition("\n\n")[2]
        body = f"{skill.body}\n## Script\n\n{call}"
        return skill.model_copy(update={"body": body, "files": tool.files, "compatibility": tool.compatibility})


def _with_sources(skill: Skill, contract: Sequence[Lesson]) -> Skill:
    sources = "\n".join(f"- {path}" for path in dict.fromkeys(lesson.payload for lesson in contract))
    return skill.model_copy(update={"body": f"{skill.body}\n## Sources\n\n{sources}\n"})


def recipe(setup: Setup, validated: bool = True) -> Recipe:
    ask, provider = prompts("common") | prompts("skillfoundry"), BestMatches()
    tasks_of = {f"{setup.suite.name}/{f}": setup.tasks(f, "evidence", CASES) for f in setup.families}
    about = {leaf: f"{leaf} " + " ".join(without_names(t.prompt) for t in tasks) for leaf, tasks in tasks_of.items()}
    written = tuple(File(path=f"{family}.md", data=rules.encode()) for family, rules in manuals(setup))
    found = passages(setup.documents or written)
    taxonomy = Taxonomy.domains(about)
    return Recipe(
        name="skillfoundry",
        source=Leaves(taxonomy, tasks_of, {leaf: len(nearest(told, found, READ)) for leaf, told in about.items()}),
        provider=provider,
        analyst=Mine(ask["contract"], found),
        proposer=Package(ask, setup, validated),
        consolidator=Unmerged(),
        gates=(
            *FREE_GATES,
            *((SelfTestGate(setup.sandbox), setup.regression(provider), setup.trials(provider)) if validated else ()),
        ),
        selector=Last(),
        rounds=TRIES * -(-len(setup.families) // FOCUS),
    )


METHOD = Method(
    "mines documents for what a tree of domains lacks; packages with tests and trials",
    recipe,
    paper="SkillFoundry (2604.03964)",
    cost="medium",
    ablations=(Ablation("unvalidated", "tests and trials", lambda setup: recipe(setup, validated=False)),),
    needs="a writer of scripts and tests",
)
