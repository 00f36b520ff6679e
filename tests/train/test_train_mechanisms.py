"""The mechanism suite: oracles are right, splits apart, warm starts give nothing away, bad answers are only wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.task import Split
from prowess.train.mechanisms import MECHANISMS, mechanism, split_of
from prowess.train.mechanisms.constraints import KINDS, Constraints, holds
from prowess.train.mechanisms.expr import Expressions
from prowess.train.mechanisms.grid import Grid
from prowess.train.mechanisms.guess import Guess
from prowess.train.mechanisms.kb import Facts
from prowess.train.mechanisms.macro import Macro, run
from prowess.train.mechanisms.rules import Rules
from prowess.train.mechanisms.strings import Strings
from prowess.train.policies.tokens import Characters

SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
every = pytest.mark.parametrize("name", MECHANISMS)
LEVELS = {"strings": (1, 2, 5), "macro": (1,), "rules": (1,), "kb": (1, 2)}
ATOMIC = {"strings": 5, "expr": 4, "kb": 3}
"""Longest prompt that is one atomic step: warm starts teach all of these."""


@every
def test_the_oracle_is_right_at_every_level(name: str) -> None:
    world = mechanism(name)
    for level in LEVELS.get(name, (1, 2, 3)):
        for task in world.tasks("evidence", 20, level=level):
            answer = world.oracle(task)
            assert world.check(task, answer) == 1.0
            assert world.check(task, "") < 1.0
            if name != "grid":  # there an answer is a whole plan
                assert len(answer) <= world.longest


@every
def test_draws_are_seeded_and_splits_are_apart(name: str) -> None:
    world = mechanism(name)
    assert world.tasks("test", 10, seed=3) == world.tasks("test", 10, seed=3)
    assert [t.prompt for t in world.tasks("test", 10, seed=3)] != [t.prompt for t in world.tasks("test", 10, seed=4)]
    prompts = {s: {t.prompt for t in world.tasks(s, 60, seed=1)} for s in SPLITS}
    assert not prompts["evidence"] & prompts["test"] and not prompts["gate"] & prompts["test"]
    assert all(split_of(p) == s for s in SPLITS for p in prompts[s])


@every
def test_warm_starts_are_writable_and_hold_no_held_out_prompt(name: str) -> None:
    world, tokens = mechanism(name), Characters()
    shown = world.warm_start(300, seed=2)
    assert shown == world.warm_start(300, seed=2) and len(shown) == 300
    for example in shown:
        assert tokens.decode(tokens.prompt(example.prompt)) == example.prompt
    level = LEVELS.get(name, (2, 3))[-1]
    held = {t.prompt for s in SPLITS[1:] for t in world.tasks(s, 60, level=level)}
    long = {e.prompt.rstrip(">") for e in shown if len(e.prompt) > ATOMIC.get(name, 0)}
    assert not held & long


@every
@given(answer=st.text(max_size=20))
@settings(max_examples=40, deadline=None)
def test_any_answer_is_judged_and_none_raises(name: str, answer: str) -> None:
    world = mechanism(name)
    assert 0.0 <= world.check(world.tasks("evidence", 1)[0], answer) <= 1.0


def test_an_unknown_mechanism_is_named() -> None:
    with pytest.raises(UserError, match="no mechanism 'chess'"):
        mechanism("chess")


def test_strings_by_hand() -> None:
    world = Strings(letters="abc", length=2, sizes=(1, 1, 2))
    f = world.functions["A"]
    assert f("ab", "abc") == "".join("abcabc"["abc".index("ab"[i]) + f.shift] for i in f.order)
    [task] = world.tasks("evidence", 1, level=2, kind="heldout")
    assert set(task.prompt.partition(":")[0]) == {"C", "D"}
    name = task.prompt[1]
    first = f"{name}>{world.functions[name](task.prompt[-2:], 'abc')}"
    assert world.oracle(task).startswith(first) and world.check(task, first + ".") in (0.0, 1.0)


def test_a_chain_has_no_more_names_than_there_are() -> None:
    with pytest.raises(UserError, match="chain of 3 among 2"):
        Strings(letters="abc", length=2, sizes=(1, 1, 2)).tasks("evidence", 1, level=3, kind="heldout")


def test_strings_show_chains_of_format_functions_only() -> None:
    world = Strings()
    chains = {e.prompt.partition(":")[0] for e in world.warm_start(2000)}
    assert {len(c) for c in chains} == {1, 2, 3, 4}
    assert {c for c in chains if len(c) == 1} == set(world.functions)
    assert set("".join(c for c in chains if len(c) > 1)) == set(world.names("format"))
    assert not set(world.names("practice")) & set(world.names("heldout"))


@pytest.mark.parametrize(
    ("program", "known", "wrote", "valid", "defined", "called"),
    [
        ("abc", "", "abc", True, "", False),
        ("[abc]M", "", "abcabc", True, "abc", False),
        ("M[abd]", "", "", False, "", False),
        ("MaM", "bcd", "bcdabcd", True, "", True),
        ("[abc]M", "bcd", "abcabc", True, "abc", False),
        ("M[abc]", "bcd", "bcdabc", True, "abc", True),
        ("[ab]", "", "", False, "", False),
        ("[abc", "", "", False, "", False),
        ("[abc][bcd]", "", "abc", False, "", False),
        ("", "", "", False, "", False),
        ("a!", "", "a", False, "", False),
    ],
)  # fmt: skip
def test_programs(program: str, known: str, wrote: str, valid: bool, defined: str, called: bool) -> None:
    assert run(program, known, "abcdef") == (wrote, valid, defined, called)


def test_the_second_task_needs_the_macro() -> None:
    world = Macro()
    for first in world.tasks("evidence", 30):
        second, macro = world.second(first), str(first.meta["macro"])
        assert first.prompt.count(macro) == 2 and second.prompt.count(macro) == 3
        assert world.check(first, first.prompt) == 1.0  # spelled out it fits
        assert world.check(second, second.prompt) == 0.0  # here it does not
        assert world.check(second, second.prompt.replace(macro, f"[{macro}]", 1).replace(macro, "M")[:9]) == 0.0
        assert world.check(second, world.oracle(second), macro) == 1.0
        assert world.check(second, world.oracle(second)) == 0.0


def test_rules_are_hidden_from_warm_starts() -> None:
    world = Rules()
    shown = [e for e in world.warm_start(3000) if e.prompt[0] in world.rules and "|" not in e.prompt]
    right = sum(e.answer[::2] == world.rules[e.prompt[0]] for e in shown)
    assert right / len(shown) < 0.05  # chance is one in 64
    task = world.tasks("test", 1)[0]
    assert world.shown(task, "xy").startswith("xy|") and world.shown(task) == task.prompt
    assert world.valid("xay") and not world.valid("aax") and not world.valid("")


def test_grids_are_walked() -> None:
    world = Grid()
    [task] = world.tasks("evidence", 1, level=2)
    env = world.env(task)
    assert "|" in env.reset()
    heard = env.step("nonsense")
    assert not heard.info["valid"] and not heard.done
    for _ in range(env.budget):
        heard = env.step("?")
        if heard.done:
            break
    assert heard.done and heard.reward == 0.0 and heard.info["steps"] == env.budget
    plan = world.oracle(task)
    assert plan.count("t") == 2 and len(plan) * 2 == world.env(task).budget


def test_facts_are_half_unknown_and_searches_have_a_form() -> None:
    world = Facts()
    taught = {e.prompt[:-1] for e in world.warm_start(3000) if len(e.prompt) == 3}
    assert taught == {e + r for e in world.known for r in world.relations}
    [task] = world.tasks("evidence", 1, level=2)
    answer = world.oracle(task)
    assert world.well_formed(answer) and not world.well_formed(answer[:-1]) and not world.well_formed("")
    assert world.look_up(answer[1:3]) == answer[4] and world.look_up("zz") == ""
    assert all(t.prompt[0] not in world.known for t in world.tasks("test", 5, level=2, known=False))


@pytest.mark.parametrize(
    ("constraint", "yes", "no"),
    [("1a", "abc", "bca"), ("2b", "ab", "ba"), ("3c", "abc", "ab"), ("!c", "abc", "cab"), ("nd", "abc", "abd"),
     ("ha", "cab", "cb"), ("#a2", "aba", "ab"), ("<3", "ab", "abc"), (">2", "abc", "ab"), ("daa"[:2], "caa", "aca"),
     ("oab", "cab", "cba"), ("u2", "abab", "abc")],
)  # fmt: skip
def test_constraints_by_hand(constraint: str, yes: str, no: str) -> None:
    assert holds(constraint, yes) and not holds(constraint, no) and not holds(constraint, "")


def test_all_kinds_of_constraints_are_drawn() -> None:
    drawn = {c[0] for t in Constraints().tasks("evidence", 300, level=4) for c in t.prompt.rstrip("=").split()}
    assert drawn == set(KINDS) and not holds("x", "abc") and not holds("<", "abc") and not holds("#", "abc")


def test_expressions_and_their_calculator() -> None:
    world = Expressions()
    assert world.steps("3+5*2=") == "3+5:1 1*2:2 =2" and world.calculate("2-5") == "4"
    assert world.calculate("2/5") == "" and world.calculate("") == ""
    [task] = world.tasks("evidence", 1)
    env = world.env(task)
    assert env.reset() == task.prompt
    assert env.step("C3+5").text == ":1 " and env.step("Cnonsense").text == ": "
    heard = env.step(world.oracle(task))
    assert heard.done and heard.reward == 1.0 and heard.info == {"success": True, "uses": 2}


def test_guesses_and_hints() -> None:
    world = Guess()
    [task] = world.tasks("evidence", 1)
    hidden = int(str(task.meta["hidden"]))
    env = world.env(task, turns=4)
    assert env.step(str(hidden + 1)).text == "<" and env.step(str(hidden - 1)).text == ">"
    assert env.step("²").text == "!"
    assert env.step(str(hidden)).info == {"success": True, "solved": 3}
    assert world.env(task, words="letters").step(str(hidden + 1)).text == "d"
    assert world.env(task, turns=1).step("0").done
