"""The log of a publisher: a release stands in it, it only grows, it is fresh, and it takes versions back."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trust_parts import add_line, open_library, skill

from prowess.core.errors import Refused, UserError
from prowess.core.trust import Checkpoint, Revocation
from prowess.guard.keys import Keyring
from prowess.guard.log import Published, problems, publish, published, read
from prowess.guard.promotion import demote, revoke
from prowess.guard.release import Verified, bundle, release, verify
from prowess.library import Library
from prowess.library.disk import write_folder

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class World:
    """A publisher, Alice, with a library, and Bob, who has pinned her key and holds a copy of her skill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = open_library(folder / "library", skill())
        self.alice, self.bob = Keyring(folder / "alice"), Keyring(folder / "bob")
        self.alice.sign(b"makes the key")
        own = self.alice.own()
        assert own is not None
        self.bob.pin(own.public, "alice")

    def released(self, version: str = "1", library: Library | None = None) -> bytes:
        return bundle(release(library or self.library, self.alice, "ledger", version)).encode()

    def copy(self) -> Path:
        place = self.folder / f"copy-{len(list(self.folder.iterdir()))}" / "ledger"
        place.parent.mkdir()
        write_folder(place, self.library.trees()["ledger"])
        return place

    def checkpoint(self, library: Library | None = None) -> Published:
        where = library or self.library
        return published(where, publish(where, self.alice.signing()))

    def verify(self, folder: Path, data: bytes, newest: Published | None = None, **how: object) -> Verified:
        return verify(folder, data, self.bob, newest, **{"now": NOW, **how})  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    return World(tmp_path)


def test_a_release_stands_in_the_log_and_counts_for_thirty_days(world: World) -> None:
    data, folder = world.released(), world.copy()
    found = world.verify(folder, data)
    assert found.key is not None and found.checkpoint is not None and found.checkpoint.size == 1
    assert found.checkpoint.expires.startswith("2026-01-31")
    late = NOW + timedelta(days=40)
    with pytest.raises(Refused, match="silent for too long: its checkpoint expired 10 days ago, on 2026-01-31"):
        world.verify(folder, data, now=late)
    world.library.trust.now = (late - timedelta(days=1)).isoformat
    assert world.verify(folder, data, world.checkpoint(), now=late).checkpoint is not None


def test_what_its_publisher_has_revoked_is_refused_as_soon_as_a_checkpoint_says_so(world: World) -> None:
    data, folder = world.released(), world.copy()
    before = world.checkpoint()
    assert world.verify(folder, data, before).checkpoint is not None
    revoke(world.library, world.alice, Revocation(what="skill", id="ledger", by="user", reason="it leaks"))
    after = world.checkpoint()
    with pytest.raises(Refused, match="alice has revoked this version of ledger"):
        world.verify(folder, data, after)
    for older in (before, None):
        with pytest.raises(Refused, match="alice has revoked"):
            world.verify(folder, data, older)  # what was seen once cannot be kept back
    add_line(world.library, "Round half up.")
    fixed = world.released("2")
    assert world.verify(world.copy(), fixed).key is not None, "the next version is another one"


def test_a_log_that_grew_is_followed_from_any_checkpoint(world: World) -> None:
    first, folder = world.released(), world.copy()
    assert world.verify(folder, first).checkpoint is not None
    for n in range(5):
        demote(world.library, world.alice, "ledger", reason=f"finding {n}")
        add_line(world.library, f"Rule {n}.")
        world.released(str(n))
    latest = world.released("9")
    found = world.verify(world.copy(), latest)
    assert found.checkpoint is not None and found.checkpoint.size == 18
    assert world.verify(folder, first).checkpoint == found.checkpoint, "the newest that was seen is remembered"
    assert world.verify(folder, first, world.checkpoint()).checkpoint != found.checkpoint


def test_a_log_that_was_not_seen_for_very_long_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prowess.guard.log.EARLIER", 2)
    data, folder = world.released(), world.copy()
    assert world.verify(folder, data).checkpoint is not None
    for _ in range(3):
        world.checkpoint()
    with pytest.raises(Refused, match="nothing shows what became of the first 1"):
        world.verify(folder, data, world.checkpoint())


