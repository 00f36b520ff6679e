"""SRA: each stage counted apart, with an agent whose loading and answering are known beforehand."""

import re
from pathlib import Path

import anyio
import pytest

from prowess.agents.answer import AnswerAgent
from prowess.agents.models.scripted import ScriptedModel
from prowess.core.errors import ModelError
from prowess.core.model import Request
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Split, Task
from prowess.core.view import View
from prowess.measure.selection import ByWords
from prowess.measure.sra import AmongDistractors, Fitting, Oracle, Ranking, Selected, Share, Top, gap, gold, run_sra
from prowess.measure.trials import Bench
from prowess.search.index import SearchIndex
from prowess.search.routers import Lexical
from prowess.trajectories.runstore import RunStore

KINDS = ("ledger", "poster", "garden", "video")
SKILLS = tuple(
    Skill(name=f"s-{kind}", description=f"All about {kind} and {kind} tools.", body=f"the word is {kind}!\n")
    for kind in KINDS
)
LIBRARY = Snapshot.of(list(SKILLS))


def task(number: int, easy: bool = False) -> Task:
    kind = KINDS[number % 4]
    return Task(
        id=f"{kind}/base/{number}", suite="words", family=kind, split="test", seed=number,
        prompt=f"{'easy' if easy else 'hard'} question {number} on {kind}", meta={"gold": [f"s-{kind}"]},
    )  # fmt: skip


TASKS = [task(i, easy=i % 2 == 0) for i in range(8)]


class Words:
    """Passes when the answer is the family's word."""

    name = "words"
    families = KINDS

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return ()

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        good = answer.endswith(f"ANSWER: {task.family}")
        return Score(
            value=float(good), passed=good, checks=(Check(name="a", passed=good),), verifier="suite:words", trusted=True
        )

    def oracle(self, task: Task) -> None:
        return None

    def human_skill(self, family: str) -> None:
        return None


def knowing(request: Request) -> str:
    """Knows easy words; loads the first unread skill for hard ones, and says the word of the last skill it read."""
    asked = request.messages[1].content
    kind = next(k for k in KINDS if k in asked)
    if "easy" in asked:
        return f"ANSWER: {kind}"
    read = re.findall(r"the word is (\w+)!", "\n".join(m.content for m in request.messages))
    if read:
        return f"ANSWER: {read[-1]}"
    listed = re.search(r"^1\. ", request.messages[0].content, re.M)
    return "LOAD_SKILL: 1" if listed else "ANSWER: no idea"


def bench(tmp_path: Path, answers=knowing) -> Bench:
    return Bench(
        agent=AnswerAgent(ScriptedModel(answers)), suite=Words(), store=RunStore(tmp_path / "r.db"), attempts=1
    )


def stages(tmp_path: Path, answers=knowing, disclosure="progressive", **providers):
    found = anyio.run(lambda: run_sra(TASKS, LIBRARY, providers, bench(tmp_path, answers), disclosure=disclosure))
    return {s.provider: s for s in found}


class Wrong:
    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]:
        return tuple(s for s in library.skills if s.name not in gold(task))[:1]


def test_every_stage_is_counted_apart(tmp_path: Path) -> None:
    found = stages(tmp_path, oracle=Oracle(), wrong=Wrong())
    none, oracle, wrong = found["none"], found["oracle"], found["wrong"]
    assert (none.passed, none.found, none.loaded_right) == (Share(4, 8), Share(0, 8), Share(0, 0))
    assert oracle.found == Share(8, 8) and oracle.loaded_found == Share(4, 8) and oracle.loaded_missed == Share(0, 0)
    assert oracle.loaded_right == Share(4, 4) and oracle.passed == Share(8, 8) and oracle.passed_with == Share(4, 4)
    assert wrong.found == Share(0, 8) and wrong.loaded_missed == Share(4, 8) and wrong.loaded_right == Share(0, 4)
    assert wrong.passed == Share(4, 8)
    assert oracle.against_none is not None and (oracle.against_none.wins, oracle.against_none.n) == (4, 8)
    assert oracle.need.value == 1.0 and oracle.need.low > 0, "this agent loads just where it fails alone"
    assert wrong.against_oracle is not None and wrong.against_oracle.losses == 4 and oracle.against_oracle is None
    assert none.need.value is None and none.against_none is None


