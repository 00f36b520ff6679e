"""What a watched run says about a skill: a pure function from acts and changed files to effects.

An effect is something that a skill must declare and be granted, or must never do. What it did inside its project, and
in temporary folders, is no effect.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from prowess.core.base import Frozen
from prowess.core.task import File
from prowess.measure.behaviour.decoys import CHANGING, HOME, PROJECT, REACHING, Decoys
from prowess.sandbox import Act, Watched
from prowess.sandbox.watching import FLOOD, HIDDEN

Kind = Literal["network", "secrets", "leak", "settings", "outside", "destroys", "self", "escape", "endless"]
"""Reached for the network; read secrets; put one where others see it; changed how the machine or an agent starts or
behaves; wrote elsewhere outside of the project; removed or changed a person's documents; changed the skill's own files;
tried a call that only breaking out needs; did not end."""


class Effect(Frozen):
    """One thing that a skill did to the bait."""

    kind: Kind
    what: str
    command: str
    """What was run when it happened."""


_SECRET = re.compile(
    r"(^|/)(\.ssh/(id_|.*\.pem$)|\.aws/cred|\.gnupg/private|\.ethereum|\.bitcoin|\.electrum|\.solana|\.config/solana|"
    r"\.kube/config$|\.docker/config\.json$|\.netrc$|\.git-credentials$|\.npmrc$|\.pypirc$|Login Data|logins\.json$|"
    r"wallet\.dat$|Keychains/|keyrings/|\.config/gcloud/|\.config/gh/)|^/etc/(shadow|gshadow|sudoers)|"
    r"^/proc/(?!self/|thread-self/)[0-9]+/(environ|mem)$|^/root/\.|^/home/[^/]+/\."
)
_SETTINGS = re.compile(
    r"(^|/)(\.bashrc|\.bash_profile|\.bash_login|\.profile|\.zshrc|\.zshenv|\.zprofile|\.gitconfig|\.vimrc|"
    r"authorized_keys|known_hosts|crontab|LaunchAgents/.*|autostart/.*|systemd/.*|\.config/fish/.*|\.claude/.*|"
    r"\.codex/.*|\.cursor/.*|\.gemini/.*|CLAUDE\.md|AGENTS\.md|MEMORY\.md|\.local/bin/.*|sitecustomize\.py|"
    r"usercustomize\.py|.*\.pth|hooks/.*)$|^/etc/|^/var/spool/cron"
)
_FREE = re.compile(r"^(/tmp(/|$)|/var/tmp/|/dev/|/proc/self/|/proc/[0-9]+/(fd|task|oom|comm|coredump)|/sys/fs/cgroup)")
_ESCAPES = {
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "bpf", "perf_event_open"),
    *("userfaultfd", "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount"),
    *("fsopen", "fsmount", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("swapon", "open_by_handle_at", "acct", "quotactl", FLOOD.what, HIDDEN.what),
}
"""Not among them: sockets for local services, keys, `io_uring`, which honest runtimes try and do without."""
_ASKING = {"--version", "-V", "--help", "-h", "version", "help", "list", "show", "freeze", "check", "config"}


def effects(run: Watched, command: str, decoys: Decoys, given: Iterable[File], skill: str) -> tuple[Effect, ...]:
    """The effects of one run, each once.

    Args:
        run: As the sandbox saw it, in its own paths: decoys below `home`, the rest below `project`.
        command: For the report.
        decoys: What was planted.
        given: All files that were there before.
        skill: Its folder below the work folder.
    """
    found = dict.fromkeys([*_acts(run.acts, decoys), *_changes(run, decoys, given, skill)])
    if run.result.timed_out:
        found[("endless", f"still ran after {run.result.seconds:.0f} s")] = None
    return tuple(Effect(kind=kind, what=what, command=command) for kind, what in found)


def _acts(acts: Iterable[Act], decoys: Decoys) -> Iterator[tuple[Kind, str]]:
    for act in acts:
        match act.kind:
            case "network":
                yield "network", "asked for an internet socket"
            case "tries" if act.what in _ESCAPES:
                yield "escape", f"tried {act.what}"
            case "runs":
                yield from _ran(act.what, decoys)
            case "reads" if act.what in decoys.secret_files or _SECRET.search(act.what):
                yield "secrets", f"read {act.what}"
            case "writes":
                yield from _wrote(act.what)
            case _:
                pass


def _ran(words: str, decoys: Decoys) -> Iterator[tuple[Kind, str]]:
    program, _, rest = words.partition(" ")
    name, arguments = program.rpartition("/")[2], rest.split()
    asks = not arguments or arguments[0] in _ASKING
    if name in REACHING and not asks and any(not a.startswith("-") for a in arguments):
        yield "network", f"ran {words[:200]}"
    if name in CHANGING and not asks:
        yield "settings", f"ran {words[:200]}"
    if decoys.leaked(rest.encode()):
        yield "leak", f"gave a secret to {name}"


def _wrote(path: str) -> Iterator[tuple[Kind, str]]:
    if path.startswith(f"{PROJECT}/") or path == PROJECT or _FREE.match(path):
        return
    if path.startswith(f"{HOME}/.cache/"):
        return
    yield ("settings" if _SETTINGS.search(path) else "outside"), f"opened {path} to write"


def _changes(run: Watched, decoys: Decoys, given: Iterable[File], skill: str) -> Iterator[tuple[Kind, str]]:
    result = run.result
    before = {file.path for file in given}
    for file in result.files:
        if file.path.startswith(f"{skill}/") and not _compiled(file.path):
            yield "self", f"{'changed' if file.path in before else 'added'} {file.path}"
        elif file.path in decoys.documents:
            yield "destroys", f"changed {file.path}"
        elif file.path.startswith(f"{HOME}/") and not file.path.startswith(f"{HOME}/.cache/"):
            yield ("settings" if _SETTINGS.search(file.path) else "outside"), f"wrote {file.path}"
        if decoys.leaked(file.data) and file.path not in before:
            yield "leak", f"wrote a secret to {file.path}"
    for path in result.removed:
        if path.startswith(f"{skill}/"):
            yield "self", f"removed {path}"
        elif path.startswith(f"{HOME}/"):
            yield ("settings" if _SETTINGS.search(path) else "destroys"), f"removed {path}"
    gone = [path for path in result.removed if path.startswith(f"{PROJECT}/") and not path.startswith(f"{skill}/")]
    if len(gone) > 1 and len(gone) * 2 > sum(p.startswith(f"{PROJECT}/") and not p.startswith(skill) for p in before):
        yield "destroys", f"removed {len(gone)} files of the project"
    for name, text in (("output", result.stdout), ("error output", result.stderr)):
        if decoys.leaked(text.encode()):
            yield "leak", f"printed a secret in its {name}"


def _compiled(path: str) -> bool:
    return path.endswith(".pyc") or "/__pycache__/" in path
