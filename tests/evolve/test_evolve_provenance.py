"""`why` and `trace` on libraries that the loop and `learn` really leave behind."""

import json
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from evolve_parts import SMALL, WeakModel, run
from learn_parts import ledger
from typer.testing import CliRunner

from prowess.cli.main import app
from prowess.core.evidence import Verdict
from prowess.evolve.learn import NO_MODEL, learn
from prowess.evolve.record import RunRecord
from prowess.library import Library
from prowess.trajectories.store import TrajectoryStore


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prowess demo` leaves: a library, the store of the run beside it, and its record."""
    out = tmp_path_factory.mktemp("demo")
    record = run(SMALL, WeakModel(), out, Library.open(out / "library", create=True))
    (out / "record.json").write_text(record.model_dump_json())
    return out


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROWESS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prowess(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def data(*arguments: object) -> Any:
    return json.loads(prowess(*arguments, "--json"))


def test_each_house_rule_of_the_demo_leads_to_the_step_that_broke_it(demo: Path, home: Path) -> None:
    found = data("why", "ledger-totals", "-l", demo / "library")
    (reason,) = found["reasons"]
    rules = [line for line in found["lines"] if line["text"].startswith("- ")]
    assert len(rules) >= 3
    for line in rules:
        (id,) = line["lessons"]
        assert reason["lessons"][id]["references"][0]["quote"].casefold()[:20] in line["text"].casefold()
    assert [v["gate"] for v in reason["verdicts"]][-1] == "trials"
    assert reason["by"] == "trace2skill" and reason["author"] == "distil"


def test_the_text_shows_lines_verdicts_and_quotes(demo: Path, home: Path) -> None:
    lines = data("why", "ledger-totals", "-l", demo / "library")["lines"]
    at = next(line["number"] for line in lines if "VOID" in line["text"])
    shown = prowess("why", f"ledger-totals:{at}", "-l", demo / "library")
    assert "applied" in shown and "by trace2skill, written by distil" in shown
    assert "better:" in shown and "step" in shown and "VOID" in shown
    assert shown.count("•") == 1, "one line, one lesson"


def test_a_program_that_is_not_quoted_is_looked_up_in_the_store_beside_the_library(demo: Path, home: Path) -> None:
    (reason,) = data("why", "ledger-totals/scripts/ledger_totals.py", "-l", demo / "library")["reasons"]
    program = next(x for x in reason["lessons"].values() if x["kind"] == "program")
    assert "```python" in program["references"][0]["quote"]


def test_trace_leads_from_the_search_to_the_lines(demo: Path, home: Path) -> None:
    (reason,) = data("why", "ledger-totals", "-l", demo / "library")["reasons"]
    id = next(x for x in reason["lessons"].values() if x["kind"] == "program")["references"][0]["trajectory"]
    found = data("trace", id[:12], "-l", demo / "library")
    (edit,) = found["edits"]
    assert edit["fate"] == "applied" and edit["change"] == reason["change"]
    assert {p["file"] for p in edit["places"]} == {"SKILL.md", "scripts/ledger_totals.py"}
    shown = prowess("trace", id[:12], "-l", demo / "library")
    assert "ledger-totals/base/" in shown and "applied" in shown and "now: ledger-totals/SKILL.md:1-" in shown


def test_trace_tells_what_gates_refused(demo: Path, home: Path, tmp_path: Path) -> None:
    shutil.copytree(demo / "library", tmp_path / "library")
    record = RunRecord.model_validate_json((demo / "record.json").read_bytes())
    accepted = record.decisions[0]
    failed = Verdict(gate="trials", status="fail", note="worse: 50% -> 20%")
    bad = accepted.patch.model_copy(update={"reason": "a bad idea"})
    Library.open(tmp_path / "library").upkeep.refuse(bad, verdicts=[failed], lessons=accepted.lessons)
    id = accepted.lessons[0].references[0].trajectory
    fates = [(e["fate"], e["note"]) for e in data("trace", id, "-l", tmp_path / "library")["edits"]]
    assert fates == [("applied", ""), ("refused by a gate", "trials: worse: 50% -> 20%")]


def test_learned_lines_lead_to_their_sessions_and_back(home: Path) -> None:
    library = Library.open(home / "library", create=True)
    sessions = TrajectoryStore(home / "data" / "trajectories.db")
    sessions.put_all([ledger(f"s{i}", f"ledger{i}.csv", correction="No, skip the void rows!") for i in range(3)])

    async def main() -> None:
        await learn(
            source=None, sessions=sessions, library=library, model=NO_MODEL, concurrency=1, budget_usd=None,
            report=lambda event: None,
        )  # fmt: skip

    anyio.run(main)
    (proposal,) = library.proposals()
    assert [e["fate"] for e in data("trace", "s1", "-l", library.path)["edits"]] == ["waiting"]
    change = library.accept(proposal.id, by="user")
    (skill,) = library.snapshot().names
    found = data("why", skill, "-l", library.path)
    marked = [line for line in found["lines"] if "/3 " in line["text"] and line["text"].endswith("]")]
    assert len(marked) >= 3 and all(len(line["lessons"]) == 1 for line in marked)
    assert found["reasons"][0]["change"] == change.id and found["reasons"][0]["author"] == "learn"
    (edit,) = data("trace", "s1", "-l", library.path)["edits"]
    assert edit["fate"] == "applied" and edit["places"]


def test_nonsense_is_said_to_be_so(demo: Path, home: Path) -> None:
    for what in ("ledger-totals:", ":3", "ledger-totals:x", "ledger-totals:3-", "no-such", "ledger-totals:9999", ""):
        done = CliRunner().invoke(app, ["why", what, "-l", str(demo / "library")])
        assert done.exit_code == 2 and "→" in done.stderr, what
    assert CliRunner().invoke(app, ["trace", "feedface", "-l", str(demo / "library")]).exit_code == 2
