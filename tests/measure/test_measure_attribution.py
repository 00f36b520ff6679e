"""Leave-one-out and Shapley values on trials, in a small world where each skill's power is known."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest
from measure_parts import RIGHT, WRONG, DiceAgent, MemoryStore, ShowAll, bench, skill, task, tasks

from prowess.core.errors import BudgetExceeded, ModelError
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.library import Library
from prowess.measure.attribution import WORTH, Attribution, Contribution, propose_removal
from prowess.measure.coalitions import Shares, shapley
from prowess.measure.parts import Part, blocks_of, skills_of, without
from prowess.measure.trials import Bench

Rule = Callable[[Task, set[str]], bool]


@dataclass
class World:
    """Passes when a rule over the lines of all skills shown says so, flipped in a share of the trials."""

    rule: Rule
    noise: float = 0.0
    name: str = "world/1"
    runs: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        self.runs.append((task.id, view.digest, seed))
        lines = {line for s in view.skills for line in (s.name, *s.body.splitlines())}
        good = self.rule(task, lines) != (random.Random(f"{task.id} {view.digest} {seed}").random() < self.noise)
        return Trajectory(
            id="", agent=self.name, model="m", snapshot=view.snapshot, outputs=(RIGHT if good else WRONG,)
        )


def named(*names: str) -> Snapshot:
    return Snapshot.of([Skill(name=name, description=name, body=f"# {name}\n\n- {name}\n") for name in names])


def under(agent: object, library: Snapshot, store: MemoryStore | None = None, **more: object) -> Attribution:
    options: dict[str, object] = {"tasks": tasks(20), "provider": ShowAll(), "design": WORTH, **more}
    made: Bench = bench(agent, store)  # pyright: ignore[reportArgumentType]
    return Attribution(library, bench=made, **options)  # pyright: ignore[reportArgumentType]


def leave_one_out(asked: Attribution, parts: tuple[Part, ...] | None = None) -> dict[str, Contribution]:
    parts = skills_of(asked.library) if parts is None else parts
    return {c.part: c for c in anyio.run(asked.leave_one_out, parts)}


def divide(asked: Attribution, *, all_coalitions: bool | None = None) -> Shares:
    async def main() -> Shares:
        return await shapley(asked, skills_of(asked.library), all_coalitions=all_coalitions)

    return anyio.run(main)


def test_each_skill_gets_the_answer_that_it_deserves() -> None:
    library = named("good", "idle", "bad")
    agent = World(lambda t, has: "good" in has and not ("bad" in has and t.seed % 2))
    found = leave_one_out(under(agent, library))
    assert {name: c.worth for name, c in found.items()} == {"good": "helps", "idle": "no help", "bad": "harms"}
    assert found["bad"].evidence.effect < 0 and found["idle"].evidence.effect == 0
    assert found["idle"].evidence.n == 40, "the fewest pairs that can show it"
    assert found["bad"].evidence.n < 20 and found["good"].shown == found["good"].tasks == 20


def test_a_harm_that_shows_at_once_is_called_so() -> None:
    found = leave_one_out(under(World(lambda t, has: "bad" not in has), named("bad")))
    assert found["bad"].worth == "harms" and found["bad"].evidence.n == 8


def test_trials_of_the_whole_library_are_paid_once_and_nothing_is_paid_twice() -> None:
    library, store = named("a", "b", "c"), MemoryStore()
    agent = World(lambda t, has: True)
    leave_one_out(under(agent, library, store))
    assert len(agent.runs) == len(set(agent.runs)) == 40 * 4
    again = World(lambda t, has: True)
    leave_one_out(under(again, library, store))
    assert again.runs == []


class ByFamily:
    """Shows the skill that is named as the task's family."""

    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot=library.digest, skills=tuple(s for s in library.skills if s.name == task.family))


def test_only_tasks_that_show_the_part_are_run() -> None:
    some = tuple(task(i, family="a") for i in range(10)) + tuple(task(i, family="b") for i in range(30))
    agent = World(lambda t, has: t.family in has)
    found = leave_one_out(under(agent, named("a", "b", "c"), tasks=some, provider=ByFamily()))
    assert (found["a"].shown, found["b"].shown, found["a"].tasks) == (10, 30, 40)
    assert found["a"].worth == found["b"].worth == "helps"
    assert found["c"].worth is None and found["c"].note == "no task shows the agent anything of it"
    assert len(agent.runs) == 2 * (found["a"].evidence.n + found["b"].evidence.n)


def test_what_cannot_be_decided_costs_nothing_and_says_so() -> None:
    agent = World(lambda t, has: True)
    found = leave_one_out(under(agent, named("a"), tasks=tasks(1)))
    assert found["a"].worth is None and "only 3 pairs can be had; 6" in found["a"].note and agent.runs == []


