"""How many processors this process may use and how many of them are idle now."""

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def idle_processors(seconds: float = 0.25) -> int:
    """Physical processors that were idle over the last `seconds`, at least 1.

    Threads of the engine wait for each other at every layer, so one that shares its processor with other work slows all
    of them: two threads on two busy processors were ten times slower than one. The kernel's load average looks back a
    minute and would count the installation that came just before, so idle time is measured; where the system does not
    tell it, the load average has to do.
    """
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    usable = min(float(_physical(allowed)), _quota())
    before = _idle_ticks(allowed)
    if before is None:
        idle = len(allowed) - os.getloadavg()[0]
    else:
        time.sleep(seconds)
        after = _idle_ticks(allowed) or before
        idle = (after - before) / (os.sysconf("SC_CLK_TCK") * seconds)
    return max(1, int(min(usable, idle + 0.35)))


def _physical(allowed: list[int]) -> int:
    """Distinct processors behind `allowed`: twins of simultaneous multithreading share one."""
    groups: set[str] = set()
    for number in allowed:
        try:
            groups.add(Path(_TOPOLOGY.format(number)).read_text().strip())
        except OSError:
            groups.add(str(number))
    return len(groups)


def _quota() -> float:
    """Processors that the control group grants; infinite when it sets no limit."""
    try:
        limit, period = _QUOTA.read_text().split()
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if limit == "max" else int(limit) / int(period)


def _idle_ticks(allowed: list[int]) -> int | None:
    """Clock ticks that the `allowed` processors have idled since start; None where the system does not tell."""
    wanted = {f"cpu{number}" for number in allowed}
    try:
        lines = [line.split() for line in _STAT.read_text().splitlines()]
    except OSError:
        return None
    idle = [int(line[4]) + int(line[5]) for line in lines if line and line[0] in wanted]
    return sum(idle) if idle else None
