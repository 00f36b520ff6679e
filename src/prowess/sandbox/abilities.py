"""What this system offers for confining programs, in words; what it is worth, only `probe` tells."""

import platform
import shutil
import subprocess
from pathlib import Path

from prowess.sandbox.seccomp import call_numbers
from prowess.sandbox.watching import can_watch


def abilities() -> dict[str, str]:
    """Name of each mechanism to what was found of it."""
    if platform.system() == "Darwin":
        return {"Seatbelt": "yes" if Path("/usr/bin/sandbox-exec").exists() else "no"}
    from prowess.sandbox.kernel import landlock_abi

    abi = landlock_abi() if platform.system() == "Linux" else 0
    return {
        "bubblewrap": _version("bwrap"),
        "user namespaces": _user_namespaces(),
        "Landlock": f"version {abi}" if abi else "no",
        "seccomp": "yes" if call_numbers() is not None and _seccomp() else "no",
        "watching programs": "yes" if can_watch() else "no",
    }


def _version(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        return "no"
    told = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return told.stdout.strip().rpartition(" ")[2] or "yes"


def _user_namespaces() -> str:
    try:
        most = int(Path("/proc/sys/user/max_user_namespaces").read_text())
    except (OSError, ValueError):
        return "no"
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if restricted.is_file() and restricted.read_text().strip() == "1":
        return "restricted by AppArmor"
    return "yes" if most > 0 else "switched off"


def _seccomp() -> bool:
    try:
        return "Seccomp:" in Path("/proc/self/status").read_text()
    except OSError:
        return False
