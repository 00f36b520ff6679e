"""A team compiled to skills: kept where one agent does as well as the team, and only there."""

from dataclasses import dataclass
from pathlib import Path

from evolve_parts import SUITE, by_another_office, fenced, right, task_in
from recipe_parts import SOME, Played, learned

from prowess.core.cost import Cost
from prowess.core.model import Request, Response
from prowess.evolve.method import Setup
from prowess.evolve.recipes import build
from prowess.evolve.recipes.compile_mas import office
from prowess.sandbox import find_sandbox

RULES = "separated by semicolons"
PLAN = SOME.__class__("none", families=("ledger-totals", "address-list"), evidence=2, gate=3, test=2, human=False)


@dataclass
class Office(Played):
    """The team and the single agent: each does right what it has read the rules of, unless `spoilt` by skills."""

    spoilt: bool = False
    families: tuple[str, ...] = ("ledger-totals", "address-list")

    async def complete(self, request: Request) -> Response:
        system, told = request.messages[0].content, request.messages[-1].content
        if "You are reception" in system:
            task = task_in(request, self.families)
            return self._said(f"I hand it on.\nNEXT: {task.family}")
        task = task_in(request, self.families)
        knows = ("## House rules" in told) or ("## House rules" in system and not self.spoilt)
        return self._said(fenced(right(task) if knows else by_another_office(task)))

    def _said(self, text: str) -> Response:
        return Response(text=text, model=self.name, cost=Cost(calls=1, prompt_tokens=100, completion_tokens=10))


def test_a_team_becomes_skills_that_do_as_well_for_fewer_tokens(tmp_path: Path) -> None:
    record = learned("compile_mas", tmp_path, Office("compile_mas", {}), PLAN)
    assert record.after.names == ("office", "office-address-list", "office-ledger-totals", "office-reception")
    (decision,) = record.decisions
    assert "team 100%, skills 100%" in decision.lessons[0].text and "with 50% of its tokens" in decision.lessons[0].text
    assert record.comparisons[0].evidence.baseline_rate == 0.0


def test_a_team_that_one_agent_cannot_replace_stays_a_team(tmp_path: Path) -> None:
    record = learned("compile_mas", tmp_path / "a", Office("compile_mas", {}, spoilt=True), PLAN)
    assert not record.decisions and not record.after.skills
    unchecked = learned("compile_mas.unchecked", tmp_path / "b", Office("compile_mas", {}, spoilt=True), PLAN)
    assert len(unchecked.after.skills) == 4


def test_what_the_team_says_is_only_said(tmp_path: Path) -> None:
    """Garbage from a role changes the route at most."""

    class Mumbling(Office):
        async def complete(self, request: Request) -> Response:
            if "You are reception" in request.messages[0].content:
                return self._said("NEXT: nobody\n\ud800")
            return await super().complete(request)

    record = learned("compile_mas", tmp_path, Mumbling("compile_mas", {}), PLAN)
    assert all(decision.verdicts for decision in record.decisions)


def test_the_office_has_a_specialist_for_each_family() -> None:
    setup = Setup(SUITE, find_sandbox(), ("ledger-totals", "address-list"))
    team = office(setup)
    assert team is not None and [role.name for role in team.roles] == ["reception", *setup.families]
    assert all(RULES in role.instructions for role in team.roles if role.name == "ledger-totals")

    class Silent(type(SUITE)):  # type: ignore[misc]
        def human_skill(self, family: str) -> None:
            return None

    assert office(Setup(Silent(), find_sandbox(), ("ledger-totals",))) is None
    assert build("compile_mas", Setup(Silent(), find_sandbox(), ("ledger-totals",))).rounds == 1
