"""Accounts, tokens, jobs and sessions, on both databases."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import anyio
import pytest
from pydantic_core import to_json

from prowess.core.cost import Cost
from prowess.core.errors import Refused, UserError
from prowess.core.task import Score
from prowess.core.trajectory import Step, Trajectory
from prowess.guard.taint import principal_of
from prowess.serve.hub.accounts import Accounts, NotFound, Settings
from prowess.serve.hub.database import Database, DatabaseError, open_database
from prowess.serve.hub.jobs import LEASE, TRIES, Jobs
from prowess.serve.hub.sessions import Inbox, Sessions, read_sessions
from prowess.trajectories.atif import to_atif


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database: Database, clock: Clock) -> Accounts:
    made = Accounts(database, clock)
    for name in ("alice", "bob"):
        made.add(name, admin=name == "alice")
    made.add_project("red", "alice")
    made.add_project("blue", "bob")
    return made


def session(id: str = "s1", text: str = "sum the ledger", **more: object) -> Trajectory:
    steps = (Step(source="user", message=text), Step(source="agent", message="done"))
    return Trajectory(id=id, agent="code/1", model="m", steps=steps, cost=Cost(prompt_tokens=7, usd=0.5), **more)  # type: ignore[arg-type]


def test_a_token_counts_until_it_is_revoked_or_ends(accounts: Accounts, clock: Clock) -> None:
    token, secret = accounts.issue("alice", days=1)
    found = accounts.principal(secret)
    assert found is not None and found.account == "alice" and found.admin and found.may("manage", "red")
    assert not found.may("read", "blue")
    for wrong in (secret[:-1], secret + " ", " " + secret, secret.upper(), secret.swapcase(), "", "prw_" + "A" * 43):
        assert accounts.principal(wrong) is None
    clock.now += 86401
    assert accounts.principal(secret) is None
    _, second = accounts.issue("alice")
    assert accounts.tokens("alice") and token.id not in {t.id for t in accounts.tokens("alice")}
    accounts.revoke("alice", accounts.tokens("alice")[0].id)
    assert accounts.principal(second) is None


def test_no_secret_of_a_token_is_stored(accounts: Accounts, database: Database) -> None:
    _, secret = accounts.issue("alice")
    with database.reading() as rows:
        assert secret[4:] not in str(rows.all("SELECT * FROM token"))


def test_a_token_can_do_less_than_its_account(accounts: Accounts) -> None:
    accounts.join("blue", "alice", "manager")
    found = accounts.principal(accounts.issue("alice", rights=("read",), project="red")[1])
    assert found is not None and found.may("read", "red")
    assert not (found.may("review", "red") or found.may("read", "blue") or found.admin)
    with pytest.raises(UserError, match="no right"):
        accounts.issue("alice", rights=("everything",))


def test_an_ended_account_has_nothing_left(accounts: Accounts) -> None:
    _, secret = accounts.issue("bob")
    accounts.join("red", "bob", "reviewer")
    accounts.disable("bob")
    assert accounts.principal(secret) is None and accounts.members("red") == {"alice": "manager"}
    with pytest.raises(NotFound):
        accounts.issue("bob")
    with pytest.raises(UserError, match="already"):
        accounts.add("bob")


def test_a_project_keeps_a_manager(accounts: Accounts) -> None:
    with pytest.raises(Refused):
        accounts.leave("red", "alice")
    with pytest.raises(Refused):
        accounts.join("red", "alice", "reader")
    accounts.join("red", "bob", "manager")
    accounts.leave("red", "alice")
    assert accounts.members("red") == {"bob": "manager"}


def test_settings_and_log(accounts: Accounts) -> None:
    accounts.set_settings("red", Settings(keep_days=7))
    assert accounts.settings("red").keep_days == 7 and accounts.settings("blue").keep_days == 90
    for n in range(5):
        accounts.note("alice", "did", str(n), "red")
    accounts.note("bob", "did", "secret of blue", "blue")
    found = accounts.events("red", limit=3)
    assert [e.what for e in found] == ["4", "3", "2"]
    assert [e.what for e in accounts.events("red", found[-1].id)] == ["1", "0"]


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "-a", "a b", "a" * 64, "a\0", "ä", "a\n"])
def test_names_are_plain(accounts: Accounts, name: str) -> None:
    with pytest.raises(UserError):
        accounts.add(name)
    with pytest.raises(UserError):
        accounts.add_project(name, "alice")


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 2**63])
def test_what_no_column_takes_is_refused(database: Database, value: str | int) -> None:
    with database.writing() as rows, pytest.raises(UserError):
        rows.one("SELECT ?", value)


def test_a_block_that_raises_changes_nothing(accounts: Accounts, database: Database) -> None:
    def fail() -> None:
        with database.writing() as rows:
            rows.run("DELETE FROM membership")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert accounts.members("red")


def test_opening_again_keeps_everything(accounts: Accounts, url: str) -> None:
    again = open_database(url)
    assert Accounts(again).names() == ["alice", "bob"]
    with again.writing() as rows:
        rows.run("INSERT INTO schema_step (number) VALUES (99)")
    again.close()
    with pytest.raises(UserError, match="newer"):
        open_database(url)


# Jobs


def test_a_job_waits_once_and_ends_once(accounts: Accounts, database: Database, clock: Clock) -> None:
    jobs = Jobs(database, clock)
    first = jobs.ask("red", "learn", "alice")
    assert jobs.ask("red", "learn", "bob").id == first.id
    taken = jobs.take("w1")
    assert taken is not None and taken.id == first.id and jobs.take("w2") is None
    assert jobs.ask("red", "learn", "bob").id != first.id, "what is asked while it runs is done afterwards"
    assert jobs.renew(taken, "a\0\ud800b") and jobs.get("red", first.id).said == "a\ufffdb"
    assert jobs.renew(taken, "reading") and jobs.get("red", first.id).said == "reading"
    assert jobs.end(taken, "done", "two proposals") and not jobs.end(taken, "failed", "no")
    assert jobs.get("red", first.id).state == "done"
    with pytest.raises(NotFound):
        jobs.get("blue", first.id)


def test_a_dead_workers_job_is_taken_again_but_not_for_ever(
    accounts: Accounts, database: Database, clock: Clock
) -> None:
    jobs = Jobs(database, clock)
    job = jobs.ask("red", "learn", "alice")
    taken = [jobs.take("w0")]
    for n in range(1, TRIES):
        clock.now += LEASE + 1
        taken.append(jobs.take(f"w{n}"))
        before = taken[n - 1]
        assert before is not None and not jobs.end(before, "done", "late"), "it has lost its lease"
        assert not jobs.renew(before)
    assert [t.tries for t in taken if t] == [1, 2, 3]
    clock.now += LEASE + 1
    assert jobs.take("w9") is None
    assert jobs.get("red", job.id).state == "failed"


def test_a_clock_that_was_set_back_hides_no_job(
    accounts: Accounts, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, day = Jobs(database, clock), 86_400
    first = jobs.ask("red", "learn", "alice")
    taken = jobs.take("w0")
    assert taken is not None and jobs.end(taken, "done", "")
    clock.now -= day
    yesterday = time.time_ns() - day * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: yesterday)
    again = jobs.ask("red", "learn", "alice")
    assert again.id != first.id and again.state == "waiting"
    clock.now += day
    dies = jobs.take("w1")
    clock.now -= day
    other = jobs.take("w2")
    assert dies is not None and other is not None and other.id == dies.id, "not kept until tomorrow"
    assert not jobs.end(dies, "done", "late") and jobs.end(other, "done", "")


def test_many_workers_never_share_a_job(accounts: Accounts, url: str, database: Database) -> None:
    jobs = Jobs(database)
    for n in range(60):
        jobs.ask("red", "validate", "alice", str(n))
    done: list[str] = []

    def work(name: str) -> None:
        db = open_database(url)
        own = Jobs(db)
        while (job := own.take(name)) is not None:
            done.append(job.given)
            assert own.end(job, "done", "")
        db.close()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done, key=int) == [str(n) for n in range(60)]


# Sessions


def test_a_session_is_its_senders_and_holds_no_secret(accounts: Accounts, database: Database) -> None:
    key = "sk-ant-api03-" + "aB3" * 31 + "AA"
    score = Score(value=1, passed=True, verifier="suite:workbench", trusted=True)
    sent = session(text=f"use {key} please", score=score, extra={"principal": "bob"})
    (kept,) = read_sessions(to_json(to_atif(sent)), "atif", "alice")
    store = Sessions(database)
    store.put([("red", "alice", kept)])
    light, back = store.get("red", kept.id)
    assert key not in back.model_dump_json() and principal_of(back) == "alice" and light.account == "alice"
    assert back.score is not None and not back.score.trusted and back.passed is None
    with database.reading() as rows:
        assert key not in str(rows.all("SELECT * FROM session"))


def test_nobody_takes_the_place_of_anothers_session(accounts: Accounts, database: Database) -> None:
    store = Sessions(database)
    for who, text in (("alice", "mine"), ("bob", "his"), ("alice", "mine, later")):
        store.put([("red", who, *read_sessions(to_json(to_atif(session(text=text))), "atif", who))])
    kept = {s.account: store.get("red", s.id)[1].steps[0].message for s in store.list("red")}
    assert kept == {"alice": "mine, later", "bob": "his"}


def test_sessions_stay_in_their_project(accounts: Accounts, database: Database, clock: Clock) -> None:
    store = Sessions(database, clock)
    own = session()
    store.put(
        [("red", "alice", own), ("blue", "bob", own), ("red", "alice", session("s2", offered=("a", "b"), used=("a",)))]
    )
    assert [s.id for s in store.list("blue")] == ["s1"] and len(list(store.all("red"))) == 2
    assert {u.offered for u in store.use("red")} == {(), ("a", "b")}
    assert store.spent("red")[0].sessions == 2 and store.spent("red")[0].usd == 1.0
    clock.now += 86400 * 2
    assert sorted(store.older("red", 1)) == ["s1", "s2"] and not store.older("red", 3)
    assert store.delete("red", ["s1", "s2"]) == 2 and store.list("red") == []
    assert store.get("blue", "s1")[1] == own
    with pytest.raises(NotFound):
        store.get("red", "s1")


def test_what_is_given_at_once_shares_transactions(
    accounts: Accounts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose session cannot be stored spoils nobody else's; where the database fails, all that waited know."""
    store = Sessions(database)
    sizes: list[int] = []
    write = store.write

    def counted(made: Any) -> None:
        sizes.append(len(made))
        if len(sizes) == 2:
            raise DatabaseError(OSError("gone"))
        write(made)

    monkeypatch.setattr(store, "write", counted)

    async def main() -> list[str]:
        inbox = Inbox(store)

        async def give(n: int) -> str:
            try:
                given = session(f"s{n}", task_id="bad\0" if n % 10 == 3 else None)
                await inbox.put("red", "alice", [given])
            except (UserError, DatabaseError) as error:
                return type(error).__name__
            return "kept"

        first = await asyncio.gather(*map(give, range(60)))
        failed = await asyncio.gather(*map(give, range(60, 63)))
        return [*first, *failed, await give(64)]

    said = anyio.run(main)
    assert [n for n, word in enumerate(said) if word == "UserError"] == [3, 13, 23, 33, 43, 53]
    assert said[60:] == ["DatabaseError"] * 3 + ["kept"] and sizes == [54, 3, 1]
    assert len(store.list("red", limit=100)) == 55


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"nonsense", b'{"schema_version": "ATIF-v1.6"}', b"[" * 5000, b"\xff"]
)
@pytest.mark.parametrize("format", ["atif", "claude-code", "codex", "chat"])
def test_what_is_no_session_is_refused(body: bytes, format: str) -> None:
    with pytest.raises(UserError):
        read_sessions(body, format, "alice")


WRITER = """
import sys
from prowess.core.trajectory import Step, Trajectory
from prowess.serve.hub.database import open_database
from prowess.serve.hub.sessions import Sessions
store = Sessions(open_database(sys.argv[1]))
n = 0
while True:
    t = Trajectory(id=f"s{n}", agent="a", model="m", steps=(Step(source="user", message="x" * 500),))
    store.put([("red", "alice", t)])
    print(n, flush=True)
    n += 1
"""


def test_what_was_acknowledged_survives_kill_9(accounts: Accounts, database: Database, url: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, env=_env())
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(20)]
    child.send_signal(signal.SIGKILL)
    told += child.stdout.readlines()
    child.wait()
    kept = {s.id for s in Sessions(database).list("red", limit=10_000)}
    assert {f"s{int(line)}" for line in told if line.strip()} <= kept


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_opening_at_once_makes_the_tables_once(url: str) -> None:
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            open_database(url).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
