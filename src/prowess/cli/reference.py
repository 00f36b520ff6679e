"""The page `docs/cli.md`, made from the program itself: `python -m prowess.cli.reference > docs/cli.md`.

A test holds that the page and the program agree.
"""

import inspect
import sys
from typing import Any

import typer

from prowess.cli.main import app

INTRO = """\
# Command line

This page is made from the program: `python -m prowess.cli.reference > docs/cli.md`.

Every verb takes `--json` and then prints one JSON value on stdout; progress and remarks go to stderr. Steps that change
or remove something ask first; `--yes` answers, and where nobody can be asked they refuse. `NO_COLOR` is honoured.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the answer is no: drift, a failed check, worse, nothing found, a person said no |
| 2 | you can mend it; the message says how |
| 3 | a budget was reached; finished work is kept, the same command resumes |
| 130 | interrupted |

`prowess --install-completion` sets up completion for your shell. `prowess --debug VERB` shows where an error arose.

The library is the one that `--library` names, else the one of the settings, else `.agents/skills` of the project where
that is a library, else your own.

## Settings

Read from `config.toml` in your configuration folder (`prowess config` says where), or the file that `PROWESS_CONFIG`
names; variables come first. Unknown keys are errors.

"""


def reference() -> str:
    """The whole page as Markdown."""
    program: Any = typer.main.get_command(app)
    parts = [INTRO, _settings(), "\n## Verbs\n"]
    for name, verb in program.commands.items():
        inner: dict[str, Any] = getattr(verb, "commands", {})
        own = [(name, verb)] if not inner or verb.invoke_without_command else []
        for title, command in [*own, *((f"{name} {sub}", found) for sub, found in inner.items())]:
            parts.append(f"\n### {title}\n\n```text\n{_help(title, command)}\n```\n")
    return "".join(parts)


def _help(title: str, command: Any) -> str:
    context = command.make_context(f"prowess {title}", [], resilient_parsing=True, terminal_width=100)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def _settings() -> str:
    """A row for each setting, with the text that stands under it in the code."""
    from prowess.settings import PREFIX, Settings

    source = inspect.getsource(Settings)
    lines = ["| key | variable | meaning |\n|---|---|---|\n"]
    for name in Settings.model_fields:
        meaning = source.split(f"\n    {name}:", 1)[1].split('"""')[1]
        lines.append(f"| `{name}` | `{PREFIX}{name.upper()}` | {meaning} |\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
