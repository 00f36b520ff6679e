"""Keys: one's own, with which this machine signs, and those of others that its user trusts.

    keyring = Keyring()
    signature = keyring.sign(payload)               # with one's own key, made at the first use
    keyring.pin(public, "alice", roles=("approver",))
    key = keyring.check(payload, signature)         # alice's key; None for a wrong signature or a stranger's

A signature says who made a statement, never that it is true or harmless. What lies in the keyring's folder is the root
of all trust on this machine; nothing of it travels with a library.
"""

import base64
import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.trust import Head, Signature
from prowess.guard.signatures import envelope, fingerprints, holds, sign_with_ssh
from prowess.library.disk import write_file
from prowess.library.trust import Sign
from prowess.settings import config_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

N = TypeVar("N", bound=Frozen)

SELF: Final = "user"
"""The name of one's own key, and of its holder in the ledger."""
Role = Literal["approver", "publisher"]


class Key(Frozen):
    """A public key and what its holder's word counts for."""

    id: str
    public: str
    """As one line of OpenSSH: `ssh-ed25519 AAAA…`."""
    name: str
    roles: tuple[Role, ...] = ()
    """`approver`: vouches for skills; `publisher`: releases them."""
    revoked: str = ""
    """Why it does not count any more; empty while it does."""


class Seen(Frozen):
    """What this machine knows of a library's ledger."""

    head: Head = Head(number=0, chain="")
    """The newest one that it saw."""
    accepted: int = 0
    """Up to this entry a person took the ledger as it was."""


