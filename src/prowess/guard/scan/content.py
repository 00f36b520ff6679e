"""The bytes of one file: the text that they are, or what else; and real secrets in a text."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from prowess.guard.redact import RULES as SECRETS
from prowess.guard.redact import entropy
from prowess.guard.redact import found as secrets_in
from prowess.guard.scan.rules import Hit

_BITS: Final = 2.9
"""Bits per character below which what has the form of a key is a placeholder."""
_SAMPLE = re.compile(
    r"(?i)^https?:|^[a-z_]+\(|^\w+\.\w+|example|sample|dummy|fake|test|your|placeholder|x{4}|0{6}|1234|abcd|redacted|\.\.\.|…"
)
_GUESSED = frozenset(
    [
        "assigned",
        "url-password",
        "authorization",
        "bearer-token",
        "cookie",
        "jwt",
        "twilio-key",
        "openai-key",
        "slack-webhook",
    ]
)
"""Kinds that are told by the words around them, or by a form that other texts have too."""
_TEXT = (
    ".md",
    ".txt",
    ".py",
    ".sh",
    ".js",
    ".ts",
    ".json",
    ".toml",
    ".yaml",
    ".yml",
    ".cfg",
    ".ini",
    ".html",
    ".css",
    ".csv",
)
_PROGRAMS = (
    b"\x7fELF",
    b"MZ\x90\x00",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xfe\xed\xfa\xcf",
    b"\x00asm",
    b"dex\n",
)
_SEALED = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"7z\xbc\xaf",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"\x80\x04\x95",
    b"\x80\x05\x95",
)
_OFFICE = (".xlsx", ".docx", ".pptx", ".xlsm", ".odt", ".ods", ".epub", ".jar", ".npz", ".whl")


class Content(NamedTuple):
    """What a file holds."""

    text: str | None
    """None where it is no text."""
    rule: str = ""
    """Of the finding that it is, whatever it says; empty for none."""


def content(path: str, data: bytes) -> Content:
    """The text of a file, and whether a person should know of its form."""
    if data.startswith(_PROGRAMS) or (data[:2] == b"MZ" and b"\0" in data[:100]):
        return Content(None, "binary")
    if b"\0" not in data[:4096]:
        try:
            return Content(data.decode())
        except UnicodeDecodeError:
            pass
    if path.endswith(_TEXT):
        return Content(data.decode("utf-8", "replace"), "unreadable")
    return Content(None, "sealed" if data.startswith(_SEALED) and not path.endswith(_OFFICE) else "")


def secrets(text: str) -> Iterator[Hit]:
    """What looks like a real secret and not like a placeholder."""
    for kind, start, secret in secrets_in(text, SECRETS):
        rule = "secret-like" if kind in _GUESSED else "secret"
        mixed = any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret) and len(secret) >= 10
        if _SAMPLE.search(secret) is None and entropy(secret) >= _BITS and (mixed or rule == "secret"):
            yield Hit(rule, text.count("\n", 0, start) + 1, f"{kind}: {secret[:6]}…")
