"""Every recipe that is there: it declares itself, builds, and its prompts are usable."""

import json
import re

import pytest

from prowess.core.errors import UserError
from prowess.evolve import recipes
from prowess.evolve.method import Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.sandbox import find_sandbox
from prowess.suites import open_suite
from prowess.suites.workbench import Workbench

METHODS = {name: recipes.method(name) for name in recipes.names()}
PUBLISHED = [name for name in METHODS if name not in recipes.BASELINES]
SPECS = [spec for name, m in METHODS.items() for spec in (name, *(f"{name}.{a.name}" for a in m.ablations))]
QUESTIONS = [(name, question) for name in ("common", *METHODS) for question in prompts(name)]
SETUP = Setup(Workbench(), find_sandbox(), ("ledger-totals", "address-list"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_says_where_it_comes_from_and_what_differs(name: str) -> None:
    method, text = METHODS[name], recipes.documentation(name)
    assert method.paper and method.ablations and method.baseline in METHODS
    (number,) = re.findall(r"\d{4}\.\d{4,5}", method.paper) or [method.paper]
    assert number in text and "As in the paper" in text and "Ours" in text
    assert all(a.name in text or a.without in text for a in method.ablations)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", a.name) for a in method.ablations)


@pytest.mark.parametrize("spec", SPECS)
def test_every_recipe_and_ablation_builds(spec: str) -> None:
    found = METHODS[spec.partition(".")[0]]
    try:
        suite = open_suite(found.suite)
    except UserError as absent:
        pytest.skip(absent.message)
    made = recipes.build(spec, Setup(suite, SETUP.sandbox, suite.families[:2]))
    assert made.name == spec.partition(".")[0] and made.rounds >= 1
    names = [gate.name for gate in made.gates]
    assert len(names) == len(set(names)) and "format" in names
    assert spec in recipes.BASELINES or {"format", "scan", "permission", "lint"} <= set(names)
    assert recipes.parts(spec)["gates"].split() == names


@pytest.mark.parametrize(("name", "question"), QUESTIONS)
def test_every_prompt_shows_how_it_is_answered(name: str, question: str) -> None:
    prompt = prompts(name)[question]
    assert prompt.examples and len(prompt.system) < 2_500, "short, and with an example: small models must follow it"
    wanted = set(re.findall(r"(?<!\$)\$\{?([a-z_]+)", prompt.user))
    request = prompt.request({value: f"<{value}>" for value in wanted}, seed=3)
    assert all(f"<{value}>" in request.messages[-1].content for value in wanted)
    assert [m.role for m in request.messages[1:-1]] == ["user", "assistant"] * len(prompt.examples)
    for example in prompt.examples:
        if example.answer.lstrip().startswith(("{", "[")):
            json.loads(example.answer)


def test_what_is_filled_in_is_never_a_template() -> None:
    prompt = Prompt("x/y", "s", "Task: $task costs $$3")
    assert prompt.request({"task": "$task ${other}"}).messages[-1].content == "Task: $task ${other} costs $3"
    with pytest.raises(KeyError):
        prompt.request({})


@pytest.mark.parametrize("spec", ["nothing", "trace2skill.nothing", "none.x", "../x", ""])
def test_what_is_not_there_is_named_with_what_is(spec: str) -> None:
    with pytest.raises(UserError) as error:
        recipes.build(spec, SETUP)
    assert "trace2skill" in error.value.hint or "ablations" in error.value.hint


def test_an_ablation_differs_from_its_recipe() -> None:
    for name in PUBLISHED:
        whole = recipes.build(name, SETUP)
        for ablation in METHODS[name].ablations:
            assert repr(ablation.build(SETUP)) != repr(whole), ablation.name


def test_mixed_tasks_are_the_same_tasks() -> None:
    mixed, grouped = SETUP.mixed_tasks("evidence", 3), SETUP.all_tasks("evidence", 3)
    assert [t.family for t in mixed[:3]] == ["ledger-totals", "address-list", "ledger-totals"]
    assert sorted(t.id for t in mixed) == sorted(t.id for t in grouped)
