"""Where programs written by models run: no network, no host files, bounded time, memory, processes and output."""

from prowess.agents.sandbox.base import Limits, Result, Sandbox
from prowess.agents.sandbox.finding import find_sandbox
from prowess.agents.sandbox.probing import Probe, probe

__all__ = ["Limits", "Probe", "Result", "Sandbox", "find_sandbox", "probe"]
