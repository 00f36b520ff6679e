"""The part of the sessions' own programs that most of them have in common. It is cut out, never run or rewritten."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from prowess.core.lesson import Reference
from prowess.core.trust import OWN
from prowess.evolve.logs.groups import Group
from prowess.evolve.logs.sayings import QUOTE, Code
from prowess.evolve.logs.text import general, line
from prowess.evolve.logs.vocabulary import EVERYWHERE

LINES = 60
"""Of the snippet at most."""
ENOUGH = 2
"""Independent sessions that must have a line."""
COMMON = 0.5
"""Share of a block's lines that other sessions must have too."""
_WIDTH = 160
"""Longer lines are left out."""
_SAYS_NOTHING = re.compile(r"print\(|console\.log|echo|System\.out|log(?:ger)?\.|package")
_CALLED = re.compile(r"\b(?:(?<=\.)|(?=\w+\())([A-Za-z_]\w{3,})")
_STRING = re.compile(r"([rfbu]{0,2})(\"[^\"\n]*\"|'[^'\n]*')")


@dataclass(frozen=True, slots=True)
class Snippet:
    text: str
    language: str
    sessions: frozenset[str]
    """Those that have at least a third of its lines."""
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """A function, or a stretch between blank lines."""

    lines: tuple[str, ...]
    keys: tuple[str, ...]


def snippet(group: Group) -> Snippet | None:
    """The blocks of the most typical program whose lines other sessions have too; None where there are no such."""
    holders: dict[str, set[str]] = {}
    codes: list[tuple[str, str, Code]] = []
    whose = {work.trajectory: work.principal for work in group.works}
    for work in group.works:
        for code in work.codes:
            codes.append((work.session, work.trajectory, code))
            for key in {_key(text) for text in code.text.splitlines()}:
                holders.setdefault(key, set()).add(work.session)

    def support(block: _Block) -> float:
        counts = [len(holders[key]) for key in block.keys if key]
        return sum(counts) / len(counts) if counts else 0.0

    def common(block: _Block) -> float:
        return sum(len(holders[key]) >= ENOUGH for key in block.keys) / len(block.keys) if block.keys else 0.0

    def worth(code: Code) -> float:
        kept = [k for k in {_key(text) for text in code.text.splitlines()} if k and len(holders[k]) >= ENOUGH]
        return sum(len(holders[k]) for k in kept)

    if not codes:
        return None
    session, trajectory, best = max(codes, key=lambda c: (worth(c[2]), -len(c[2].text)))
    blocks = [block for block in _blocks(best) if common(block) >= COMMON]
    chosen: list[_Block] = []
    room = LINES
    for block in sorted(blocks, key=support, reverse=True):
        if len(block.lines) <= room:
            chosen.append(block)
            room -= len(block.lines) + 1
    chosen.sort(key=blocks.index)
    keys = {key for block in chosen for key in block.keys if key}
    if len(keys) < 4:
        return None
    have = {s: [c for o, _, c in codes if o == s] for s in group.sessions}
    shares = {s: len(keys & {_key(t) for c in own for t in c.text.splitlines()}) / len(keys) for s, own in have.items()}
    sessions = frozenset(s for s, share in shares.items() if share >= 1 / 3) | {session}
    if len(sessions) < ENOUGH or not group.believes(sessions):
        return None
    text = "\n\n".join("\n".join(block.lines) for block in chosen)
    spans = [(session, trajectory, best), *((s, t, c) for s, t, c in codes if s in sessions)]
    references: dict[str, Reference] = {}
    for s, t, code in spans:
        shared = max((x for x in code.text.splitlines() if _key(x) in keys), key=len, default="")
        if shared:
            quote = line(shared, QUOTE)
            step, person = code.step, whose.get(t, OWN)
            reference = Reference(trajectory=t, first_step=step, last_step=step, quote=quote, principal=person)
            references.setdefault(s, reference)
    return Snippet(general(text), best.language, sessions, tuple(references.values()))


def _blocks(code: Code) -> Iterator[_Block]:
    lines = code.text.expandtabs(4).splitlines()
    for first, last in _spans(code, lines):
        own = tuple(text.rstrip() for text in lines[first:last] if len(text) <= _WIDTH)
        if own:
            yield _Block(own, tuple(key for key in map(_key, own) if key))


def _spans(code: Code, lines: list[str]) -> list[tuple[int, int]]:
    if code.language == "python":
        try:
            nodes = ast.parse("\n".join(lines)).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
        else:
            cuts = [0, *(node.lineno - 1 for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef))]
            ends = [
                node.end_lineno or node.lineno for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)
            ]
            edges = sorted({*cuts, *ends, len(lines)})
            spans = list(pairwise(edges))
            whole = set(cuts[1:])
            return [s for span in spans for s in ([span] if span[0] in whole else _paragraphs(lines, *span))]
    return _paragraphs(lines, 0, len(lines))


def _paragraphs(lines: list[str], first: int, last: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = first
    for i in range(first, last + 1):
        if i == last or not lines[i].strip():
            if i > start:
                spans.append((start, i))
            start = i + 1
    return spans


def _key(text: str) -> str:
    """Equal for lines that call the same, or else that differ in texts, figures and spaces only; empty for lines that
    say nothing."""
    bare = _STRING.sub("''", text[:_WIDTH]).split("#")[0]
    called = {name for name in _CALLED.findall(bare) if name not in EVERYWHERE}
    if called and not _SAYS_NOTHING.match(bare.strip()):
        return "calls " + " ".join(sorted(called))
    bare = re.sub(r"\d+(?:\.\d+)?", "0", re.sub(r"\s+", "", bare))
    if _SAYS_NOTHING.match(bare) or len(bare) < 6 or not re.search(r"[A-Za-z]{3}", bare):
        return ""
    return bare
