"""`prowess measure` and `prowess power`, with a scripted model: from the library to verdict, page and exit code."""

import json
from pathlib import Path

import pytest

from prowess.core.errors import SandboxError, UserError
from prowess.core.evidence import Trial
from prowess.library import Library
from prowess.sandbox import find_sandbox
from prowess.suites.workbench import Workbench
from prowess.trajectories.runstore import RunStore

FAMILY = "ledger-totals"


def has_sandbox() -> bool:
    try:
        find_sandbox()
    except (UserError, SandboxError):
        return False
    return True


needs_sandbox = pytest.mark.skipif(not has_sandbox(), reason="no sandbox here")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model whose every program does nothing."""
    script = tmp_path / "answers.json"
    script.write_text(json.dumps(["```python\nprint(1)\n```"] * 60))
    return f"scripted:{script}"


@needs_sandbox
def test_a_library_is_measured_with_history_page_and_noise(
    prowess, library: Library, model: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    args = ("measure", "-f", FAMILY, "-n", "2", "--model", model, "--history", "--calibrate", "--page", page)
    done = prowess(*args)
    assert done.code == 0, done.err
    assert "a guess: no A/A run" in done.err and "2 pairs can show no gain" in done.err, "said before it spends"
    assert "oracle: the right answers" in done.out and "A/A flips 0 of 2" in done.out
    assert "judged by suite:workbench" in done.out and "after “Ledgers failed”: 0 of 2" in done.out
    assert "before the first change: 0 of 2" in done.out
    assert "Which skills help?" in page.read_text("utf-8")
    again = prowess(*args[:8], "--json")
    assert again.code == 0, again.err
    assert again.data["evidence"]["noise"]["n"] == 2 and again.data["skills"][0]["skill"] == "ledger-totals"
    assert "A/A: 0 of 2 pairs flipped" in again.err and again.data["oracle"]["passed"] == 2


@needs_sandbox
def test_a_proposal_is_measured_on_gate_tasks(prowess, library: Library, model: str) -> None:
    proposal = library.proposals()[0]
    done = prowess("measure", proposal.id[:8], "-f", FAMILY, "-n", "6", "--model", model, "--json")
    assert done.code == 0, done.err
    verdict = done.data["verdict"]
    assert done.data["patch"] == proposal.id and verdict["gate"] == "trials" and verdict["status"] == "fail"
    gate = {t.id for t in Workbench().tasks(FAMILY, "gate", 6)}
    assert {t["task_id"] for t in verdict["evidence"]["trials"]} <= gate
    assert "up to 6 pairs" in done.err


@needs_sandbox
def test_a_patch_file_and_another_library(
    prowess, library: Library, model: str, patch_file: Path, tmp_path: Path
) -> None:
    assert "not enough evidence" in prowess("measure", patch_file, "-f", FAMILY, "-n", "6", "--model", model).out
    other = Library.open(tmp_path / "other", create=True)
    done = prowess("measure", "--against", other.path, "-f", FAMILY, "-n", "1", "--model", model, "--json")
    assert done.data["against"] == other.snapshot().digest and done.data["evidence"]["baseline"] == "old"


def test_what_cannot_be_measured_is_said(prowess, library: Library, tmp_path: Path) -> None:
    assert "no skill 'x'" in prowess("measure", "x").err
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert "is not a patch" in prowess("measure", bad).err


@needs_sandbox
def test_a_judge_needs_a_criterion(prowess, library: Library, model: str) -> None:
    done = prowess("measure", "--judge", model, "--model", model)
    assert done.code == 2 and "belong together" in done.err


def test_power_knows_nothing_and_says_so(prowess, home: Path) -> None:
    done = prowess("power")
    assert done.code == 0 and "a guess" in done.out and "6 pairs can show no gain" in done.out
    assert "a gain of 50 points needs" in done.out


def test_power_of_a_size_and_an_effect(prowess, home: Path) -> None:
    (world,) = prowess("power", "-n", "40", "-e", "30", "--flip-rate", "0.1", "--json").data
    assert world["pairs"] == [{"pairs": 40, "effect": pytest.approx(0.27, abs=0.01)}]
    need = world["effects"][0]["needed"]
    assert need["fixed"] == 36 and need["at_most"] > need["if_so"] > need["if_none"] > 0
    (world,) = prowess("power", "-e", "95", "--flip-rate", "0.5", "--json").data
    assert "sum to at most 1" in world["effects"][0]["needed"] or "win" in world["effects"][0]["needed"]


def test_power_takes_the_noise_of_stored_trials(prowess, home: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "data" / "trials.db")
    for i in range(10):
        for seed in (0, 1):
            passed = i > 2 or seed == 0
            store.index(
                Trial(task_id=str(i), arm="", seed=seed, passed=passed, trajectory=f"{i}/{seed}", conditions="s: a"),
                task=str(i), view="v",
            )  # fmt: skip
    (world,) = prowess("power", "-n", "20", "--json").data
    assert (world["conditions"], world["flip_rate"]) == ("s: a", 0.3) and "3 of 10" in world["source"]
    (other,) = prowess("power", "-n", "20", "--suite", "t", "--json").data
    assert other["conditions"] == "t" and "guess" in other["source"]
