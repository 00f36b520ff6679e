"""The workbench: instances that tell, checks that blame the right rule, oracle programs, hostile answers."""

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.task import File, Split, Task
from prowess.library.skillmd import validate
from prowess.suites import open_suite
from prowess.suites.workbench import Workbench
from prowess.suites.workbench.family import broken, draw, prompt
from prowess.suites.workbench.suite import EXAMPLE_SEED, FAMILIES

SUITE = Workbench()
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
VARIANTS = [(family, variant) for family in SUITE.families for variant in SUITE.variants(family)]
RULES = [
    (family, variant, rule.name)
    for family, variant in VARIANTS
    for rule in FAMILIES[family].rules(FAMILIES[family].houses[variant])
]


def failed(task: Task, data: bytes) -> list[str]:
    return [check.name for check in SUITE.check(task, (File(path=task.outputs[0], data=data),)).failures]


def run_here(task: Task, program: str, folder: Path) -> bytes:
    """Runs one of our own programs in this process: quicker than a process each."""
    for file in task.files:
        (folder / file.path).write_bytes(file.data)
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})  # our own text
    finally:
        os.chdir(before)
    return (folder / task.outputs[0]).read_bytes()


def test_open_suite_gives_the_workbench_and_names_others() -> None:
    assert open_suite("workbench").name == "workbench"
    with pytest.raises(UserError, match="workbench, spreadsheetbench"):
        open_suite("nothing")


@pytest.mark.parametrize("family", SUITE.families)
def test_two_hundred_tasks_are_drawn_and_the_oracle_passes(family: str) -> None:
    seen: set[str] = set()
    for task in SUITE.tasks(family, "evidence", 200):
        score = SUITE.check(task, SUITE.oracle(task))
        assert score.passed and score.value == 1.0 and score.trusted, (task.id, score.failures)
        seen.add(task.digest)
    assert len(seen) == 200, "instances must differ"


@pytest.mark.parametrize(("family", "variant", "name"), RULES)
def test_an_answer_that_breaks_one_rule_fails_that_check_alone(family: str, variant: str, name: str) -> None:
    kind, house = FAMILIES[family], FAMILIES[family].houses[variant]
    rule = next(rule for rule in kind.rules(house) if rule.name == name)
    for task in SUITE.tasks(family, "gate", 5, variant):
        case = draw(kind, variant, task.seed)
        wrong = broken(house, [rule])
        assert failed(task, kind.output.write(kind.answer(case, wrong), wrong)) == [name], task.id


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_an_answer_that_breaks_all_rules_is_told_all_of_them(family: str, variant: str) -> None:
    kind, house = FAMILIES[family], FAMILIES[family].houses[variant]
    rules = kind.rules(house)
    wrong = broken(house, rules)
    for task in SUITE.tasks(family, "gate", 3, variant):
        case = draw(kind, variant, task.seed)
        names = failed(task, kind.output.write(kind.answer(case, wrong), wrong))
        assert set(names) >= {rule.name for rule in rules if rule.kind == "value"}, task.id
        assert len(names) >= len(rules) - 1, task.id


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_the_messages_alone_lead_to_a_right_answer(family: str, variant: str) -> None:
    kind, house = FAMILIES[family], FAMILIES[family].houses[variant]
    for task in SUITE.tasks(family, "gate", 4, variant):
        case, unknown = draw(kind, variant, task.seed), list(kind.rules(house))
        for _ in range(3):
            wrong = broken(house, unknown)
            told = failed(task, kind.output.write(kind.answer(case, wrong), wrong))
            unknown = [rule for rule in unknown if rule.name not in told]
            if not told:
                break
        assert not told, (task.id, told)


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_the_oracle_program_passes(family: str, variant: str, tmp_path: Path) -> None:
    for task in SUITE.tasks(family, "test", 8, variant):
        program = SUITE.program(task)
        assert failed(task, run_here(task, program, tmp_path)) == [], program
        assert len(program.splitlines()) <= 28


