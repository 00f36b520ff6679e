"""Keys, signatures of both kinds, and releases that are checked to the last file."""

import base64
import json
import os
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trust_parts import SUM, add_line, lesson, open_library, other, skill, trusted

from prowess.core.errors import Refused, UserError
from prowess.core.trust import Release, Signature, Tier
from prowess.guard.keys import Keyring
from prowess.guard.release import Verified, bundle, read, release
from prowess.guard.release import verify as verify_at
from prowess.guard.signatures import fingerprints, holds, sign_with_ssh
from prowess.library import Library, lock
from prowess.library.disk import write_folder


def verify(folder: Path, data: bytes, ring: Keyring) -> Verified:
    """In the days of the libraries of these tests."""
    return verify_at(folder, data, ring, now=datetime(2026, 1, 2, tzinfo=UTC))


needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    return open_library(tmp_path / "library", skill(files=(SUM,)))


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "anna@host", "-f", file], check=True)
    return file


def test_one_own_key_is_made_once_and_kept_private(ring: Keyring) -> None:
    assert ring.own() is None and ring.keys() == ()
    signature = ring.sign(b"x")
    key = ring.own()
    assert key is not None and ring.check(b"x", signature) == key
    assert Keyring(ring.folder).sign(b"x") == signature
    assert stat.S_IMODE((ring.folder / "own.key").stat().st_mode) == 0o600
    (ring.folder / "own.pub").unlink()
    assert ring.sign(b"x") == signature and ring.own() == key
    (ring.folder / "own.key").write_bytes(b"garbage")
    with pytest.raises(UserError, match="cannot be used"):
        ring.sign(b"x")


@given(st.binary(max_size=50), st.binary(max_size=50), st.text(max_size=90))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_only_the_very_payload_verifies(ring: Keyring, payload: bytes, another: bytes, value: str) -> None:
    signature = ring.sign(payload)
    assert ring.check(payload, signature) is not None
    assert (ring.check(another, signature) is not None) == (another == payload)
    assert ring.check(payload, signature.model_copy(update={"value": value})) is None


def test_pins(ring: Keyring, tmp_path: Path) -> None:
    alice, key = other(tmp_path / "alice", ring)
    signature = alice.sign(b"x")
    assert ring.check(b"x", signature) == key
    with pytest.raises(UserError, match="another key"):
        ring.pin(stranger_key(tmp_path), "alice")
    with pytest.raises(UserError, match="cannot be named"):
        ring.pin(stranger_key(tmp_path), "user")
    ring.revoke("alice", "lost")
    assert ring.check(b"x", signature) is None
    with pytest.raises(UserError, match="was revoked: lost"):
        ring.pin(key.public, "alice")
    for bad in ("", "ssh-rsa AAAA", "ssh-ed25519 AAAA", "ssh-ed25519 " + "A" * 300):
        with pytest.raises(UserError, match="no public key"):
            ring.pin(bad, "x")
    with pytest.raises(UserError, match="no key is pinned"):
        ring.unpin("nobody")
    (ring.folder / "pinned.json").write_text("[{}]")
    with pytest.raises(UserError, match="damaged"):
        ring.keys()


def stranger_key(tmp_path: Path) -> str:
    stranger = Keyring(tmp_path / "stranger")
    stranger.sign(b"x")
    own = stranger.own()
    assert own is not None
    return own.public


@needs_ssh
def test_ssh_signatures(ring: Keyring, ssh_key: Path, tmp_path: Path) -> None:
    public = ssh_key.with_suffix(".pub").read_text()
    signature = sign_with_ssh(b"payload", ssh_key)
    printed = subprocess.run(["ssh-keygen", "-lf", f"{ssh_key}.pub"], capture_output=True, text=True, check=True)
    assert signature.key == "ssh:" + printed.stdout.split()[1] == fingerprints(public)[1]
    assert ring.check(b"payload", signature) is None
    key = ring.pin(public, "anna", ("publisher",))
    assert ring.check(b"payload", signature) == key and ring.check(b"payloae", signature) is None
    # The same key for another purpose: an SSH signature counts in its namespace only.
    mail = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "email", "-f", str(ssh_key)],
        input=b"payload",
        capture_output=True,
        check=True,
    )
    assert not holds(public, b"payload", Signature(key=signature.key, value=mail.stdout.decode()))
    with pytest.raises(UserError, match="did not sign"):
        sign_with_ssh(b"x", tmp_path / "nothing")
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "ec"], check=True)
    with pytest.raises(UserError, match="Ed25519"):
        sign_with_ssh(b"x", tmp_path / "ec")


@needs_ssh
@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_broken_ssh_signatures_are_no_signatures(ssh_key: Path, data: st.DataObject) -> None:
    public = ssh_key.with_suffix(".pub").read_text()
    whole = sign_with_ssh(b"payload", ssh_key) if not hasattr(test_ssh_signatures, "made") else test_ssh_signatures.made
    test_ssh_signatures.made = whole  # type: ignore[attr-defined]
    at = data.draw(st.integers(40, len(whole.value) - 40))
    cut = (
        whole.value[:at] + data.draw(st.sampled_from(["", "A", "=", "é", "\n\n", whole.value])) + whole.value[at + 1 :]
    )
    assert not holds(public, b"payload", Signature(key=whole.key, value=cut)) or said(cut) == said(whole.value)


def said(armored: str) -> bytes:
    """What stands between the lines of the armour; where its lines end, and bits that only fill up, say nothing."""
    inner = armored.split("-----")[2]
    return base64.b64decode("".join(inner.split()) + "==")


# Releases