@pytest.mark.parametrize("how", ["another history", "rewritten"])
def test_a_fork_is_refused_until_a_person_takes_it(world: World, how: str) -> None:
    data, folder = world.released(), world.copy()
    assert world.verify(folder, data).checkpoint is not None
    fork = open_library(world.folder / "fork", skill(), author="somebody")
    forged = world.released(library=fork)
    if how == "rewritten":
        demote(fork, world.alice, "ledger", reason="more")
        forged = world.released(library=fork)
    for newest in (None, world.checkpoint(), world.checkpoint(fork)):
        with pytest.raises(Refused, match=r"rewritten, or is another one|nothing shows"):
            world.verify(folder, forged, newest)
    with pytest.raises(Refused, match="rewritten, or is another one"):
        world.verify(folder, data, world.checkpoint(fork))
    assert world.verify(folder, forged, accept=True).checkpoint is not None
    assert world.verify(folder, forged).checkpoint is not None
    with pytest.raises(Refused):
        world.verify(folder, data)


def test_a_proof_is_not_moved_to_another_release_or_signer(world: World) -> None:
    data, folder = world.released(), world.copy()
    other = json.loads(world.released("2"))
    moved = {**json.loads(data), "log": {**other["log"], "index": other["log"]["index"] + 1}}
    with pytest.raises(Refused, match="not in the log"):
        world.verify(folder, json.dumps(moved).encode())
    mallory = Keyring(world.folder / "mallory")
    library = open_library(world.folder / "theirs", skill())
    theirs = json.loads(bundle(release(library, mallory, "ledger", "1")))
    stolen = {**json.loads(data), "log": theirs["log"]}
    with pytest.raises(Refused, match="none that alice has signed"):
        world.verify(folder, json.dumps(stolen).encode())
    without = json.loads(data)
    del without["log"]
    with pytest.raises(UserError, match="no release"):
        world.verify(folder, json.dumps(without).encode())
    assert verify(folder, json.dumps(theirs).encode(), world.bob, now=NOW).checkpoint is None, (
        "a stranger's says nothing"
    )


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_checkpoint_never_counts(world: World, at: int, junk: bytes) -> None:
    kept: dict[str, bytes] = world.__dict__.setdefault("kept", {})
    if not kept:
        folder, data = world.copy(), world.released()
        kept |= {"folder": bytes(folder), "data": data, "newest": world.checkpoint().model_dump_json().encode()}
    whole = kept["newest"]
    at %= len(whole) - len(junk)
    damaged = whole[:at] + junk + whole[at + len(junk) :]
    try:
        found = world.verify(Path(os.fsdecode(kept["folder"])), kept["data"], read(damaged))
    except UserError:
        return
    assert read(damaged).checkpoint.payload == read(whole).checkpoint.payload and found.checkpoint is not None


def test_a_ledger_that_does_not_agree_with_what_it_published_is_named(world: World) -> None:
    demote(world.library, world.alice, "ledger", reason="a finding")
    world.released()
    assert problems(world.library) == []
    with world.library.ledger() as (index, store):
        wrong = Checkpoint(size=1, root="0" * 64, expires="2026-02-01")
        said = world.library.trust.statements()[-1]
        payload = json.loads(said.payload) | {"predicate": wrong.model_dump(mode="json")}
        entry = said.model_copy(update={"number": index.head()[0] + 1, "payload": json.dumps(payload)})
        store.append(entry)
    assert "published a log with other statements" in problems(world.library)[0]


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 5000, b"\xff", b"x" * 5_000_000])
def test_what_is_no_checkpoint(data: bytes) -> None:
    with pytest.raises(UserError, match="no checkpoint"):
        read(data)


def test_a_checkpoint_without_a_date_that_can_be_read_has_expired(world: World) -> None:
    folder = world.copy()
    data = json.loads(world.released())
    entry = world.library.trust.publish("never", world.alice.signing())
    with pytest.raises(Refused, match="no date"):
        world.verify(folder, json.dumps(data).encode(), published(world.library, entry))