@pytest.mark.parametrize("family", SUITE.families)
def test_the_oracle_program_runs_on_its_own(family: str, tmp_path: Path) -> None:
    (task,) = SUITE.tasks(family, "test", 1)
    for file in task.files:
        (tmp_path / file.path).write_bytes(file.data)
    done = subprocess.run(
        [sys.executable, "-I", "-c", SUITE.program(task)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert failed(task, (tmp_path / task.outputs[0]).read_bytes()) == []


@pytest.mark.parametrize("family", SUITE.families)
def test_a_program_learned_by_heart_fails_on_other_instances_and_variants(family: str, tmp_path: Path) -> None:
    first, *others = SUITE.tasks(family, "evidence", 6)
    program = SUITE.program(first)
    for task in others:
        folder = tmp_path / str(task.seed)
        folder.mkdir()
        with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
            run_here(task, program, folder)
        outputs = tuple(File(path=p.name, data=p.read_bytes()) for p in folder.iterdir())
        assert not SUITE.check(task, outputs).passed, task.id
    for variant in SUITE.variants(family)[1:]:
        house, base = FAMILIES[family].houses[variant], FAMILIES[family].houses["base"]
        for task in SUITE.tasks(family, "test", 5, variant):
            case = draw(FAMILIES[family], variant, task.seed)
            assert house != base
            assert failed(task, FAMILIES[family].output.write(FAMILIES[family].answer(case, base), base)), task.id


def test_splits_share_no_seed_and_ids_are_unique() -> None:
    ids = [
        task.id for family, variant in VARIANTS for split in SPLITS for task in SUITE.tasks(family, split, 6, variant)
    ]
    assert len(set(ids)) == len(ids)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(SPLITS), st.sampled_from(SPLITS))
@settings(max_examples=40, deadline=None)
def test_a_seed_belongs_to_one_split(i: int, j: int, left: Split, right: Split) -> None:
    (a,) = SUITE.tasks("ledger-totals", left, 1, start=i)
    (b,) = SUITE.tasks("ledger-totals", right, 1, start=j)
    assert (a.seed == b.seed) == (left == right and i == j)


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_equal_arguments_give_equal_tasks(family: str, variant: str) -> None:
    kind = FAMILIES[family]
    whole = SUITE.tasks(family, "gate", 3, variant)
    assert SUITE.tasks(family, "gate", 1, variant, start=2) == whole[2:]
    fresh = draw(kind, variant, whole[0].seed)
    assert (fresh.files, prompt(fresh, variant)) == (whole[0].files, whole[0].prompt)


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_a_prompt_is_short_and_names_files_but_no_house_rule(family: str, variant: str) -> None:
    kind = FAMILIES[family]
    for task in SUITE.tasks(family, "evidence", 5, variant):
        assert len(task.prompt) < 420
        assert all(file.path in task.prompt for file in task.files)
        assert task.outputs[0] in task.prompt
        assert not any(rule.text in task.prompt for rule in kind.rules(kind.houses[variant]))
        assert task.meta["flow"] == list(kind.flow)


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_messages_and_checks_have_the_right_number_and_never_hold_the_answer(family: str, variant: str) -> None:
    kind = FAMILIES[family]
    for task in SUITE.tasks(family, "evidence", 3, variant):
        case, house = draw(kind, variant, task.seed), kind.houses[variant]
        score = SUITE.check(task, (File(path=task.outputs[0], data=b"x;y\n1;2\n"),))
        assert 5 <= len(score.checks) <= 9
        assert all(bool(check.message) != check.passed for check in score.checks)
        words = " ".join(check.message for check in score.failures)
        for row in kind.answer(case, house):
            assert not all(str(value) in words for value in row)


@pytest.mark.parametrize("family", SUITE.families)
def test_the_human_skill_solves_tasks_once_its_form_is_filled_in(family: str, tmp_path: Path) -> None:
    skill = SUITE.human_skill(family)
    assert validate(skill) == []
    assert len(skill.description) <= 300 and "Use when" in skill.description
    assert len(skill.body) < 2600
    program = skill.body.split("```python\n")[1].split("```")[0]
    seed = SUITE.tasks(family, "test", 1)[0].seed if skill.files else EXAMPLE_SEED
    case = draw(FAMILIES[family], "base", seed)
    task = SUITE.tasks(family, "test", 1)[0].model_copy(
        update={"seed": seed, "files": case.files, "outputs": (case.target,)}
    )
    for file in skill.files:
        script = tmp_path / "skills" / skill.name / file.path
        script.parent.mkdir(parents=True)
        script.write_bytes(file.data)
        for purpose, name in case.names.items():
            program = re.sub(rf'\b({purpose}_(?:name|column))="[^"]*"', lambda m, n=name: f"{m[1]}={n!r}", program)
    assert failed(task, run_here(task, program, tmp_path)) == []


@pytest.mark.parametrize("family", SUITE.families)
def test_hostile_answers_fail_and_never_raise(family: str) -> None:
    (task,) = SUITE.tasks(family, "gate", 1)
    (right,) = SUITE.oracle(task)
    hostile = [
        b"",
        b"\0" * 1000,
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"9" * 200_000,
        b"a;b\n" + b"1e999999999;" * 1000,
        b";" * 200_000,
        b'"' + b"x" * 200_000,
        b"\n" * 250_000,
        b"[section\nkey",
        b"PK\x03\x04 not a zip",
        b"SQLite format 3\0 not a database",
        right.data[: len(right.data) // 2],
        b"x" * 400_000,
    ]
    if not right.data.startswith(b"PK"):  # bytes around an archive do not matter
        hostile += [right.data * 2, right.data + b"\nmore,1\n"]
    for data in hostile:
        score = SUITE.check(task, (File(path=task.outputs[0], data=data),))
        assert not score.passed and 0 <= score.value < 1, data[:40]
    assert not SUITE.check(task, ()).passed
    assert not SUITE.check(task, (replace_path(right),)).passed


def replace_path(file: File) -> File:
    return file.model_copy(update={"path": "elsewhere.txt"})


@given(st.binary(max_size=400), st.sampled_from(SUITE.families))
@settings(max_examples=80, deadline=None)
def test_random_bytes_never_pass_nor_raise(data: bytes, family: str) -> None:
    (task,) = SUITE.tasks(family, "gate", 1)
    assert not SUITE.check(task, (File(path=task.outputs[0], data=data),)).passed


@given(st.integers(0, 2**32), st.sampled_from(SUITE.families))
@settings(max_examples=80, deadline=None)
def test_a_damaged_right_answer_never_raises(seed: int, family: str) -> None:
    (task,) = SUITE.tasks(family, "gate", 1)
    (right,) = SUITE.oracle(task)
    rng, data = Random(seed), bytearray(right.data)
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    score = SUITE.check(task, (File(path=task.outputs[0], data=bytes(data)),))
    assert 0 <= score.value <= 1


def test_asking_for_what_is_not_there_says_what_is() -> None:
    with pytest.raises(UserError, match="ledger-totals"):
        SUITE.tasks("nothing", "gate", 1)
    with pytest.raises(UserError, match="north"):
        SUITE.tasks("ledger-totals", "gate", 1, "west")
    with pytest.raises(UserError, match="zero or more"):
        SUITE.tasks("ledger-totals", "gate", -1)


def test_a_house_without_rules_off_is_itself() -> None:
    house = FAMILIES["ledger-totals"].houses["base"]
    assert broken(house, []) == house == replace(house)
