"""Where programs written by models run: no network, no host files, bounded time, memory, processes and output."""

from prowess.agents.sandbox.base import Limits, Result, Sandbox
from prowess.agents.sandbox.finding import find_sandbox

__all__ = ["Limits", "Result", "Sandbox", "find_sandbox"]
