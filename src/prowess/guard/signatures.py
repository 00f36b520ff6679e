"""Signatures under statements: Ed25519, our own or in the form of OpenSSH.

What is signed is a DSSE envelope. SSH signatures (SSHSIG) are made by ssh-keygen, so that keys in an agent or on a
token work, and checked here, so that checking needs no OpenSSH.
"""

import base64
import hashlib
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

from prowess.core.errors import UserError
from prowess.core.trust import Signature

PAYLOAD: Final = "application/vnd.in-toto+json"
"""The payload type of a signed statement, part of what is signed (DSSE 1.0)."""
NAMESPACE: Final = "prowess"
"""Of SSH signatures: one made for another purpose does not count here."""
_CAP: Final = 100_000


def envelope(payload: bytes) -> bytes:
    """What is really signed: type and payload with their lengths (DSSE 1.0, pre-authentication encoding)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def holds(public: str, payload: bytes, signature: Signature) -> bool:
    """Whether the key made this signature under the payload."""
    return _holds(public, payload, signature.key, signature.value)


@lru_cache(maxsize=4096)
def _holds(public: str, payload: bytes, id: str, value: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = _raw(public)
        if id.startswith("ssh:"):
            made, by, message = _opened(value, envelope(payload))
            if by != raw:
                return False
        else:
            made, message = base64.b64decode(value, validate=True), envelope(payload)
        Ed25519PublicKey.from_public_bytes(raw).verify(made, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign_with_ssh(payload: bytes, file: Path) -> Signature:
    """Signs with an SSH key, which may lie in an agent or on a token; ssh-keygen does it.

    Args:
        file: The key: the private one, or the public one whose private half the agent holds.

    Raises:
        UserError: ssh-keygen is not installed or refuses, or the key is not Ed25519.
    """
    try:
        done = subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(file)],
            input=envelope(payload), capture_output=True, timeout=120, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"ssh-keygen could not be run: {error}", "install OpenSSH, or sign without --ssh") from error
    if done.returncode != 0:
        raise UserError(
            f"ssh-keygen did not sign: {done.stderr.decode('utf-8', 'replace').strip()[-200:]}", "see above"
        )
    armoured = done.stdout.decode("ascii", "replace")
    try:
        _, raw, _ = _opened(armoured, b"")
    except ValueError as error:
        raise UserError(f"the key in {file} cannot be used: {error}", "use an Ed25519 key") from error
    return Signature(key=_ssh_id(raw), value=armoured)


@lru_cache(maxsize=256)
def fingerprints(public: str) -> tuple[str, str]:
    """The two ids of one key: as our own signatures and as SSH signatures name it. Raises ValueError for no key."""
    raw = _raw(public)
    return f"ed25519:{hashlib.sha256(raw).hexdigest()[:32]}", _ssh_id(raw)


def _blob(raw: bytes) -> bytes:
    return _string(b"ssh-ed25519") + _string(raw)


def _ssh_id(raw: bytes) -> str:
    return "ssh:SHA256:" + base64.b64encode(hashlib.sha256(_blob(raw)).digest()).decode().rstrip("=")


def _raw(public: str) -> bytes:
    """The 32 bytes of an Ed25519 public key in a line of OpenSSH."""
    parts = public.split()
    if len(parts) < 2 or parts[0] != "ssh-ed25519" or len(parts[1]) > 200:
        raise ValueError("only Ed25519 keys are used")
    blob = base64.b64decode(parts[1], validate=True)
    kind, rest = _take(blob)
    raw, rest = _take(rest)
    if kind != b"ssh-ed25519" or rest or len(raw) != 32:
        raise ValueError("its inner form is not that of an Ed25519 key")
    return raw


def _opened(armoured: str, message: bytes) -> tuple[bytes, bytes, bytes]:
    """Signature, public key and signed bytes of an armoured SSH signature (OpenSSH, PROTOCOL.sshsig)."""
    lines = armoured.strip().splitlines()
    if len(armoured) > _CAP or not lines or "BEGIN SSH SIGNATURE" not in lines[0] or "END SSH" not in lines[-1]:
        raise ValueError("no SSH signature")
    data = base64.b64decode("".join(lines[1:-1]), validate=True)
    if data[:10] != b"SSHSIG\0\0\0\1":
        raise ValueError("an unknown form of SSH signature")
    public, rest = _take(data[10:])
    namespace, rest = _take(rest)
    reserved, rest = _take(rest)
    algorithm, rest = _take(rest)
    made, rest = _take(rest)
    kind, public = _take(public)
    raw, _ = _take(public)
    form, made = _take(made)
    made, _ = _take(made)
    if kind != b"ssh-ed25519" or form != b"ssh-ed25519" or rest:
        raise ValueError("only Ed25519 keys are used")
    if namespace != NAMESPACE.encode() or algorithm not in (b"sha256", b"sha512"):
        raise ValueError("a signature for another purpose")
    hashed = hashlib.new(algorithm.decode(), message).digest()
    signed = b"SSHSIG" + _string(namespace) + _string(reserved) + _string(algorithm) + _string(hashed)
    return made, raw, signed


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4])
    if len(data) < 4 or length > len(data) - 4:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]
