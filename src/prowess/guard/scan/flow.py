"""Where text comes from and where it goes: the labels that the passes over programs share.

A label says what a value holds: `store:<kind>` (a place of credentials), `env` (the whole environment), `key:<NAME>`
(one secret variable), `net:<host>` (text from the network), `decoded` (text that was encoded), `in` (from outside).
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from prowess.guard.redact import sensitive
from prowess.guard.scan.rules import tables

Labels = frozenset[str]
NONE: Final[Labels] = frozenset()

_HOST = re.compile(r"\b(?:https?|ftp|wss?|tcp)://(?:[^\s/@'\"]{0,80}@)?([A-Za-z0-9._$\[\]{}<>-]{1,200})", re.IGNORECASE)
_PUBLIC = re.compile(
    r"(?i)public|example|_id$|_url$|_uri$|_host$|_path$|_file$|_dir$|_name$|_region$|_endpoint$|_count$|^tokens?$|_tokens$"
)
_COMMON: Final = frozenset(
    [
        "setup",
        "agent",
        "agents",
        "tools",
        "skill",
        "skills",
        "helper",
        "install",
        "installer",
        "scripts",
        "script",
        "server",
        "client",
        "config",
        "deploy",
        "monitor",
        "debug",
        "build",
        "update",
        "manager",
        "service",
        "system",
        "cloud",
        "security",
        "network",
        "project",
        "github",
        "gitlab",
        "google",
    ]
)
"""Words of names that say nothing of a product."""
_LOGIN = re.compile(r"(?i)(?:^|_)(?:database|db|postgres\w*|mysql|mongo\w*|redis|amqp)_(?:url|uri|dsn)$|_pat$")
"""Addresses that carry a password, and personal access tokens."""
_RELEASED = re.compile(
    r"github\.com/[\w.-]{1,60}/[\w.-]{1,60}/releases/(?:latest/)?download/|dl\.cloudsmith\.io/public/[\w-]{1,60}/"
)
"""Where releases lie under the name of the project that published them."""
_LOCAL = re.compile(
    r"^(?:localhost|127\.|0\.0\.0\.0|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|host\.docker\.internal|\[::1\])"
)


def words(text: str) -> frozenset[str]:
    """A table of words."""
    return frozenset(text.split())


def union(parts: Iterable[Labels]) -> Labels:
    """The labels of everything that went into one value."""
    return frozenset(label for part in parts for label in part)


def held(labels: Labels, *kinds: str) -> Labels:
    """Those of these kinds."""
    return frozenset(label for label in labels if label.partition(":")[0] in kinds)


def stores(text: str) -> Labels:
    """Labels of the places of credentials that `text` names."""
    return frozenset(f"store:{name}" for name, pattern in _stores() if pattern.search(text))


def key(name: str) -> Labels:
    """The label of the variable `name`, when its name says that it holds a secret."""
    secret = (sensitive(name) and not _PUBLIC.search(name)) or _LOGIN.search(name)
    return frozenset([f"key:{name}"]) if secret else NONE


def hosts(text: str) -> list[str]:
    """Hosts of all addresses in `text`, in lower case; one that is not written out begins with `$`."""
    return [h.lower() if h[0] not in "${<[" else "$" for h in _HOST.findall(text)]


def addresses(text: str) -> list[str]:
    """Hosts with their paths, without scheme."""
    return re.findall(r"\bhttps?://([^\s'\"`<>|;)]{3,300})", text)


def known_publisher(address: str) -> bool:
    """Whether an installer from this address (host and path) belongs to a well-known project."""
    bare = address.removeprefix("www.")
    return any(
        bare == p or bare.startswith(p if p.endswith("/") else p + "/") or bare.startswith(p + ":")
        for p in tables().publishers
    )


def own_installer(text: str, skill: str) -> bool:
    """Whether `text` fetches only releases of named projects, or what the skill is named after, from its own host.

    That is how honest skills install the program that they are about. A person should still look.
    """
    where = addresses(text)
    if where and "http://" not in text and all(_RELEASED.match(w) for w in where):
        return True
    words = {w for w in [skill, *re.split(r"[-_]", skill)] if len(w) >= 5 and w not in _COMMON}
    if not where or "http://" in text or not words:
        return False
    return all(words & _owners(w.lower()) for w in where)


def _owners(address: str) -> set[str]:
    host, *path = address.split("/")
    if host in ("raw.githubusercontent.com", "github.com", "gitlab.com"):
        return set(path[:2])
    return set(host.split(":")[0].split(".")[-2:-1])


def leak(labels: Iterable[str], to: Iterable[str], header: bool) -> str | None:
    """The rule that is broken when a value with these labels is sent to these hosts; None when all is in order.

    One key in a header of a request to its own service is how every client works. The same key in the body, or to the
    host of another service, is not.

    Args:
        header: The value stands in a header.
    """
    hosts = list(to)
    if hosts and all(_LOCAL.match(h) for h in hosts):
        return None
    worst: str | None = None
    for label in labels:
        kind, _, name = label.partition(":")
        if kind == "store" and name == "history":
            worst = worst or "leak-key"
        elif kind in ("store", "env"):
            if not header:
                return "leak"
            worst = "leak-key"
        elif kind == "key":
            found = _key_leak(name, hosts, header)
            if found == "leak":
                return found
            worst = worst or found
    return worst


def _key_leak(name: str, hosts: list[str], header: bool) -> str | None:
    words = [w for w in re.split(r"[_\W]+", name.lower()) if w]
    vendors = tables().vendors
    owner = next((w for w in words if w in vendors), None)
    written = [h for h in hosts if h != "$"]
    if owner is not None and written and not any(part in h for part in vendors[owner] for h in written):
        return "leak-key" if header else "leak"
    if header or owner is not None or (hosts and not written):
        return None
    generic = {
        "api",
        "key",
        "token",
        "secret",
        "password",
        "access",
        "auth",
        "client",
        "bearer",
        "app",
        "bot",
        "user",
        "my",
    }
    if any(w in h for w in words if len(w) > 2 and w not in generic for h in written):
        return None
    return "leak-key"


@cache
def _stores() -> tuple[tuple[str, "re.Pattern[str]"], ...]:
    return tuple((name, re.compile(pattern)) for name, pattern in tables().stores)
