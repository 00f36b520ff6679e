"""A git repository as the other side of a sync: its branch is the team's library, proposals are branches with evidence.

Nothing is checked out: commits are made in a repository of our own beside the library, from exactly the bytes of the
skill, on top of the team's branch. A proposal is pushed as `prowess/<skill>-<digest>`; no branch is ever overwritten.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from prowess.core.errors import BoundaryError, UserError
from prowess.library import Library
from prowess.library.trees import Tree, is_component, tree_digest
from prowess.serve.hub.service import MAX_BYTES, checked_tree
from prowess.serve.sync import Known
from prowess.settings import variables

SECONDS = 120
"""For one command of git."""
_KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "GIT_SSH_COMMAND", "LANG")
_SAFE = (
    "-c", "protocol.ext.allow=never", "-c", "http.followRedirects=false", "-c", "core.hooksPath=/dev/null",
    "-c", "commit.gpgSign=false",
)  # fmt: skip


class GitError(BoundaryError):
    """git failed."""


class GitRemote:
    """A branch of a repository, and the folder in it that holds the skills."""

    def __init__(self, library: Library, url: str, branch: str = "main", folder: str = "") -> None:
        """Raises UserError where the names cannot be ones of git, or git is not installed."""
        parts = folder.strip("/").split("/") if folder.strip("/") else []
        if url.startswith("-") or branch.startswith("-") or not all(map(is_component, parts)):
            raise UserError(f"{url!r}, branch {branch!r}, folder {folder!r} cannot be a repository", "check the names")
        self._url, self._branch, self._folder = url, branch, "".join(f"{part}/" for part in parts)
        self._own = library.own / "sync.git"
        self.name = f"git {url} {branch} {self._folder}"
        self._head = ""

    def trees(self, known: Known) -> Mapping[str, Tree]:
        """The skills at the head of the branch; links and other things that are no files are left out."""
        if not self._own.exists():
            self._git("init", "--quiet", "--bare", str(self._own), inside=False)
        self._git("fetch", "--quiet", "--no-tags", "--", self._url, f"+refs/heads/{self._branch}:refs/heads/team")
        self._head = self._git("rev-parse", "refs/heads/team").decode().strip()
        found: dict[str, dict[str, bytes]] = {}
        size = 0
        for mode, sha, path in self._files():
            name, _, rest = path.removeprefix(self._folder).partition("/")
            if mode not in ("100644", "100755") or not rest or name.startswith("."):
                continue
            data = self._git("cat-file", "blob", sha)
            size += len(data)
            if size > 20 * MAX_BYTES:
                raise UserError(f"{self.name} is too large", "name the folder that holds the skills")
            found.setdefault(name, {})[rest] = data
        skills = {name: tree for name, tree in found.items() if "SKILL.md" in tree}
        for name, tree in skills.items():
            checked_tree(name, tree)
        return skills

    def _files(self) -> list[tuple[str, str, str]]:
        listed = self._git("ls-tree", "-r", "-z", self._head, "--", self._folder or ".").split(b"\0")
        rows = (line.partition(b"\t") for line in listed if line)
        return [(*meta.decode().split(" ")[::2], path.decode("utf-8", "replace")) for meta, _, path in rows]  # type: ignore[misc]

    def give(self, name: str, tree: Tree | None, base: Tree | None, message: str) -> str:
        branch = f"prowess/{name}-{tree_digest(tree)[:12] if tree is not None else 'removed'}"
        scratch = self._own / "index.new"
        scratch.unlink(missing_ok=True)
        try:
            self._git("read-tree", self._head, index=scratch)
            at = f"{self._folder}{name}/"
            lines = [f"0 {'0' * 40}\t{path}" for _, _, path in self._files() if path.startswith(at)]
            for path, data in sorted((tree or {}).items()):
                sha = self._git("hash-object", "-w", "--stdin", given=data).decode().strip()
                lines.append(f"100644 {sha}\t{at}{path}")
            self._git("update-index", "-z", "--index-info", given="\0".join([*lines, ""]).encode(), index=scratch)
            made = self._git("write-tree", index=scratch).decode().strip()
        finally:
            scratch.unlink(missing_ok=True)
        # Dated like what it stands on: the same proposal is the same commit, and is not made twice.
        when = self._git("show", "-s", "--format=%ct", self._head).decode().strip() + " +0000"
        commit = self._git("commit-tree", made, "-p", self._head, given=message.encode(), when=when).decode().strip()
        self._git("push", "--quiet", "--", self._url, f"{commit}:refs/heads/{branch}")
        return f"branch {branch}"

    def _git(
        self, *args: str, given: bytes = b"", index: Path | None = None, inside: bool = True, when: str = ""
    ) -> bytes:
        environment = {
            **variables(*_KEPT), "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "prowess", "GIT_AUTHOR_EMAIL": "prowess@localhost",
            "GIT_COMMITTER_NAME": "prowess", "GIT_COMMITTER_EMAIL": "prowess@localhost",
        }  # fmt: skip
        if index is not None:
            environment["GIT_INDEX_FILE"] = os.fspath(index)
        if when:
            environment |= {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        where = ("--git-dir", os.fspath(self._own)) if inside else ()
        try:
            done = subprocess.run(
                ["git", *_SAFE, *where, *args],
                input=given,
                capture_output=True,
                timeout=SECONDS,
                env=environment,
                check=True,
            )
        except FileNotFoundError as error:
            raise UserError("git is not installed", "install it, or sync with a hub") from error
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {args[0]} took more than {SECONDS} s", retryable=True) from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip().splitlines()
            raise GitError(f"git {args[0]} failed: {said[-1] if said else error.returncode}") from error
        return done.stdout