def test_an_unaware_agent_shows_no_need(tmp_path: Path) -> None:
    def eager(request: Request) -> str:
        said = "\n".join(m.content for m in request.messages)
        if "1. s-" in said and "the word is" not in said:
            return "LOAD_SKILL: 1"
        return knowing(request)

    found = stages(tmp_path, eager, oracle=Oracle())["oracle"]
    assert found.need.value == 0.0 and found.loaded_found == Share(8, 8)


def test_providers_offer_what_they_say() -> None:
    ranking = Ranking(Lexical(), SearchIndex.of(LIBRARY))

    async def names(provider, task: Task) -> list[str]:
        return [s.name for s in await provider.offer(task, LIBRARY)]

    both = task(1).model_copy(update={"prompt": "a poster and a ledger and a garden"})
    assert anyio.run(names, Oracle(), both) == ["s-poster"]
    among = anyio.run(names, AmongDistractors(ranking, 2), both)
    assert set(among) == {"s-poster", "s-ledger", "s-garden"}
    assert anyio.run(names, AmongDistractors(ranking, 2), both) == among
    assert anyio.run(names, AmongDistractors(ranking, 1), both) != anyio.run(names, Oracle(), both)
    assert anyio.run(names, Top(ranking, 2), task(2))[0] == "s-garden"
    assert anyio.run(names, Selected(ranking, ByWords()), task(3)) == ["s-video"]
    other = task(3).model_copy(update={"prompt": "what is the capital of France"})
    assert anyio.run(names, Selected(ranking, ByWords()), other) == []
    near = task(3).model_copy(update={"prompt": "What is the capital of France, and who is all about it? No tools."})
    assert anyio.run(names, Top(ranking), near) != [] and anyio.run(names, Fitting(ranking), near) == []
    fitting = task(3).model_copy(update={"prompt": "video tools"})
    assert anyio.run(names, Fitting(ranking), fitting) == ["s-video"]


def test_preloaded_bodies_need_no_loading(tmp_path: Path) -> None:
    found = stages(tmp_path, disclosure="preload", oracle=Oracle())["oracle"]
    assert found.loaded_found == Share(8, 8) and found.passed == Share(8, 8)


def test_a_failing_model_is_missing_not_wrong(tmp_path: Path) -> None:
    def down(request: Request) -> str:
        raise ModelError("down")

    found = stages(tmp_path, down, oracle=Oracle())["oracle"]
    assert found.passed == Share(0, 0) and found.found == Share(8, 8)


def test_the_answer_agent_reads_by_number_and_stops() -> None:
    view = View(snapshot="", skills=SKILLS[:2], disclosure="progressive")

    async def run(*answers: str, rounds: int = 3):
        model = ScriptedModel(answers)
        return await AnswerAgent(model, rounds=rounds).run(task(0), view, 0), model

    done, model = anyio.run(run, "LOAD_SKILL: 2", "LOAD_SKILL: 2", "LOAD_SKILL: 9", "ANSWER: ledger")
    assert done.loaded == ("s-poster",) and done.steps[-1].message == "ANSWER: ledger" and done.cost.calls == 4
    assert [s.observations[0].is_error for s in done.steps if s.observations] == [False, True, True]
    assert "1. s-ledger: All about ledger" in model.requests[0].messages[0].content
    assert "the word is" not in model.requests[0].messages[0].content
    endless, _ = anyio.run(run, *["LOAD_SKILL: 1"] * 10)
    assert len([s for s in endless.steps if s.source == "agent"]) == 4 and endless.status == "completed"


def test_gap_is_honest_about_little() -> None:
    assert gap(Share(0, 0), Share(1, 2)).value is None
    both = gap(Share(9, 10), Share(1, 10))
    assert both.value == pytest.approx(0.8) and 0.3 < both.low < both.high < 1