def test_a_release_says_where_a_skill_comes_from(library: Library, ring: Keyring, tmp_path: Path) -> None:
    add_line(library, "Round half up.", [lesson("t1"), lesson("t2", "x", "anna")])
    trusted_before = library.trust.tree("ledger")
    released = release(library, ring, "ledger", "1.2")
    entry = released.entry
    payload, statement, signatures, _ = read(bundle(released).encode())
    assert payload == entry.payload.encode() and signatures == entry.signatures
    told = statement.predicate
    assert isinstance(told, Release) and statement.tree == trusted_before
    assert (told.version, told.origin, told.authors) == ("1.2", "learned", ("trace2skill",))
    assert (told.trajectories, told.principals) == (("t1", "t2"), 2) and "anna" not in bundle(released)
    assert set(told.files) == {"SKILL.md", "scripts/sum.py"}
    raw = json.loads(entry.payload)
    assert raw["_type"] == "https://in-toto.io/Statement/v1" and raw["predicateType"] == "prowess/release/v1"
    found = verify(library.path / "ledger", bundle(released).encode(), ring)
    assert found.key is not None and found.key.name == "user"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: (f / "scripts" / "sum.py").write_bytes(b"import os\n"), "changed"),
        (lambda f: (f / "scripts" / "sum.py").unlink(), "missing"),
        (lambda f: (f / "scripts" / "more.py").write_bytes(b""), "one too many"),
        (lambda f: (f / ".hidden").write_bytes(b""), "one too many"),
        (lambda f: (f / "link").symlink_to("/etc/passwd"), "symbolic link"),
        (lambda f: (f / "scripts" / "__pycache__").mkdir(), "not part of the skill"),
        (lambda f: (f / "scripts" / "sum.pyc").write_bytes(b"x"), "not part of the skill"),
        (lambda f: os.mkfifo(f / "pipe"), "special file"),
    ],
)
def test_one_file_more_or_another_is_not_the_release(
    library: Library, ring: Keyring, tmp_path: Path, change, says
) -> None:
    data = bundle(release(library, ring, "ledger", "1")).encode()
    folder = tmp_path / "copy" / "ledger"
    folder.parent.mkdir()
    write_folder(folder, library.trees()["ledger"])
    assert verify(folder, data, ring).key is not None
    change(folder)
    with pytest.raises(Refused, match=says):
        verify(folder, data, ring)


def test_a_release_of_another_name_or_key(library: Library, ring: Keyring, tmp_path: Path) -> None:
    data = bundle(release(library, ring, "ledger", "1")).encode()
    folder = tmp_path / "renamed"
    write_folder(folder, library.trees()["ledger"])
    with pytest.raises(Refused, match="is called"):
        verify(folder, data, ring)
    assert verify(library.path / "ledger", data, Keyring(tmp_path / "fresh")).key is None
    alice, _ = other(tmp_path / "alice", ring)
    theirs = bundle(release(library, alice, "ledger", "1")).encode()
    assert verify(library.path / "ledger", theirs, ring).key is not None
    envelope = json.loads(theirs)
    envelope["signatures"][0]["sig"] = json.loads(data)["signatures"][0]["sig"]
    with pytest.raises(Refused, match="of alice does not hold"):
        verify(library.path / "ledger", json.dumps(envelope).encode(), ring)
    ring.revoke("alice", "lost")
    with pytest.raises(Refused, match="was revoked: lost"):
        verify(library.path / "ledger", theirs, ring)
    envelope["signatures"] = []
    with pytest.raises(Refused, match="nobody has signed"):
        verify(library.path / "ledger", json.dumps(envelope).encode(), ring)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 5000, b'{"payloadType": 1}', b"\xff", b"x" * 5_000_000])
def test_what_is_no_release(data: bytes) -> None:
    with pytest.raises(UserError, match="no release"):
        read(data)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_bundle_never_verifies(library: Library, ring: Keyring, at: int, junk: bytes) -> None:
    whole = getattr(library, "bundle", None) or bundle(release(library, ring, "ledger", "1")).encode()
    library.bundle = whole  # type: ignore[attr-defined]
    at %= len(whole) - len(junk)
    damaged = whole[:at] + junk + whole[at + len(junk) :]
    try:
        found = verify(library.path / "ledger", damaged, ring)
    except UserError:
        return
    assert found.key is None or read(damaged)[0] == read(whole)[0]


def test_a_folder_with_more_than_the_digest_covers_is_not_released(library: Library, ring: Keyring) -> None:
    (library.path / "ledger" / "scripts" / "__pycache__").mkdir()
    with pytest.raises(Refused, match="__pycache__"):
        release(library, ring, "ledger", "1")


# Lock file


def test_the_lock_file_fails_on_extra_files_lower_tiers_and_other_signers(
    library: Library, ring: Keyring, tmp_path: Path
) -> None:
    file = tmp_path / "prowess.lock"
    stands = {"ledger": lock.Trusted(Tier.TRUSTED, "ed25519:a")}
    lock.write(file, lock.of(library, stands))
    assert lock.check(file, library, stands) == []
    assert lock.check(file, library, {"ledger": lock.Trusted(Tier.CERTIFIED, "ed25519:a")}) == []
    (library.path / "ledger" / "scripts" / "__pycache__").mkdir()
    lowered = {"ledger": lock.Trusted(Tier.QUARANTINED, "ed25519:b")}
    assert [d.kind for d in lock.check(file, library, lowered)] == ["extra", "lowered", "signer"]
    assert "tier" in lock.read(file).skills["ledger"].model_fields_set


def test_trusted_then_verified_after_a_rebuild(library: Library, ring: Keyring) -> None:
    trusted(library, ring)
    data = bundle(release(library, ring, "ledger", "1")).encode()
    library.rebuild()
    assert verify(library.path / "ledger", data, ring).key is not None
