"""Search at test time: equal tokens, bounds that every controller keeps, schedules at fixed points."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_parts import actor, task

from prowess.core.errors import UserError
from prowess.core.task import Task
from prowess.train.mechanisms.base import Example
from prowess.train.policies.scripted import ScriptedPolicy
from prowess.train.search import judges
from prowess.train.search.base import Attempt, Control, Found
from prowess.train.search.control import BestOf, Greedy, vote
from prowess.train.search.correct import Choose, Rewrite, Sure, Unchanged, flips
from prowess.train.search.deepening import Deepen, boundaries
from prowess.train.search.prompts import few_shot, step_by_step
from prowess.train.search.tree import Tree, uct, width

LONGEST = 6
TASKS = [task(f"{i}=", id=str(i)) for i in range(60)]


def check(of: Task, answer: str) -> float:
    """The right answer is `ab.` for all."""
    return float(answer.endswith("ab."))


def guesser(chance: float = 0.3) -> ScriptedPolicy:
    """Right so often; works in steps of one letter, so that a tree can be grown: `x`, then `a`, `b`, `.`."""

    def script(prompt: str, rng: random.Random) -> str:
        return "ab." if rng.random() < chance else rng.choice(("ba.", "bb.", "aa."))

    return ScriptedPolicy("actor", script)


def right(found: list[Found]) -> float:
    return sum(check(t, f.answer) for t, f in zip(TASKS, found, strict=True)) / len(TASKS)


def steps(of: Task, attempts: object) -> list[float]:
    """How much of an answer is right so far."""
    return [sum(a == b for a, b in zip(x.text, "ab.", strict=False)) / 3 for x in attempts]  # type: ignore[attr-defined]


CONTROLS: dict[str, Control] = {
    "greedy": Greedy(LONGEST),
    "best of": BestOf(LONGEST, judges.oracle(check)),
    "vote": vote(LONGEST, lambda text: text),
    "rewrite": Rewrite(LONGEST, "?"),
    "choose": Choose(lambda t: ("ab.", "ba."), "?"),
    "deepen": Deepen(LONGEST, LONGEST, judges.oracle(check), "?"),
    "tree": Tree(2, LONGEST, "b", judges.oracle(check)),
}


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("budget", [12, 25, 60])
def test_no_controller_exceeds_its_budget_and_equal_seeds_give_equal_answers(name: str, budget: int) -> None:
    for policy in (guesser(), actor(context=128)):
        found = CONTROLS[name](TASKS[:9], policy, budget, 3)
        assert all(0 < f.tokens <= budget for f in found)
        assert [f.answer for f in found] == [f.answer for f in CONTROLS[name](TASKS[:9], policy, budget, 3)]


@pytest.mark.parametrize("name", ["greedy", "best of", "rewrite", "choose", "tree", "vote"])
def test_a_budget_that_pays_for_nothing_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="do not pay for one answer"):
        CONTROLS[name](TASKS, guesser(), 2, 0)


def test_a_perfect_judge_never_loses_and_more_tokens_help() -> None:
    once = right(Greedy(LONGEST)(TASKS, guesser(), LONGEST, 1))
    at = [right(BestOf(LONGEST, judges.oracle(check))(TASKS, guesser(), budget, 1)) for budget in (6, 20, 60)]
    assert once - 0.15 < at[0] < at[1] < at[2] and at[2] > 0.95
    assert right(Deepen(LONGEST, LONGEST, judges.oracle(check), "?")(TASKS, guesser(), 60, 1)) > at[0] + 0.3


def test_a_coin_chooses_no_better_than_chance() -> None:
    coin: judges.Judge = lambda of, attempts: [random.Random(f"{of.id}/{i}").random() for i in range(len(attempts))]  # noqa: E731
    found = right(BestOf(LONGEST, coin)(TASKS, guesser(), 60, 1))
    assert abs(found - 0.3) < 0.2
    assert right(BestOf(LONGEST, judges.noisy(check, 0.0))(TASKS, guesser(), 60, 1)) > 0.95


def test_a_vote_finds_what_is_said_most() -> None:
    assert right(vote(LONGEST, lambda text: text)(TASKS, guesser(0.55), 90, 1)) > 0.9
    said = [Attempt(text, 0.0, 1) for text in ("a", "b", "b", "")]
    assert judges.agreed(lambda text: text)(TASKS[0], said) == [0.25, 0.5, 0.5, 0.0]


@given(st.integers(1, 100), st.floats(1.1, 8), st.integers(1, 2000))
def test_boundaries_grow_to_the_whole(first: int, gamma: float, whole: int) -> None:
    found = boundaries(first, gamma, whole)
    assert found[-1] == whole and found == sorted(set(found)) and found[0] == min(first, whole)


def test_boundaries_at_fixed_points() -> None:
    assert boundaries(64, 2, 512) == [64, 128, 256, 512]
    assert boundaries(10, math.inf, 99) == [10, 99] and boundaries(99, 2, 10) == [10]
    for first, gamma in ((0, 2), (3, 1)):
        with pytest.raises(UserError, match="do not grow"):
            boundaries(first, gamma, 9)


def test_the_trigger_stands_between_the_stages() -> None:
    seen: list[str] = []

    def script(prompt: str, rng: random.Random) -> str:
        seen.append(prompt)
        return "ba."

    [found] = Deepen(4, 4, judges.likely, "?", gamma=2)(TASKS[:1], ScriptedPolicy("actor", script), 16, 0)
    assert seen == ["0=", "0=ba.?", "0=ba.?ba.?"] and len(found.attempts) == 3 and found.tokens == 12


def test_bounds_and_widths_of_trees() -> None:
    assert uct(0, 0, 5, 1) == math.inf and uct(2, 4, 1, 1) == 0.5
    assert uct(2, 4, 8, 1) == pytest.approx(0.5 + math.sqrt(math.log(8) / 4))
    assert width([], 2, 3, 9) == 3 and width([0.5, 0.5], 2, 1, 9) == 1 and width([0, 10], 2, 1, 9) == 9
    assert width([0.0, 2.0], 2, 1, 9) == 2


class Spelling(ScriptedPolicy):
    """Says one letter at a time, then a dash: what a search over steps is for."""

    def __init__(self) -> None:
        def script(prompt: str, rng: random.Random) -> str:
            done = prompt.partition("=")[2].count("-")
            return f"{rng.choice('abcd')}-" + ("." if done == 3 else "zz")

        super().__init__("actor", script)


def spelled(of: Task, attempts: object) -> list[float]:
    return [sum(a == b for a, b in zip(x.text[::2], "abcd", strict=False)) / 4 for x in attempts]  # type: ignore[attr-defined]


def test_a_tree_goes_on_from_what_is_good() -> None:
    def score(control: Control) -> float:
        found = control(TASKS, Spelling(), 160, 5)
        return sum(spelled(TASKS[0], [Attempt(f.answer, 0, 0)])[0] for f in found) / len(found)

    tree = score(Tree(2, 8, "-", spelled, c=0.3, least=3, root=4))
    assert tree > 0.65
    blind = Tree(2, 8, "-", lambda of, attempts: [0.5 for _ in attempts], c=0.3, least=3, root=4)
    assert tree > score(blind) + 0.2


def test_correction_stops_and_counts_flips() -> None:
    said = iter(["ba.", "ab.", "ab.", "ab.", "bb."])
    policy = ScriptedPolicy("actor", lambda prompt, rng: next(said))
    [found] = Rewrite(4, "?", rounds=9, stop=Unchanged(2))(TASKS[:1], policy, 99, 0)
    assert [a.text for a in found.attempts] == ["ba.", "ab.", "ab.", "ab."]
    rounds = flips(TASKS[:1], [found], check)
    assert [r.accuracy for r in rounds] == [0, 1, 1, 1] and rounds[1].mended == 1 and rounds[0].mended == 0
    back = [Found("", 0, tuple(Attempt(t, 0, 1) for t in ("ab.", "ba.")))]
    assert flips(TASKS[:1], back, check)[1].spoiled == 1
    sure = Sure(0.5)
    assert sure([Attempt("a", math.log(0.6), 1)]) and not sure([Attempt("a", math.log(0.4), 1)])


def test_choosing_takes_the_likeliest_option() -> None:
    policy = actor(context=64)
    options = ("ab.", "ba.")
    [found] = Choose(lambda t: options, "?", rounds=1)(TASKS[:1], policy, 99, 0)
    prompt = policy.tokens.prompt(TASKS[0].prompt)
    scored = policy.option_logprobs(prompt, [policy.tokens.answer(o) for o in options])
    assert found.attempts[0].text == options[scored[1] > scored[0]] and len(found.attempts) == 2
    assert found.tokens == 16  # two options of four tokens, twice


ASKS: list[tuple[Callable[[Task], str], str]] = [
    (few_shot([Example("1=", "b")], between=" "), "1=b 0="), (few_shot([]), "0="),
    (step_by_step(few_shot([Example("1=", "b")], between=" ")), "1=b 0=\nLet's think step by step."),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "text"), ASKS)
def test_ways_of_asking(ask: Callable[[Task], str], text: str) -> None:
    assert ask(TASKS[0]) == text