class Keyring:
    """The keys in one folder, by default that of the user's own choices."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = config_folder() / "trust" if folder is None else folder

    # Keys

    def own(self) -> Key | None:
        """One's own key, which counts for both roles; None while nothing was ever signed here."""
        file = self.folder / "own.pub"
        try:
            return _key(file.read_text("ascii"), SELF, ("approver", "publisher"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UserError(f"the public key in {file} cannot be read: {error}", "restore it from a backup") from error

    def pinned(self) -> tuple[Key, ...]:
        """Keys of others, by name.

        Raises:
            UserError: the list is damaged; nothing is trusted then.
        """
        file = self.folder / "pinned.json"
        try:
            return TypeAdapter(tuple[Key, ...]).validate_json(file.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            raise UserError(f"the list of keys in {file} is damaged: {error}", "mend or restore it") from error

    def keys(self) -> tuple[Key, ...]:
        """One's own key and those of others that count."""
        own = self.own()
        return (*([own] if own else ()), *(key for key in self.pinned() if not key.revoked))

    def stamp(self) -> tuple[int, ...]:
        """Another one whenever the keys that count may have changed: cheap enough to be asked at every load."""
        found: list[int] = []
        for name in ("own.pub", "pinned.json"):
            with suppress(OSError):
                there = os.stat(self.folder / name)
                found += [there.st_ino, there.st_mtime_ns, there.st_size]
        return tuple(found)

    def pin(self, public: str, name: str, roles: Iterable[Role] = ("publisher",)) -> Key:
        """Trusts a key from now on; pinning it again changes name and roles.

        Args:
            public: A line of OpenSSH, as in a `.pub` file.

        Raises:
            UserError: it is no Ed25519 key, the name belongs to another key, or the key was revoked.
        """
        try:
            key = _key(public, name, tuple(sorted(set(roles))))
        except ValueError as error:
            raise UserError(f"this is no public key: {error}", "give a line like `ssh-ed25519 AAAA…`") from error
        there = self.pinned()
        for other in there:
            if other.id == key.id and other.revoked:
                raise UserError(f"the key {key.id} was revoked: {other.revoked}", "ask its holder for a new one")
            if other.name == name and other.id != key.id and not other.revoked:
                raise UserError(f"{name!r} has another key, {other.id}", "unpin it first, if they changed keys")
        if not name.strip() or name in (SELF, "by hand"):
            raise UserError(f"a key cannot be named {name!r}", "give the name of its holder")
        self._write([k for k in there if k.id != key.id] + [key])
        return key

    def unpin(self, name: str) -> None:
        """Stops trusting the key of that name or id; nothing that it signed counts any more.

        Raises:
            UserError: there is none.
        """
        there = self.pinned()
        left = [k for k in there if name not in (k.name, k.id)]
        if len(left) == len(there):
            raise UserError(f"no key is pinned as {name!r}", "`prowess trust --keys` lists them")
        self._write(left)

    def revoke(self, name: str, reason: str) -> Key:
        """Marks a pinned key as not to be trusted ever again; returns it. Raises as `unpin` does."""
        there = self.pinned()
        found = next((k for k in there if name in (k.name, k.id)), None)
        if found is None:
            raise UserError(f"no key is pinned as {name!r}", "`prowess trust --keys` lists them")
        found = found.model_copy(update={"revoked": reason or "no reason was given"})
        self._write([k if k.id != found.id else found for k in there])
        return found

    def _write(self, keys: list[Key]) -> None:
        data = [key.model_dump() for key in sorted(keys, key=lambda k: (k.name, k.id))]
        self._put("pinned.json", json.dumps(data, indent=1).encode() + b"\n")

    def _put(self, name: str, data: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_file(self.folder / name, data, self.folder)
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written: {error.strerror}", "give yourself access") from error

    # Signing

    def sign(self, payload: bytes) -> Signature:
        """Signs with one's own key, which is made when there is none."""
        private = self._private()
        own = self.own()
        assert own is not None
        return Signature(key=own.id, value=base64.b64encode(private.sign(envelope(payload))).decode())

    def signing(self, ssh: Path | None = None) -> Sign:
        """What signs statements of a library: one's own key, or the SSH key in that file."""

        def sign(payload: bytes) -> tuple[Signature, ...]:
            return (self.sign(payload) if ssh is None else sign_with_ssh(payload, ssh),)

        return sign

    def check(self, payload: bytes, signature: Signature) -> Key | None:
        """The trusted key that made the signature; None when it is wrong, or its key is a stranger's or revoked."""
        return signer(self.keys(), payload, signature)

    def _private(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        file = self.folder / "own.key"
        try:
            if not file.exists():
                self._make(file)
            key = form.load_pem_private_key(file.read_bytes(), None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError("it is no Ed25519 key")
            if not (self.folder / "own.pub").exists():
                public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
                self._put("own.pub", public + b"\n")
            return key
        except (OSError, ValueError) as error:
            raise UserError(f"your key in {file} cannot be used: {error}", "restore it, or move it away") from error

    def _make(self, file: Path) -> None:
        """A new private key, readable by its owner alone; one that another process makes meanwhile stays."""
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        pem = Ed25519PrivateKey.generate().private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.folder / f".own-{os.getpid()}-{secrets.token_hex(4)}.key"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as stream:
                stream.write(pem)
                stream.flush()
                os.fsync(fd)
            with suppress(FileExistsError):
                os.link(fresh, file)
        finally:
            os.unlink(fresh)

    # What was seen: a ledger or a log that lacks it was cut back or replaced

    def seen(self, library: Path) -> Seen:
        """What was seen of the library at that path."""
        return self.noted("seen.json", Seen).get(str(library), Seen())

    def remember(self, library: Path, seen: Seen) -> None:
        """Notes how far the ledger has come; raises UserError when that cannot be kept."""
        self.note("seen.json", Seen, str(library), seen)

    def note(self, name: str, kind: type[N], key: str, value: N) -> None:
        """Keeps a value in a file beside the keys; raises UserError when that cannot be done."""
        there = self.noted(name, kind)
        if there.get(key) != value:
            data = {key: each.model_dump(mode="json") for key, each in {**there, key: value}.items()}
            self._put(name, json.dumps(data, indent=1, sort_keys=True).encode())

    def noted(self, name: str, kind: type[N]) -> dict[str, N]:
        """What is kept in a file beside the keys; raises UserError for a damaged one."""
        file = self.folder / name
        try:
            there = TypeAdapter(dict[str, JsonValue]).validate_json(file.read_bytes())
            return {key: kind.model_validate(value) for key, value in there.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{file} is damaged: {error}", "restore it; without it a rollback cannot be seen"
            ) from error


def signer(keys: Iterable[Key], payload: bytes, signature: Signature) -> Key | None:
    """The key among these that made the signature."""
    for key in keys:
        if signature.key in fingerprints(key.public) and holds(key.public, payload, signature):
            return key
    return None


def _key(public: str, name: str, roles: tuple[Role, ...]) -> Key:
    id, _ = fingerprints(public)
    return Key(id=id, public=" ".join(public.split()[:2]), name=name, roles=roles)
