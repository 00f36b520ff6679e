"""What a pull request does to skills: a verdict for each that it changes, and the comment that shows them.

Only what needs no trial is said here: is it a valid skill, does it bring anything dangerous, does it do more than it
declares. Whether it helps, `prowess measure` says. Skills are a stranger's text, so nothing of them is markup here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.skill import Skill
from prowess.guard.capabilities import declared, observed
from prowess.guard.scan import Finding, scan
from prowess.library.folders import Below
from prowess.library.skillmd import validate
from prowess.report.text import visible

MARK: Final = "<!-- prowess gate -->"
"""Stands in the comment, so that the next run finds and replaces it."""
_SHOWN: Final = 20
"""Findings of one skill that the comment names."""
_SIGNS: Final = {"pass": "✅", "propose": "⚠️", "fail": "❌"}
_WORDS: Final = {"pass": "passes", "propose": "wants a person", "fail": "fails"}


@dataclass(frozen=True, slots=True)
class Gated:
    """One skill that the request adds, changes or removes."""

    name: str
    change: str
    """`added`, `changed` or `removed`."""
    verdicts: tuple[Verdict, ...]

    @property
    def status(self) -> str:
        """The worst of its verdicts."""
        said = {verdict.status for verdict in self.verdicts}
        return next(status for status in ("fail", "propose", "pass") if status in said or status == "pass")


def gated(before: Below, after: Below) -> tuple[Gated, ...]:
    """A verdict for every skill that differs, by name; folders that hold no readable skill any more fail."""
    found: list[Gated] = []
    known = set(before.unreadable)
    for broken in after.unreadable:
        if broken not in known:
            folder, _, why = broken.partition(": ")
            found.append(Gated(folder, "changed", (Verdict(gate="format", status="fail", note=why),)))
    for name in sorted({*before.snapshot.names, *after.snapshot.names}):
        old, new = before.snapshot.get(name), after.snapshot.get(name)
        if new is None:
            found.append(Gated(name, "removed", (Verdict(gate="format", status="pass"),)))
        elif new != old:
            verdicts = tuple(gate(new, old) for gate in _GATES)
            found.append(Gated(name, "added" if old is None else "changed", verdicts))
    return tuple(found)


def comment(found: Sequence[Gated]) -> str:
    """Markdown for the pull request."""
    if not found:
        return f"{MARK}\nNo skill changes here.\n"
    worst = next(s for s in ("fail", "propose", "pass") if any(g.status == s for g in found))
    lines = [MARK, f"### {_SIGNS[worst]} Skills: {_WORDS[worst]}", "", "| skill | change | verdict |", "|---|---|---|"]
    lines += [f"| {_code(g.name)} | {g.change} | {_SIGNS[g.status]} {_WORDS[g.status]} |" for g in found]
    for each in found:
        notes = [(v.gate, note) for v in each.verdicts for note in v.note.split("\n") if note]
        if notes:
            lines += ["", f"**{_code(each.name)}**", "", *(f"- {gate}: {_code(note)}" for gate, note in notes)]
    lines += ["", "Nothing here says that a skill helps: `prowess measure` does, by paired trials."]
    return "\n".join(lines) + "\n"


def _format(new: Skill, old: Skill | None) -> Verdict:
    problems = validate(new)
    return Verdict(gate="format", status="fail" if problems else "pass", note="\n".join(problems))


def _scan(new: Skill, old: Skill | None) -> Verdict:
    """What the new text brings that the old had not."""
    held = {_key(found) for found in scan(old)} if old is not None else set[tuple[str, str, str]]()
    fresh = [found for found in scan(new) if _key(found) not in held]
    blocked = any(found.severity == "block" for found in fresh)
    notes = [f"{found.file}:{found.line}: {found.why}: {found.excerpt}" for found in fresh[:_SHOWN]]
    if len(fresh) > _SHOWN:
        notes.append(f"and {len(fresh) - _SHOWN} more")
    return Verdict(gate="scan", status="fail" if blocked else "propose" if fresh else "pass", note="\n".join(notes))


def _permission(new: Skill, old: Skill | None) -> Verdict:
    try:
        asked = declared(new)
    except UserError as error:
        return Verdict(gate="permission", status="fail", note=error.message)
    more = observed(new).beyond(asked)
    note = f"does more than it declares: {more}" if more else ""
    return Verdict(gate="permission", status="propose" if more else "pass", note=note)


def _key(found: Finding) -> tuple[str, str, str]:
    return found.rule, found.file, found.excerpt


_GATES: Final[tuple[Callable[[Skill, Skill | None], Verdict], ...]] = (_format, _scan, _permission)


def _code(text: str) -> str:
    """Text as code, which GitHub neither links nor notifies anybody of."""
    plain = re.sub(r"\s+", " ", visible(text)).replace("`", "'").replace("|", "¦")
    return f"`{plain[:300] or ' '}`"
