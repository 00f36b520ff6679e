"""`prowess trust`, `sign`, `verify` and `revoke`, as a person and as a program use them."""

import json
import shutil
from pathlib import Path

import pytest

from prowess.guard.keys import Keyring
from prowess.library import Library
from prowess.settings import config_folder


def rows(done) -> dict[str, dict]:
    return done.data["skills"]


def test_from_quarantine_to_review_and_back(prowess, library: Library) -> None:
    listed = prowess("trust")
    assert "T1 quarantined" in listed.out and "nobody has vouched" in listed.out
    assert prowess("trust", "ledger-totals", "--to", "T2").code == 2  # nobody can be asked
    raised = prowess("trust", "ledger-totals", "--to", "T2", "--yes", "--reason", "read it")
    assert raised.code == 0 and "T1 → T2" in raised.out
    assert rows(prowess("trust", "--json"))["ledger-totals"]["tier"] == 2
    assert prowess("trust", "ledger-totals", "--to", "T1").code == 2  # lowering needs a reason
    assert "T2 → T1" in prowess("trust", "ledger-totals", "--to", "T1", "--reason", "a finding").out


def test_the_page_says_what_the_next_tier_needs(prowess, library: Library) -> None:
    prowess("trust", "ledger-totals", "--to", "reviewed", "--yes")
    page = prowess("trust", "ledger-totals")
    for part in (
        "T2 reviewed",
        "declares: none",
        "by trace2skill, from 1 trajectories",
        "T3 needs",
        "behaviour",
        "vouched for",
    ):
        assert part in page.out
    data = prowess("trust", "ledger-totals", "--json").data
    assert data["next"] == 3 and data["history"][0]["signed"] == "user" and len(data["lacks"]) == 2
    refused = prowess("trust", "ledger-totals", "--to", "T3", "--yes")
    assert refused.code == 2 and "nobody has attested" in refused.err
    assert prowess("trust", "ledger-totals", "--page", "out/page.html").code == 0
    html = Path("out/page.html").read_text()
    assert "T2 reviewed" in html and "vouched for up to T2" in html and "<script src" not in html


def test_export_takes_only_what_somebody_vouched_for(prowess, library: Library) -> None:
    installed = Path(".claude/skills/ledger-totals/SKILL.md")
    refused = prowess("export", "--target", "claude-code", "--yes")
    assert refused.code == 1 and "T1" in refused.out and not installed.exists()
    prowess("trust", "ledger-totals", "--to", "T2", "--yes")
    assert prowess("export", "--target", "claude-code", "--yes").code == 0 and installed.exists()
    lowered = prowess("trust", "ledger-totals", "--to", "T1", "--reason", "a finding", "--json")
    assert lowered.data["taken_back"] == [str(installed.parent.absolute())] and not installed.exists()


def test_accepting_a_proposal_vouches_for_it(prowess, library: Library) -> None:
    id = library.proposals()[0].id
    assert prowess("review", "--accept", id, "--yes").code == 0
    assert rows(prowess("trust", "--json"))["ledger-totals"]["tier"] == 2
    assert prowess("export", "--target", "claude-code", "--yes").code == 0


def test_sign_and_verify(prowess, library: Library, tmp_path: Path) -> None:
    signed = prowess("sign", "ledger-totals", "--version", "1.0", "--json")
    assert signed.code == 0 and signed.data["statement"]["predicate"]["version"] == "1.0"
    release = Path("ledger-totals.release.json")
    shutil.copytree(library.path / "ledger-totals", "ledger-totals")
    good = prowess("verify", "ledger-totals")
    assert good.code == 0 and "signed by user" in good.out
    assert prowess("verify", "ledger-totals", "--release", release, "--json").data["verified"] is True
    Path("ledger-totals/extra.md").write_text("more")
    bad = prowess("verify", "ledger-totals")
    assert bad.code == 1 and "one too many" in bad.out
    assert prowess("verify", "ledger-totals", "--json").data["verified"] is False
    assert prowess("verify", "nowhere").code == 2


def test_checkpoints(prowess, library: Library) -> None:
    assert prowess("sign").code == 2 and prowess("sign", "ledger-totals", "--checkpoint", "c.json").code == 2
    prowess("sign", "ledger-totals")
    shutil.copytree(library.path / "ledger-totals", "ledger-totals")
    assert "not revoked; in the log of 1 statements" in prowess("verify", "ledger-totals").out
    made = prowess("sign", "--checkpoint", "c.json", "--json")
    assert made.code == 0 and made.data["told"]["size"] == 2 and made.data["told"]["revoked"] == []
    assert prowess("verify", "ledger-totals", "--checkpoint", "c.json").code == 0
    assert "in the log of 2 statements" in prowess("verify", "ledger-totals").out, "it is remembered"
    prowess("revoke", "ledger-totals", "--reason", "it leaks", "--yes")
    assert "1 versions revoked" in prowess("sign", "--checkpoint", "d.json").out
    revoked = prowess("verify", "ledger-totals", "--checkpoint", "d.json", "--json")
    assert revoked.code == 1 and "has revoked this version" in revoked.data["why"]
    assert prowess("verify", "ledger-totals", "--accept").code == 2, "taking another log is asked for"
    assert prowess("verify", "ledger-totals", "--checkpoint", "ledger-totals.release.json").code == 2
    told = prowess("verify")
    assert told.code == 0 and "log published with" in told.out