def test_missing_trials_are_made_up_for_and_total_loss_is_noticed() -> None:
    agent = DiceAgent(base=10, fails=lambda task, view, seed: task.seed % 3 == 0)
    library = Snapshot.of([skill("plus", 80)])
    found = leave_one_out(under(agent, library))["plus"]
    assert found.worth == "helps" and found.evidence.missing > 0
    down = DiceAgent(fails=lambda task, view, seed: True)
    lost = leave_one_out(under(down, library))["plus"]
    assert lost.worth is None and "missing" in lost.note and lost.evidence.missing == 8


def test_a_stop_by_budget_resumes_to_the_same_answer() -> None:
    class Poor(World):
        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            if len(self.runs) >= 50:
                raise BudgetExceeded("fifty runs")
            return await super().run(task, view, seed)

    def rule(t: Task, has: set[str]) -> bool:
        return "a" in has or t.seed % 2 == 0

    library, store = named("a", "b"), MemoryStore()
    whole = World(rule)
    expected = leave_one_out(under(whole, library))
    with pytest.raises(BudgetExceeded):
        leave_one_out(under(Poor(rule), library, store))
    rest = World(rule)
    assert leave_one_out(under(rest, library, store)) == expected
    assert 50 + len(rest.runs) == len(whole.runs)


def removable(asked: Attribution) -> tuple[str, ...]:
    parts = skills_of(asked.library)
    found = tuple(leave_one_out(asked, parts).values())
    together = anyio.run(asked.removable, parts, found)
    return together.parts if together is not None else ()


def test_two_that_do_the_same_work_are_never_offered_together() -> None:
    asked = under(World(lambda t, has: "one" in has or "two" in has), named("one", "two", "idle"))
    assert {c.worth for c in leave_one_out(asked).values()} == {"no help"}
    found = removable(asked)
    assert "idle" in found and len(found) == 2


def test_all_that_does_nothing_is_offered_and_what_helps_is_not() -> None:
    asked = under(World(lambda t, has: "good" in has), named("good", "idle", "lazy"))
    assert removable(asked) == ("idle", "lazy")
    assert removable(under(World(lambda t, has: "good" in has), named("good"))) == ()


def test_offers_are_proposals_with_evidence_that_can_be_accepted_and_undone(tmp_path: Path) -> None:
    library = Library.open(tmp_path, create=True)
    for s in named("good", "idle", "lazy").skills:
        (tmp_path / s.name).mkdir()
        (tmp_path / s.name / "SKILL.md").write_text(f"---\nname: {s.name}\ndescription: {s.name}\n---\n\n{s.body}")
    snapshot = library.snapshot()
    asked = under(World(lambda t, has: "good" in has), snapshot)
    parts = skills_of(snapshot)
    found = anyio.run(asked.leave_one_out, parts)
    together = anyio.run(asked.removable, parts, found)

    def offer() -> list[str]:
        return [p.patch.reason for p in propose_removal(library, snapshot, parts, found, together, 0.1)]

    assert offer() == ["take out idle: it is no help", "take out lazy: it is no help"]
    assert library.snapshot() == snapshot, "nothing is removed"
    first, second = library.proposals()
    assert [v.gate for v in first.verdicts] == ["leave-one-out", "together"]
    assert first.verdicts[0].evidence is not None and first.verdicts[0].evidence.n == 40
    assert "together with lazy" in first.verdicts[1].note
    library.reject(second.id, "I like it")
    assert offer() == ["take out idle: it is no help"]
    assert len(library.proposals()) == 1
    change = library.accept(first.id, by="user", allow_foreign=True)
    assert library.snapshot().names == ("good", "lazy")
    library.undo(change.id)
    assert library.snapshot() == snapshot
    assert propose_removal(library, snapshot, parts, found, None, 0.1) == ()


TEXT = """# Ledger

Read the whole file.

## Rules

- Skip void rows.
  Even old ones.
- Round half up.
- Twice.
- Twice.

1. First.
   ```python
   x = 1
   ```

```python
total = 0

print(total)
```
"""


def test_blocks_are_named_by_the_lines_of_the_file() -> None:
    made = Skill(name="ledger", description="Ledgers.", body=TEXT)
    file = f"---\nname: ledger\ndescription: Ledgers.\n---\n\n{TEXT}"
    found = blocks_of(made, file)
    lines = file.split("\n")
    for part in found:
        first, _, last = part.name.partition(":")[2].partition("-")
        assert "\n".join(lines[int(first) - 1 : int(last or first)]) == part.text
    assert [part.text.split("\n")[0].strip() for part in found] == [
        "Read the whole file.", "- Skip void rows.", "- Round half up.", "1. First.", "```python", "```python",
    ]  # fmt: skip
    assert found[1].text == "- Skip void rows.\n  Even old ones."


