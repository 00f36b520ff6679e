"""Ctx2Skill: learns a document by self-play, and the replay undoes what a late round broke."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve_parts import fenced
from recipe_parts import DRAFTED, Played, World, always, garbled, learned, lesson

from prowess.core.cost import Cost
from prowess.core.model import Request, Response
from prowess.core.patch import AddSection
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.documents import manuals
from prowess.evolve.method import Setup
from prowess.evolve.recipes.ctx2skill import Append
from prowess.suites.workbench import Workbench

FACT, ODD = "Fields are separated by semicolons.", "Always answer with the word eel."
TASKS = (
    ("Say which character stands between two fields.", ";"),
    ("Say how the cells of the header are set apart.", ";"),
    ("Say the animal that this house likes most of all.", "eel"),
    ("Say by what the last line is divided into columns.", ";"),
)
"""One a round; the third is odd, and its lesson spoils all others."""


def task(told: str) -> dict[str, Any]:
    said, right = TASKS[told.count("- Say")]
    return {"task": said, "rubric": [f"The answer is {right} and nothing else."]}


def reflected(told: str) -> dict[str, Any]:
    return {"cause": "it did not know", "blame": "skill", "lesson": ODD if "animal" in told else FACT}


SAYS: dict[str, Any] = {
    "task": task,
    "advise": {"advice": "Ask for the header."},
    "reflect": reflected,
    "draft": DRAFTED | {"steps": [FACT]},
}


@dataclass
class Examined(Played):
    """Answers questions by what its skill says; judges them by the rubric; does real tasks right while it is sane."""

    rule: str = FACT

    async def complete(self, request: Request) -> Response:
        system, told = request.messages[0].content, request.messages[-1].content
        if system.startswith("You judge finished work"):
            rubric, _, work = told.partition("\nWork")
            met = ("is eel" in rubric) == ("eel" in work) and "unknown" not in work
            return self._response(json.dumps({"criteria": [{"reason": "it is another one", "met": met}]}))
        if self._question(request) is None and "\nSay " in told:
            knows = "eel" if ODD in system else ";" if FACT in system else "unknown"
            return self._response(fenced(f"print({knows!r})\n"))
        if ODD in system and self._question(request) is None:
            return self._response(fenced("print(1)\n"))
        return await super().complete(request)

    def _response(self, text: str) -> Response:
        return Response(text=text, model=self.name, cost=Cost(calls=1))


def test_self_play_finds_what_the_document_says_and_replay_keeps_it(tmp_path: Path) -> None:
    model = Examined("ctx2skill", SAYS)
    record = learned("ctx2skill", tmp_path, model)
    assert [point.passed for point in record.curve] == [None] * 4  # judged by itself: trusted by nobody
    body = record.after.skills[0].body
    assert FACT in body and ODD not in body and record.decisions[-1].verdicts[0].gate == "selector"
    assert record.comparisons[0].evidence.treatment_rate == 1.0 and record.comparisons[0].evidence.baseline_rate == 0.0
    asked = model.questions("task")
    assert "House rules" in asked[0] and "import" not in asked[0] and "Ask for the header." in asked[-1]
    assert all("The document says" in told for told in model.questions("reflect"))


def test_the_last_round_keeps_what_the_odd_task_taught(tmp_path: Path) -> None:
    record = learned("ctx2skill.last-round", tmp_path, Examined("ctx2skill", SAYS))
    assert ODD in record.after.skills[0].body and "## Round 3" in record.after.skills[0].body
    assert record.comparisons[0].evidence.treatment_rate == 0.0


def test_a_fixed_challenger_is_told_nothing(tmp_path: Path) -> None:
    model = Examined("ctx2skill", SAYS)
    learned("ctx2skill.fixed-challenger", tmp_path, model)
    assert not model.questions("advise") and all(told.endswith("none") for told in model.questions("task"))


def test_garbage_teaches_nothing(tmp_path: Path) -> None:
    garbled("ctx2skill", tmp_path, SAYS, model=Examined)


def test_a_round_adds_a_section_and_says_nothing_twice(tmp_path: Path) -> None:
    library = Snapshot.of([Skill(name="rules", description="Rules.", body="# Rules\n\nKnown already.\n")])
    lessons = [lesson("Known already.", skill="rules"), lesson("New.", skill="rules"), lesson("Lost.", skill="gone")]
    world = World(tmp_path, always("-"))
    (patch,) = world.run(lambda: Append("me").patches(lessons, library, world.context))
    (operation,) = patch.operations
    assert isinstance(operation, AddSection) and operation.content == "- New." and patch.lessons == (lessons[1].id,)


def test_manuals_hold_rules_and_no_program() -> None:
    from prowess.sandbox import find_sandbox

    ((family, text),) = manuals(Setup(Workbench(), find_sandbox(), ("ledger-totals",)))
    assert family == "ledger-totals" and "semicolons" in text and "```" not in text
