"""Tool servers (MCP) that a configuration starts."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

_SHELL: Final = re.compile(r"^(?:.*/)?(?:(?:ba|z|da)?sh|powershell|pwsh|cmd)(?:\.exe)?$")
_NO_SERVER: Final = frozenset(
    ["printf", "echo", "cat", "rm", "chmod", "cp", "mv", "tee", "dd", "base64", "eval", "sudo", "kill"]
)


@dataclass(frozen=True, slots=True)
class Server:
    """A command that an agent is told to start and to talk to."""

    command: str
    args: tuple[str, ...]
    env: tuple[str, ...]
    """Names of the variables that it is given."""

    @property
    def inline(self) -> bool:
        """Whether it is a line for a shell, or a program that cannot serve."""
        inline = _SHELL.match(self.command) is not None and any(
            arg in ("-c", "/c", "-Command") for arg in self.args[:3]
        )
        return inline or self.command.rsplit("/", 1)[-1] in _NO_SERVER


def tool_servers(text: str) -> Iterator[Server]:
    """The servers of a JSON configuration; none where it is no such thing."""
    if "command" not in text:
        return
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return
    waiting: list[tuple[Any, int]] = [(data, 0)]
    while waiting:
        value, depth = waiting.pop()
        if not isinstance(value, dict) or depth > 4:
            continue
        found = cast(dict[str, Any], value)
        command, args, env = found.get("command"), found.get("args", []), found.get("env", {})
        if isinstance(command, str) and isinstance(args, list):
            words = tuple(str(arg) for arg in cast(list[Any], args))
            yield Server(command, words, tuple(cast(dict[str, Any], env)) if isinstance(env, dict) else ())
        waiting += [(each, depth + 1) for each in found.values()]