def test_keys(prowess, library: Library, tmp_path: Path) -> None:
    assert "no key yet" in prowess("trust", "--keys").err
    alice = Keyring(tmp_path / "alice")
    alice.sign(b"x")
    pub = tmp_path / "alice" / "own.pub"
    assert prowess("trust", "--pin", pub, "--name", "alice", "--role", "boss").code == 2
    pinned = prowess("trust", "--pin", pub, "--name", "alice", "--role", "approver", "--json")
    assert pinned.data["keys"][0]["roles"] == ["approver"]
    assert prowess("revoke", "--key", "alice", "--reason", "lost", "--yes").code == 0
    assert "revoked: lost" in prowess("trust", "--keys").out
    assert prowess("trust", "--pin", pub, "--name", "alice").code == 2
    assert prowess("trust", "--unpin", "alice").code == 0
    assert prowess("revoke", "--key", "alice", "--reason", "x", "--yes").code == 2


def test_revoking_a_session_takes_down_what_came_of_it(prowess, library: Library) -> None:
    prowess("trust", "ledger-totals", "--to", "T2", "--yes")
    prowess("export", "--target", "claude-code", "--yes")
    done = prowess("revoke", "--trajectory", "session-1", "--reason", "planted", "--yes", "--json")
    assert done.data["skills"] == ["ledger-totals"] and len(done.data["taken_back"]) == 1
    assert rows(prowess("trust", "--json"))["ledger-totals"]["revoked"] is True
    assert prowess("trust", "ledger-totals", "--to", "T2", "--yes").code == 2
    assert prowess("export", "--target", "claude-code", "--yes").code == 1
    waiting = library.proposals()[0].id
    assert prowess("review", "--accept", waiting, "--yes").code == 2, "the proposal rests on it too"


@pytest.mark.parametrize(
    "arguments",
    [
        ("revoke", "--reason", "x"), ("revoke", "ledger-totals"), ("revoke", "nobody", "--reason", "x", "--yes"),
        ("revoke", "ledger-totals", "--key", "k", "--reason", "x"), ("trust", "nobody"), ("trust", "--to", "T2"),
        ("trust", "ledger-totals", "--to", "T9"), ("sign", "nobody"), ("trust", "--pin", "nothing", "--name", "n"),
    ],
)  # fmt: skip
def test_nonsense(prowess, library: Library, arguments: tuple[str, ...]) -> None:
    done = prowess(*arguments)
    assert done.code == 2 and "→" in done.err


def test_a_ledger_that_was_cut_back(prowess, library: Library) -> None:
    prowess("trust", "ledger-totals", "--to", "T2", "--yes")
    prowess("trust", "ledger-totals", "--to", "T1", "--reason", "a finding")
    assert prowess("verify").code == 0
    last = sorted((library.path / ".prowess" / "ledger").glob("*.json"))[-1]
    last.unlink()
    cut = prowess("verify", "--json")
    assert cut.code == 1 and "cut back" in cut.data["broken"][0]
    assert rows(prowess("trust", "--json"))["ledger-totals"]["tier"] == 1
    assert prowess("verify", "--accept", "--yes").code == 0
    assert rows(prowess("trust", "--json"))["ledger-totals"]["tier"] == 2


def test_sessions_of_others_are_marked(prowess, home: Path, tmp_path: Path) -> None:
    from prowess.cli.places import trajectories
    from prowess.guard.taint import principal_of

    log = tmp_path / "log.json"
    messages = [{"role": "user", "content": "Sum it."}, {"role": "assistant", "content": "Done."}]
    log.write_text(json.dumps({"messages": messages}))
    assert prowess("import", log, "--principal", "anna").code == 0
    with trajectories() as store:
        assert [principal_of(store.get(row.id)) for row in store.find()] == ["anna"]


def test_locks_know_the_tier(prowess, library: Library) -> None:
    prowess("trust", "ledger-totals", "--to", "T2", "--yes")
    prowess("sign", "ledger-totals")
    assert prowess("export", "--lock", "prowess.lock").code == 0
    entry = json.loads(Path("prowess.lock").read_text())["skills"]["ledger-totals"]
    assert entry["tier"] == 2 and entry["publisher"].startswith("ed25519:")
    compiled = library.path / "ledger-totals" / "__pycache__"
    compiled.mkdir()
    (compiled / "sum.cpython-311.pyc").write_bytes(b"x")
    extra = prowess("export", "--check", "prowess.lock", "--json")
    assert extra.code == 1 and [d["kind"] for d in extra.data["drift"]] == ["extra"], "no digest covers it"
    shutil.rmtree(compiled)
    prowess("trust", "ledger-totals", "--to", "T1", "--reason", "a finding")
    assert prowess("export", "--check", "prowess.lock", "--json").data["drift"][0]["kind"] == "lowered"
    shutil.rmtree(config_folder() / "trust")
    assert {d["kind"] for d in prowess("export", "--check", "prowess.lock", "--json").data["drift"]} == {
        "lowered",
        "signer",
    }
    assert prowess("export", "--lock", "prowess.lock").code == 2, "another signer wants a yes"
    assert prowess("export", "--lock", "prowess.lock", "--yes").code == 0
