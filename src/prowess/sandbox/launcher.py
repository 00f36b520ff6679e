"""The last program before the confined command: sets limits, gives up rights, then becomes the command.

It runs in a bare interpreter (`python -I -S`), often inside the sandbox where nothing else of prowess can be read, and
its imports are most of what a sandbox costs: `typing` takes longer than the interpreter to start, `signal` nearly so.
With `supervise` in its orders it stays behind as supervisor of a forked child, outlives it, and kills every descendant
before it ends.
"""

from __future__ import annotations

import marshal
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READY = b"1"
"""Written to the status pipe when everything is in place; without it the sandbox failed, not the command."""
_FAILED_EXEC = 127


def user_threads() -> int:
    """Threads that this user has now. RLIMIT_NPROC counts them all where no user namespace counts apart."""
    me = os.getuid()
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == me:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return count


def set_limits(orders: dict[str, Any]) -> None:
    processes = orders["processes"] + (user_threads() if orders["count_user"] else 0)
    for name, value in (
        (resource.RLIMIT_AS, orders["memory"]),
        (resource.RLIMIT_CPU, orders["cpu"]),
        (resource.RLIMIT_FSIZE, orders["file"]),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        if name == resource.RLIMIT_AS and sys.platform == "darwin":
            continue  # macOS takes no such limit
        hard = resource.getrlimit(name)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (allowed, allowed))


def become(orders: dict[str, Any]) -> None:
    """Confine this process for good and turn it into the command."""
    status = orders["status"]
    os.umask(0o022)
    if orders["memory"] is not None:
        set_limits(orders)
    user = orders["user"]
    rules, watch = orders["landlock"], orders["watch"]
    if rules is not None or watch is not None:
        # Not in the default sandbox; ctypes costs milliseconds, so it is not imported before.
        __import__("kernel").confine(user, rules, orders["seccomp"], watch)
    elif user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    argv = orders["argv"]
    os.set_inheritable(status, False)
    os.write(status, READY)
    try:
        os.execvpe(argv[0], argv, os.environ if orders["env"] is None else orders["env"])
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(_FAILED_EXEC)


def descendants() -> list[int]:
    """Every process below this one."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    parent = int(stream.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            parents.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def supervise(orders: dict[str, Any]) -> int:
    """Fork the command, wait for it or for SIGTERM, kill what is left of its tree; its exit code."""
    signal: Any = __import__("_signal")
    waited = {signal.SIGCHLD, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    __import__("kernel").be_supervisor(orders["parent"])
    child = os.fork()
    if child == 0:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)
            become(orders)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os.close(orders["status"])
    code = None
    while code is None:
        if signal.sigwait(waited) == signal.SIGTERM:
            break
        code = _reap(child)
    # Orphans come back to this process, so that a daemon that left its session is found as well.
    while True:
        for process in descendants():
            try:
                os.kill(process, signal.SIGKILL)
            except OSError:
                continue
        found = _reap(child)
        code = found if code is None else code
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return 137 if code is None else code


def _reap(child: int) -> int | None:
    """Collect every ended process; the exit code of `child` if it is one of them."""
    code = None
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if process == 0:
            return code
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


def main(text: str) -> int:
    orders: dict[str, Any] = marshal.loads(bytes.fromhex(text))
    if not orders["supervise"]:
        become(orders)
    return supervise(orders)
