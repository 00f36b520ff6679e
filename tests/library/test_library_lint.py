"""Lint: every rule fires on what it is for, and on nothing that people and prowess really write."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.skill import Skill
from prowess.core.task import File, Task
from prowess.library.lint import CHARACTERS, lint, names_of_one_task
from prowess.suites.workbench import Workbench

SUITE = Workbench()


def skill(body: str = "# Steps\n\n- Sum.\n", description: str = "Sums. Use when asked for sums.") -> Skill:
    return Skill(name="sums", description=description, body=body)


def named(path: str, text: str, body: str = "# Steps\n\n- Sum.\n") -> Skill:
    return skill(body).model_copy(update={"files": (File(path=path, data=text.encode()),)})


def task(number: int, path: str, family: str = "ledger", target: str = "out.csv") -> Task:
    return Task(
        id=f"{family}/{number}", suite="s", family=family, split="evidence", seed=number, prompt=str(number),
        files=(File(path=path, data=b""),), outputs=(target,),
    )  # fmt: skip


@pytest.mark.parametrize("family", SUITE.families)
def test_human_skills_are_clean(family: str) -> None:
    assert lint(SUITE.human_skill(family), names_of_one_task(SUITE.tasks(family, "evidence", 6))) == []


@pytest.mark.parametrize(
    ("found", "severity", "says"),
    [
        (skill(description="Sums of ledgers."), "warning", "does not say when"),
        (skill("- line\n" * 600), "error", "600 lines"),
        (skill("x" * CHARACTERS + "\n"), "error", "20001 characters"),
        (skill("See [the rules](references/rules.md).\n"), "error", "points to 'references/rules.md'"),
        (skill("Run `scripts/sum.py` first.\n"), "error", "points to 'scripts/sum.py'"),
        (named("references/more.md", "See [b](b.md).\n"), "error", "points to 'references/b.md'"),
        (named("scripts/sum.py", "def sum(:\n"), "error", "does not parse as Python, line 1"),
        (named("scripts/sum.py", "x = 1\0"), "error", "does not parse as Python"),
        (named("scripts/sum.py", "-" * 90_000 + "1"), "error", "does not parse as Python"),
    ],
)
def test_each_rule_fires(found: Skill, severity: str, says: str) -> None:
    (problem,) = lint(found)
    assert problem.severity == severity and says in problem.what


@pytest.mark.parametrize(
    "found",
    [
        named("scripts/sum.py", "print(1)", "Run `scripts/sum.py`, see [it](scripts/sum.py), in `scripts/`.\n"),
        skill('```python\nsys.path.insert(0, "skills/sums/scripts")\n```\nAlso skills/other/scripts/x.py.\n'),
        named("assets/template.py", "{{ name }} = {% for %}"),
        named("scripts/run.sh", "if then fi ((("),
        skill("See [a page](https://example.org/a.md) and [above](#steps).\n"),
    ],
)
def test_what_is_right_is_left_alone(found: Skill) -> None:
    assert [p for p in lint(found) if p.severity == "error"] == []


def test_a_rule_that_names_a_file_of_one_task_is_found() -> None:
    leaks = names_of_one_task([task(1, "ledger_07.csv"), task(2, "ledger_09.csv")])
    assert leaks == {"ledger_07.csv", "ledger_09.csv"}, "both tasks write out.csv, which may be a rule"
    (problem,) = lint(skill("- Read `ledger_07.csv` first.\n"), leaks)
    assert problem.severity == "error" and "'ledger_07.csv'" in problem.what
    for fine in (
        "```python\nopen('ledger_07.csv')\n```\n", "- Files such as ledger_07.csv.\n", "- my-ledger_07.csv.bak\n"
    ):  # fmt: skip
        assert lint(skill(fine), leaks) == []


def test_of_a_family_with_one_task_nothing_can_be_said() -> None:
    assert names_of_one_task([task(1, "a_1.csv"), task(1, "a_1.csv"), task(1, "b_1.csv", "other")]) == frozenset()


def test_errors_come_first() -> None:
    found = lint(skill("See [x](x.md).\n", "Nothing."))
    assert [p.severity for p in found] == ["error", "warning"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=100), st.text(max_size=200), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_is_read_without_an_error(body: str, description: str, script: str, leaks: list[str]) -> None:
    odd = Skill(
        name="x", description=description, body=body,
        files=(File(path="scripts/a.py", data=script.encode("utf-8", "replace")), File(path="a.md", data=b"\xff[](")),
    )  # fmt: skip
    assert lint(odd, leaks) == lint(odd, leaks)
