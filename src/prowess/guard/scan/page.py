"""The page `docs/rules.md`, made from the table of rules: `python -m prowess.guard.scan.page > docs/rules.md`.

A test holds that the page and the table agree.
"""

import sys
from collections.abc import Iterator

from prowess.guard.scan.rules import Rule, tables

INTRO = """\
# Rules of the scanner

This page is made from the table: `python -m prowess.guard.scan.page > docs/rules.md`. What the answers mean, and how
well they hold, stands under [Security](security.md).

*block* keeps a skill out, *review* asks a person. *Learned* gives the answer for text that was learned from runs, where
it differs. Rules that look at text say in which; the others belong to passes that follow values through programs, or to
whole files.
"""
_WHERE = {
    "prose": "prose", "code": "code", "shell": "shell", "python": "Python", "script": "JavaScript",
    "comment": "HTML comments", "head": "frontmatter", "data": "data", "any": "everything",
}  # fmt: skip


def page() -> str:
    """The page as Markdown."""
    return "\n".join([INTRO, *_threats()])


def _threats() -> Iterator[str]:
    for id, name in tables().threats.items():
        found = [rule for rule in tables().rules if rule.threat == id]
        yield f"## {id}: {name}\n"
        yield "| rule | answer | learned | looks at | why | what to do |\n|---|---|---|---|---|---|"
        yield from map(_row, found)
        yield ""


def _row(rule: Rule) -> str:
    where = ", ".join(_WHERE[scope] for scope in rule.scope) or rule.source.removesuffix(" passes").removesuffix(
        " pass"
    )
    answer = "with others" if rule.quiet else rule.severity
    return f"| `{rule.id}` | {answer} | {rule.learned or ''} | {where} | {rule.why} | {rule.fix} |"


if __name__ == "__main__":
    sys.stdout.write(page())