def test_blocks_can_be_taken_out_alone_and_together() -> None:
    library = Snapshot.of([Skill(name="ledger", description="Ledgers.", body=TEXT)])
    parts = blocks_of(library.skills[0], TEXT)
    for part in parts:
        (left,) = without(library, [part]).skills
        assert part.text not in left.body and left.body.count("\n") == TEXT.count("\n") - part.text.count("\n") - 1
    (bare,) = without(library, parts).skills
    assert [line for line in bare.body.splitlines() if line] == ["# Ledger", "## Rules", "- Twice.", "- Twice."]


def test_the_line_that_helps_is_found_among_those_that_do_nothing() -> None:
    library = Snapshot.of([Skill(name="ledger", description="Ledgers.", body=TEXT)])
    agent = World(lambda t, has: "- Round half up." in has)
    asked = under(agent, library)
    parts = blocks_of(library.skills[0], TEXT)
    found = leave_one_out(asked, parts)
    helps = [name for name, c in found.items() if c.worth == "helps"]
    assert helps == [part.name for part in parts if part.text == "- Round half up."]
    together = anyio.run(asked.removable, parts, tuple(found.values()))
    assert together is not None and set(together.parts) == {part.name for part in parts} - set(helps)


def test_a_part_that_would_break_the_library_is_left_open() -> None:
    library = Snapshot.of([Skill(name="ledger", description="Ledgers.", body="Only this.\n")])
    broken = Part("ledger:9", blocks_of(library.skills[0], "Only this.\n")[0].operations * 2, "Only this.")
    agent = World(lambda t, has: True)
    found = leave_one_out(under(agent, library), (broken,))["ledger:9"]
    assert found.worth is None and found.note.startswith("cannot be taken out") and agent.runs == []


def test_shapley_divides_where_leaving_one_out_sees_nothing() -> None:
    agent = World(lambda t, has: "one" in has or "two" in has)
    found = divide(under(agent, named("one", "two", "idle")))
    values = {s.part: s.value for s in found.shares}
    assert found.all_coalitions and found.settled and found.total == 1.0
    assert values == pytest.approx({"one": 0.5, "two": 0.5, "idle": 0.0})
    assert {s.part: s.worth for s in found.shares} == {"one": "helps", "two": "helps", "idle": None}


def test_orders_and_all_coalitions_agree_and_add_up() -> None:
    """Noise, an interaction and a harm; both ways within their errors of the truth."""

    def rule(t: Task, has: set[str]) -> bool:
        return ("one" in has and "two" in has) or ("three" in has and t.seed % 2 == 0)

    library = named("one", "two", "three")
    design = replace(WORTH, max_pairs=120, margin=0.01)
    every = divide(under(World(rule, 0.1), library, tasks=tasks(120), design=design), all_coalitions=True)
    some = divide(under(World(rule, 0.1), library, tasks=tasks(120), design=design), all_coalitions=False)
    for found in (every, some):
        assert sum(s.value for s in found.shares) == pytest.approx(found.total, abs=1e-9)
        assert found.blocks <= 120 and all(s.low <= s.value <= s.high for s in found.shares)
    for a, b in zip(every.shares, some.shares, strict=True):
        assert abs(a.value - b.value) <= 4 * (a.error**2 + b.error**2) ** 0.5
    assert some.trials / some.blocks < every.trials / every.blocks


def test_coalitions_that_look_alike_share_their_trials() -> None:
    some = tuple(task(i, family="ab"[i % 2]) for i in range(20))
    agent = World(lambda t, has: t.family in has)
    found = divide(
        under(
            agent,
            named("a", "b", "c", "d", "e", "f"),
            tasks=some,
            provider=ByFamily(),
            design=replace(WORTH, margin=0.3),
        )
    )
    assert not found.all_coalitions and len(agent.runs) == found.trials == 2 * found.blocks
    assert [s.worth for s in found.shares][:2] == ["helps", "helps"] and found.total == 1.0


def test_blocks_with_missing_trials_are_left_out() -> None:
    class Flaky(World):
        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            if task.seed % 4 == 0 and len(view.skills) == 1:
                raise ModelError("down")
            return await super().run(task, view, seed)

    found = divide(under(Flaky(lambda t, has: "one" in has), named("one", "two")))
    assert found.missing > 0 and found.blocks > 0 and found.shares[0].worth == "helps"
