"""Where programs written by models run: no network, no host files, bounded time, memory, processes and output."""

from prowess.agents.sandbox.base import Act, Limits, Result, Sandbox, Watched, WatchingSandbox
from prowess.agents.sandbox.finding import find_sandbox
from prowess.agents.sandbox.probing import ESCAPES, Probe, probe

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
