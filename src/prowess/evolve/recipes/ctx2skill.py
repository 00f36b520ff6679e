"""Ctx2Skill (2604.27660): skills from a document alone, by self-play; a replay over all rounds picks the result.

As in the paper: a challenger makes tasks with rubrics from the document; a reasoner does them with its skill in the
prompt; a judge says yes or no to each statement, and a task passes when all are met; failures teach the reasoner's
skill, which is only ever added to; successes teach the challenger what to probe next; at the end each round's skills
are run on the hardest failure and an easy success of every round, and the product of both rates chooses.

Ours: the reasoner is not shown the document, only the skill, since that is what is used later; the documents are what
the suite's people wrote down, without their programs; tasks are made one by one under a grammar; the library before the
first round may win the replay. No label is used: what the judge says is never trusted by a gate. The baseline is
`human`, the same document handed over as it is.

Reconstructed: the words of all questions, and what the challenger keeps (one line of advice a round).

Without the paper's idea: `last-round` takes the last skills; `fixed-challenger` learns nothing from what was passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import AddSection, Operation, Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.asking import answer, fields, text
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.documents import manuals
from prowess.evolve.drafting import Drafting, listed
from prowess.evolve.editing import Writing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Recipe
from prowess.evolve.providers import Everything
from prowess.evolve.reflect import Reflect
from prowess.evolve.selectors import Last, Replay
from prowess.evolve.selfmade import Grader, SelfMade
from prowess.evolve.statistics import did, lessons_by_skill

ROUNDS = 4


class _Advice(Frozen):
    advice: str


@dataclass(frozen=True, slots=True)
class Advise:
    """The challenger's own lessons: what to probe next, one line for each round that had successes."""

    prompt: Prompt

    async def __call__(self, context: Context) -> str:
        lines: list[str] = []
        for episodes in context.past.rounds:
            passed = "\n".join(f"- {episode.task.prompt}" for episode in episodes if did(episode))
            request = self.prompt.request({"passed": passed}, seed=context.seed)
            schema = fields(advice=text(8, 200))
            said = await answer(context, "advice", request, _Advice, lambda a: a.advice, schema) if passed else None
            lines += [f"- {' '.join(said.split())}"] if said else []
        return "\n".join(lines) or "none"


@dataclass(frozen=True, slots=True)
class Append:
    """Proposer: what a round taught of a skill becomes a section at its end; nothing that is there is touched."""

    author: str

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        section = f"Round {len(context.past.rounds)}"
        for name, group in lessons_by_skill([x for x in lessons if x.blame == "skill"]).items():
            skill = library.get(name)
            new = [x for x in group if skill is not None and x.text not in skill.body]
            if new:
                operations: tuple[Operation, ...] = (AddSection(name=name, section=section, content=listed(new)),)
                ids = tuple(x.id for x in new)
                reason = f"{name}: {len(new)} lessons of {section.lower()}"
                found.append(
                    Patch(base=library.digest, operations=operations, reason=reason, lessons=ids, author=self.author)
                )
        return tuple(found)


def recipe(setup: Setup, replay: bool = True, advised: bool = True) -> Recipe:
    ask, documents = prompts("common") | prompts("ctx2skill"), manuals(setup)
    known, provider, verifier = dict(documents), Everything(), Grader(setup.sandbox)

    def material(task: Task) -> str:
        return f"The document says:\n{known.get(task.family, '')}"

    return Recipe(
        name="ctx2skill",
        source=SelfMade(
            ask["task"], documents, max(1, setup.evidence // ROUNDS), Advise(ask["advise"]) if advised else None
        ),
        provider=provider,
        verifier=verifier,
        analyst=Reflect(ask["reflect"], material=material),
        proposer=Writing(Drafting(ask["draft"], "ctx2skill"), Append("ctx2skill")),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Replay(provider, verifier) if replay else Last(),
        rounds=ROUNDS,
    )


METHOD = Method(
    "self-play on a document: tasks with rubrics, lessons from failures, a replay over all rounds",
    recipe,
    paper="Ctx2Skill (2604.27660)",
    cost="medium",
    baseline="human",
    ablations=(
        Ablation("last-round", "the replay: the last round's skills", lambda setup: recipe(setup, replay=False)),
        Ablation("fixed-challenger", "the challenger's lessons", lambda setup: recipe(setup, advised=False)),
    ),
    needs="a judge that reads a rubric as a person would",
)
