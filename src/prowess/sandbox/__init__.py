"""Where programs written by models run: no network, no host files, bounded time, memory, processes and output."""

from prowess.sandbox.base import Act, Limits, Result, Sandbox, Watched, WatchingSandbox
from prowess.sandbox.finding import find_sandbox
from prowess.sandbox.probing import ESCAPES, Probe, probe

__all__ = [
    "ESCAPES",
    "Act",
    "Limits",
    "Probe",
    "Result",
    "Sandbox",
    "Watched",
    "WatchingSandbox",
    "find_sandbox",
    "probe",
]
