"""Skills that come in from folders, archives and git.

Everything is read into memory and every member is looked at before anything is written; see `prowess.library.members`.
"""

import os
import re
import resource
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prowess.core.errors import Refused, UserError
from prowess.library.archives import read_archive
from prowess.library.disk import read_folder
from prowess.library.members import TOTAL, Member, check, is_junk, parents
from prowess.library.skillmd import read
from prowess.settings import variables

_CLONE: Final = 256 * 1024 * 1024
"""Bytes of one file that git may write while it fetches."""
_GIT_URL: Final = re.compile(r"^(?:https://|ssh://|git@|file://).+|.+\.git/?$")


@dataclass(frozen=True, slots=True)
class Bundle:
    """The skills that were found in one place."""

    source: str
    """Where: a path or address, for git with the commit."""
    skills: dict[str, dict[str, bytes]]
    """The files of each skill, by name."""


def read_bundle(source: str, ref: str | None = None) -> Bundle:
    """The skills of a folder, a zip or tar archive, or a git repository.

    Args:
        source: A path, or the address of a repository (https, ssh or file).
        ref: The branch, tag or commit of a repository.

    Raises:
        Refused: a member is bad; the text names it and says why.
        UserError: there is nothing of that name, it cannot be read, or holds no skill.
    """
    path = Path(source)
    if not path.exists() and _GIT_URL.match(source):
        files, commit = _from_git(source, ref)
        return _bundle(f"{source.rstrip('/')}@{commit}", files, Path(source.rstrip("/")).name.removesuffix(".git"))
    if path.is_dir() and not path.is_symlink():
        return _bundle(source, _from_folder(path), path.resolve().name)
    if not path.is_file():
        raise UserError(
            f"there is nothing at {source}", "name a folder, an archive, or the address of a git repository"
        )
    return _bundle(
        source, read_archive(path), re.sub(r"\.(?:zip|skill|tar|tar\.gz|tgz)$", "", path.name, flags=re.IGNORECASE)
    )


def _from_folder(path: Path) -> dict[str, bytes]:
    """The files of one skill folder, or of all skill folders in a folder."""
    if (path / "SKILL.md").is_file():
        return {f"{path.resolve().name}/{file}": data for file, data in _read_strictly(path).items()}
    files: dict[str, bytes] = {}
    for child in sorted(path.iterdir()):
        if (
            child.is_dir()
            and not child.is_symlink()
            and not child.name.startswith(".")
            and (child / "SKILL.md").is_file()
        ):
            files.update({f"{child.name}/{file}": data for file, data in _read_strictly(child).items()})
            if sum(map(len, files.values())) > TOTAL:
                raise Refused(f"{path} holds more than {TOTAL} bytes", "import its skills one by one")
    return files


def _read_strictly(folder: Path) -> dict[str, bytes]:
    found = read_folder(folder)
    if found.problems:
        raise Refused(f"{folder} holds what is no plain file: {'; '.join(found.problems)}", "take it out of the folder")
    check([Member(f"{folder.name}/{p}", stat.S_IFREG, len(d), 0, False) for p, d in found.files.items()], str(folder))
    return found.files


def _from_git(source: str, ref: str | None) -> tuple[dict[str, bytes], str]:
    """All files of a commit. Nothing is checked out, so neither hooks nor filters nor submodules can run."""
    if ref is not None and (ref.startswith("-") or not re.fullmatch(r"[\w./-]{1,200}", ref)):
        raise UserError(f"{ref!r} is no branch, tag or commit", "name one of the repository")
    with tempfile.TemporaryDirectory(prefix="prowess-") as folder:
        place = Path(folder, "repository")
        depth = [] if ref is not None and re.fullmatch(r"[0-9a-f]{7,40}", ref) else ["--depth", "1"]
        branch = ["--branch", ref] if ref is not None and depth else []
        _git(
            "clone",
            "--bare",
            "--quiet",
            "--no-tags",
            "--single-branch",
            *depth,
            *branch,
            "--",
            source,
            str(place),
            where=source,
        )
        commit = (
            _git("rev-parse", "--verify", f"{ref if ref and not depth else 'HEAD'}^{{commit}}", where=source, at=place)
            .decode()
            .strip()
        )
        listing = _git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, where=source, at=place)
        members: list[Member] = []
        blobs: list[tuple[str, str]] = []
        for row in listing.split(b"\0")[:-1]:
            head, _, name = row.partition(b"\t")
            mode, kind, blob, size = head.decode().split()
            path = name.decode("utf-8", "surrogateescape")
            # A submodule has no bytes here; like a link it counts as no plain file, where it lies inside a skill.
            members.append(
                Member(
                    path, int(mode, 8) if kind == "blob" else stat.S_IFLNK, int(size) if size != "-" else 0, 0, False
                )
            )
            blobs.append((path, blob))
        inside = _roots([m.path for m in members])
        wanted = [(m, b) for m, (_, b) in zip(members, blobs, strict=True) if _root_of(m.path, inside) is not None]
        check([m for m, _ in wanted], source)
        return {
            m.path: _git("cat-file", "blob", b, where=source, at=place) for m, b in wanted if not is_junk(m.path)
        }, commit


def _git(*arguments: str, where: str, at: Path | None = None) -> bytes:
    environment = {
        "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": "https:ssh:file", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C",
        **variables("PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"),
    }  # fmt: skip
    try:
        done = subprocess.run(
            # Whoever answers for the address that was given does not choose another one.
            ["git", "-c", "http.followRedirects=false", *(["-C", str(at)] if at else []), *arguments],
            capture_output=True, timeout=120, check=False, env=environment,
            stdin=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_CLONE, _CLONE)),
        )  # fmt: skip
    except FileNotFoundError as error:
        raise UserError("git is not installed", "install it, or import an archive") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{where} took longer than two minutes", "import an archive instead") from error
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UserError(
            f"git cannot read {where}: {why[-1] if why else done.returncode}",
            "check the address and the name of the branch",
        )
    return done.stdout


def _bundle(source: str, files: Mapping[str, bytes], name: str) -> Bundle:
    """The skill folders among `files`. One at the top takes the name that it gives itself, else that of the source."""
    roots = _roots(list(files))
    skills: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        root = _root_of(path, roots)
        if root is not None:
            skills.setdefault(root, {})[path[len(root) + 1 :] if root else path] = data
    if not skills:
        raise UserError(
            f"{source} holds no skill: there is no SKILL.md in it", "name a folder or archive with a SKILL.md"
        )
    named: dict[str, dict[str, bytes]] = {}
    for root, tree in skills.items():
        parsed = read(tree["SKILL.md"].decode("utf-8", "replace")).skill
        own = root.rsplit("/", 1)[-1] or (parsed.name if parsed is not None else name)
        if own in named:
            raise Refused(f"{source} holds two skills named {own!r}", "import them one by one")
        named[own] = tree
    return Bundle(source, dict(sorted(named.items())))


def _roots(paths: list[str]) -> frozenset[str]:
    """The folders that hold a SKILL.md and lie in no other such folder; "" is the top."""
    found = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] == "SKILL.md"}
    return frozenset(
        root for root in found if not any(p in found for p in parents(root)) and (not root or "" not in found)
    )


def _root_of(path: str, roots: frozenset[str]) -> str | None:
    if "" in roots:
        return ""
    return next((parent for parent in parents(path) if parent in roots), None)
