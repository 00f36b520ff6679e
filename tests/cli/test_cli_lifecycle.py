"""`prowess lifecycle`: lists from stored evidence, archives with proof or by the user, restores."""

import json
from pathlib import Path

import pytest

from prowess.core.evidence import Evidence, Verdict
from prowess.core.patch import CreateSkill, DeleteSkill, Patch
from prowess.core.skill import Skill
from prowess.core.upkeep import Audit
from prowess.library import Library


def audited(library: Library, skill: str, effect: float, n: int = 10, agent: str = "code/1") -> None:
    snapshot = library.snapshot()
    found = snapshot.get(skill)
    assert found is not None
    evidence = Evidence(
        baseline="without", treatment="with", n=n, wins=0, ties=n, losses=0, baseline_rate=0.5,
        treatment_rate=0.5 + effect, effect=effect, low=-1, high=1, p=1, test="t", outcome="not enough evidence",
    )  # fmt: skip
    number = len(library.upkeep.audits())
    others = snapshot.without(skill).digest
    audit = Audit(
        skill=skill, digest=found.digest, others=others, agent=agent, suite="s", tasks=str(number), evidence=evidence
    )  # fmt: skip
    library.upkeep.record_audits([audit])


@pytest.fixture
def script(tmp_path: Path) -> str:
    """A model whose programs do nothing, whatever it is shown."""
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(["```python\nprint(1)\n```"] * 200))
    return f"scripted:{file}"


def test_states_with_reasons_need_no_model(prowess, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROWESS_MODEL", "openai:none-here")
    done = prowess("lifecycle")
    assert done.code == 0 and "ledger-totals" in done.out and "unmeasured" in done.out
    for _ in range(3):
        audited(library, "ledger-totals", 0.0)
    (state,) = prowess("lifecycle", "--json").data["skills"]
    assert (state["stage"], state["exposure"], state["audits"]) == ("retire", 30, 3)
    assert "low in 3 audits in a row" in state["why"] and state["measured"]
    assert "retire" in prowess("lifecycle").out


def test_a_stale_verdict_says_so(prowess, library: Library) -> None:
    audited(library, "ledger-totals", 0.5)
    other = Skill(name="other", description="Use for others.", body="Other.\n")
    patch = Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=other),), reason="more")
    library.apply(patch)
    state = next(s for s in prowess("lifecycle", "--json").data["skills"] if s["skill"] == "ledger-totals")
    assert "other skills have changed" in state["stale"]
    assert "(stale)" in prowess("lifecycle").out


def test_archive_by_the_user_and_restore(prowess, library: Library) -> None:
    before = library.trees()
    refused = prowess("lifecycle", "archive", "ledger-totals")
    assert refused.code == 2 and "--yes" in refused.err and library.trees() == before
    assert prowess("lifecycle", "archive", "ledger-totals", "--yes").code == 0
    assert library.snapshot().names == ()
    (state,) = prowess("lifecycle", "--json").data["skills"]
    assert state["stage"] == "archived" and "by hand" in state["why"] and state["archived"]
    assert prowess("lifecycle", "restore", "ledger-totals", "--json").data["change"]["kind"] == "undo"
    assert library.trees() == before
    assert prowess("lifecycle", "restore", "ledger-totals").code == 2
    assert prowess("lifecycle", "archive", "no-such-skill", "--yes").code == 2


def test_apply_with_nothing_nominated_runs_nothing(prowess, library: Library, script: str) -> None:
    done = prowess("lifecycle", "--apply", "--model", script, "--json")
    if "sandbox" in done.err:
        pytest.skip("no sandbox here")
    assert done.code == 0 and done.data["decided"] == []


def test_proof_is_asked_for_and_a_person_decides_where_nobody_can_be_asked(
    prowess, library: Library, script: str
) -> None:
    """With and without the skill every task fails alike: 9 pairs rule out a loss of 40 points."""
    command = ("lifecycle", "--apply", "--skill", "ledger-totals", "--family", "ledger-totals", "--model", script)
    unproven = prowess(*command, "--tasks", "3", "--margin", "0.1", "--json")
    if "sandbox" in unproven.err:
        pytest.skip("no sandbox here")
    (row,) = unproven.data["decided"]
    assert row["outcome"] == "kept" and library.snapshot().names == ("ledger-totals",)
    assert [r.verdicts[-1].gate for r in library.upkeep.refused()] == ["trials"]
    assert "retires ledger-totals" in prowess("log", "--refused").out
    assert prowess("log", "--refused", "--json").data[0]["verdicts"][-1]["status"] == "fail"

    proposed = prowess(*command, "--tasks", "9", "--margin", "0.4", "--json").data["decided"][0]
    assert proposed["outcome"] == "proposed" and library.snapshot().names == ("ledger-totals",)
    assert "no loss of 40 points" in proposed["verdicts"][-1]["note"]
    assert len(library.proposals()) == 2

    archived = prowess(*command, "--tasks", "9", "--margin", "0.4", "--yes").err
    assert "archived" in archived and "restore ledger-totals" in archived
    assert library.snapshot().names == () and library.log()[0].verdicts[-1].evidence is not None
    (state,) = prowess("lifecycle", "--json").data["skills"]
    assert state["stage"] == "archived" and "no loss of 40 points" in state["why"]


def test_audit_notes_a_contribution_on_fresh_tasks_each_time(prowess, library: Library, script: str) -> None:
    command = ("lifecycle", "--audit", "--family", "ledger-totals", "--tasks", "2", "--model", script, "--json")
    done = prowess(*command)
    if "sandbox" in done.err:
        pytest.skip("no sandbox here")
    assert [s["exposure"] for s in done.data["skills"]] == [2]
    assert [s["exposure"] for s in prowess(*command).data["skills"]] == [4]
    assert all(entry.audit.evidence.n == 2 for entry in library.upkeep.audits())


def test_wrong_names_are_errors(prowess, library: Library) -> None:
    assert prowess("lifecycle", "--skill", "nope").code == 2
    assert "no family 'nope'" in prowess("lifecycle", "--audit", "--family", "nope").err
    assert prowess("lifecycle", "--margin", "0.9").code == 2


def test_gates_of_the_settings_are_shown_and_checked(prowess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROWESS_GATES", "trials, format")
    assert prowess("config", "--json").data["settings"]["gates"] == {
        "value": ["format", "trials"], "origin": "environment",
    }  # fmt: skip
    monkeypatch.setenv("PROWESS_GATES", "format,scann")
    done = prowess("config")
    assert done.code == 2 and "PROWESS_GATES names a gate 'scann'" in done.err and "did you mean scan?" in done.err


def test_a_removal_that_waits_can_be_refused(prowess, library: Library) -> None:
    patch = Patch(base=library.snapshot().digest, operations=(DeleteSkill(name="ledger-totals"),), reason="useless")
    library.propose(patch, verdicts=[Verdict(gate="approval", status="propose")])
    assert "useless" in prowess("review").out
