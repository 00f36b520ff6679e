"""Whether what a task's image would bring is installed here."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import distributions


def lacking(packages: Iterable[str], requirements: Iterable[str]) -> list[tuple[str, str]]:
    """(what is missing, the command that brings it), for Debian and for Python; versions are not compared."""
    wanted = sorted(set(packages) - installed(tuple(sorted(set(packages)))))
    named = {_name(requirement): requirement for requirement in requirements}
    absent = [requirement for name, requirement in sorted(named.items()) if name and name not in _python()]
    found = [(" ".join(wanted), f"apt install {' '.join(wanted)}")] if wanted else []
    return [*found, (" ".join(absent), f"pip install {' '.join(map(repr, absent))}")] if absent else found


@cache
def installed(packages: tuple[str, ...]) -> frozenset[str]:
    """Those of Debian's `packages` that are here; all of them where the system is not a Debian and cannot tell."""
    program = shutil.which("dpkg-query")
    if program is None or not packages:
        return frozenset(packages)
    line = [program, "--show", "--showformat", "${Package} ${db:Status-Status}\n", "--", *packages]
    told = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False).stdout
    return frozenset(row.split()[0] for row in told.splitlines() if row.endswith(" installed"))


@cache
def _python() -> frozenset[str]:
    return frozenset(_name(found.name) for found in distributions())


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9][\w.-]*", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
