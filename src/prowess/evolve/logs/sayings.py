"""What an agent said, planned and wrote while it worked, as single lines with the step that each stands in.

Four places are read, all of them the agent's own: its messages and reasoning, sentence by sentence; what it called its
actions (descriptions of commands, items of its to-do list); comments in the code that it wrote; the code itself.
What tools answered is not read, and neither is the text of skills that were loaded: the one is the task's data, the
other was written already.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from prowess.core.lesson import Reference
from prowess.core.model import ToolCall
from prowess.core.trajectory import Step
from prowess.core.trust import OWN
from prowess.evolve.logs.text import general, legible, line, prose
from prowess.evolve.logs.vocabulary import VERBS
from prowess.evolve.logs.words import words

Kind = Literal["step", "note", "check"]
QUOTE = 200
"""Characters of a quote at most."""
LINE = 240
"""Characters of a line at most; longer sentences are passed over."""
PER_STEP = 40
"""Lines taken from one step at most."""
_TEXT, _COMMAND = 30_000, 12_000
"""Characters read of one text, and of one command line."""

_OPENING = re.compile(
    r"(?i)^(?:(?:ok(?:ay)?|great|good|perfect|excellent|now|first|next|then|finally|so|also|alright|wait|actually|and"
    r"|but|additionally|hmm|well|step \d+)\b[\s,.:!–—-]*)+"
)
_INTENT = re.compile(
    r"(?i)^(?:(?:let me|let's|let us|i'?ll|i will|i(?:'m| am) going to|i(?: now)? need to|i should|i can|i want to"
    r"|i have to|we need to|we should|we can|i'?d like to|please|you need to|you should|need to)"
    r"(?:\s+(?:also|now|first|then|just|quickly|carefully|start(?: off)? by|begin by|go ahead and|proceed to|try to"
    r"|use this to))*\s+)+"
)
_ING = re.compile(r"(?i)^(?:(?:i'?m|i am) )?(\w{2,17})ing\b")
_AND_ING = re.compile(r"\band (\w{2,17})ing\b")
_REPORT = re.compile(
    r"(?i)\b(?:successfully|completed?|saved|written|created|ran|passed|finished|works|working|done"
    r"|looks? (?:good|right))\b"
)
_FIRST_PERSON = re.compile(r"(?i)\b(?:i|i'm|i've|i'd|i'll|me|my|myself|let's)\b|the user")
_OPINION = re.compile(r"(?i)^(?:see|have|notice|understand|realize|think|know|remember|recall|wonder|believe|guess)\b")
_CHECK = re.compile(
    r"(?i)^(?:verify|check|confirm|validate|double-check|re-?check|make sure|ensure|test|review|inspect)\b"
)
_ABOUT_TOOLS = re.compile(
    r"(?i)\bskills?\b|\btool\b|toolsearch|todo|task list|sub-?agents?\b|\bin parallel\b.{0,30}\bcalls?\b"
    r"|system prompt"
)
_CODE_LINE = re.compile(
    r"^`?[\w.\[\]'\"]+ ?(?:=|\+=|:=) ?|^`?(?:import|from|def|class|return|const|let|var|print) |[;{]`?$|^\S+\(.*\)`?$"
)
_PRIVATE = re.compile(
    r"[\w.+-]+@[\w-]+\.\w|\+?\d[\d ().-]{6,}\d|\b[A-Z]{2} \d{5}\b"
    r"|\b\d{1,5} (?:[NSEW]\.? )?[A-Z][a-z]+ (?:St|Ave|Rd|Dr|Blvd|Ln|Way|Street|Avenue|Road)\b"
)
_RECORD = re.compile(
    r"\d[\d,.]{5,}|[✓✗✅❌⚠]|\|.*\||[$€£]\d|^\W*[A-Za-z]{1,10} ?\d+[a-z]?\b(?: \([^)]*\))?\s*[:—–=-]"
    r"|^[A-Z]\d+:[A-Z]\d+"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'`*(]?[A-Z\u4e00-\u9fff])|(?<=[。！？；])|\n+")
_MARK = re.compile(r"^\s*(?:[-*•+>#]+\s+|\d{1,2}[.)]\s+|#{1,6}\s*|\[[ xX]\]\s*)+")
_RULE = re.compile(r"[-=#*_~]{4,}")
_HEADER = re.compile(r"\A\s*(?:#![^\n]*\n)?(?:/\*.{0,4000}?\*/|(?:[ \t]*(?:#|//)[^\n]*\n){2,60})", re.DOTALL)
_COMMENT = re.compile(r"^[ \t]*(?:#(?!!)|//|--(?=\s)|/\*+|\*(?=\s))[ \t]*(.{8,240}?)[ \t]*(?:\*/)?$", re.MULTILINE)
_DOCSTRING = re.compile(r"(?:\"\"\"|''')[ \t]*\n?[ \t]*([^\"'\n][^\"\n]{6,240}?)[ \t]*(?=\n|\"\"\"|''')")
_CODE_NAME = re.compile(
    r"\.(?:py|js|mjs|ts|tsx|jsx|java|scala|go|rs|c|cc|cpp|h|rb|sh|bash|r|sql|php|swift|kt|html|lua)$"
)
_CODE_KEYS = ("content", "new_string", "new_str", "new_source", "code", "file_text", "source")
_PATH_KEYS = ("file_path", "path", "notebook_path", "filename")
_HEREDOC = re.compile(
    r"(?sm)^(?P<head>[^\n]*?)<<-?[ ]?['\"]?(\w{1,40})['\"]?[^\n]*\n(?P<body>.*?)\n[ \t]*\2[ \t]*(?:\n|\Z)"
)
_INLINE = re.compile(
    r"(?s)\b(python3?|node|ruby|perl)\s+-[ce]\s+([\"'])(?P<body>.{20,8000}?)\2[ \t]*(?:2>&1|\||&&|;|$)"
)
_LANGUAGES = {"py": "python", "js": "javascript", "mjs": "javascript", "ts": "typescript", "sh": "bash", "rb": "ruby"}


@dataclass(frozen=True, slots=True)
class Saying:
    """One line."""

    kind: Kind
    text: str
    words: frozenset[str]
    reference: Reference
    at: float
    """Where in its piece of work it stands, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Code:
    """A program, or a part of one, that an agent wrote or ran."""

    text: str
    language: str
    step: int


def sayings(
    step: Step, trajectory: str, number: int, at: float, worked: frozenset[str], principal: str = OWN
) -> list[Saying]:
    """The lines of one step, without repetitions; `worked` are the ids of its calls that brought no error."""
    found: dict[frozenset[str], Saying] = {}
    for text, kind in _candidates(step, worked):
        shaped = _shaped(text, kind, at)
        if shaped is None:
            continue
        said, form = shaped
        own = frozenset(words(said))
        if len(own) < 3 or own in found:
            continue
        quote = line(text, QUOTE)
        reference = Reference(
            trajectory=trajectory, first_step=number, last_step=number, quote=quote, principal=principal
        )
        found[own] = Saying(form, said, own, reference, at)
        if len(found) == PER_STEP:
            break
    return list(found.values())


def programs(step: Step, number: int, worked: frozenset[str]) -> list[Code]:
    """The code in the calls of a step that brought no error."""
    return [
        Code(text, language, number)
        for call in step.tool_calls
        if call.id in worked
        for text, language in code_of(call)
    ]


def code_of(call: ToolCall) -> Iterator[tuple[str, str]]:
    """(text, language) of the code in a call's arguments: files written, and programs inside command lines."""
    path = next((str(call.arguments[k]) for k in _PATH_KEYS if k in call.arguments), "")
    for key in _CODE_KEYS:
        value = call.arguments.get(key)
        if isinstance(value, str) and (_CODE_NAME.search(path) or key == "code"):
            ending = path.rsplit(".", 1)[-1].lower() if "." in path else "py"
            yield _without_header(legible(value[:_TEXT])), _LANGUAGES.get(ending, ending)
    command = call.arguments.get("command") or call.arguments.get("cmd")
    if not isinstance(command, str):
        return
    command = command[:_COMMAND]
    if heredoc := _HEREDOC.search(command):
        yield _without_header(legible(heredoc["body"])), _runs(str(heredoc["head"]))
    elif inline := _INLINE.search(command):
        yield legible(str(inline["body"]).replace('\\"', '"')), _runs(str(inline[1]))


def _runs(head: str) -> str:
    """The language of what a command line feeds to a program or writes to a file."""
    named: list[str] = re.findall(r"\.([a-z]{1,5})\b", head)
    if named and _CODE_NAME.search(f".{named[-1]}"):
        return _LANGUAGES.get(named[-1]) or named[-1]
    return "python" if "python" in head else "javascript" if "node" in head else "bash"


def _candidates(step: Step, worked: frozenset[str]) -> Iterator[tuple[str, Kind]]:
    for call in step.tool_calls:
        for key in ("description", "activeForm", "subject"):
            value = call.arguments.get(key)
            if isinstance(value, str):
                yield value, "step"
        items = call.arguments.get("todos") or call.arguments.get("plan")
        for item in items if isinstance(items, list) else ():
            text = item.get("content") or item.get("step") if isinstance(item, dict) else None
            if isinstance(text, str):
                yield text, "step"
    for text in (step.message, step.reasoning):
        for sentence in _sentences(text[:_TEXT]):
            yield sentence, "note"
    for call in step.tool_calls:
        if call.id not in worked:
            continue
        for text, _ in code_of(call):
            for comment in (*_DOCSTRING.findall(text), *_COMMENT.findall(text)):
                yield comment, "note"


def _sentences(text: str) -> Iterator[str]:
    fenced = False
    for piece in _SENTENCE.split(legible(text)):
        part = piece.strip()
        if part.startswith("```"):
            fenced = not fenced
        elif part and not fenced and not part.startswith("|"):
            yield part


def _shaped(text: str, kind: Kind, at: float) -> tuple[str, Kind] | None:
    """`text` as a line of instructions, and what it is; None where it is none."""
    if len(text) > 4 * LINE:
        return None
    text = _MARK.sub("", " ".join(legible(text).split()))
    text = _OPENING.sub("", text.replace("**", "").replace("__", "")).strip()
    bare = _INTENT.sub("", text, count=1)
    if bare != text:
        kind = "step"
        bare = _OPENING.sub("", bare)
    if (gerund := _ING.match(bare)) and (verb := _verb(gerund[1].lower())):
        bare, kind = verb + _AND_ING.sub(_and_verb, bare[gerund.end() :], count=1), "step"
    if _RULE.search(bare) or _ABOUT_TOOLS.search(bare) or _FIRST_PERSON.search(bare) or _OPINION.match(bare):
        return None
    bare = prose(general(bare)).strip(" :;,.…-–—")
    if not 12 <= len(bare) <= LINE or bare.endswith(("?", "(")) or _is_data(bare):
        return None
    if kind == "note" and len(words(bare)) < 8 and _REPORT.search(bare):
        return None
    if _CHECK.match(bare) and at > 0.6:
        kind = "check"
    first = bare.split(" ", 1)[0]
    return (bare[0].upper() + bare[1:] if first.isalpha() else bare), kind


def _verb(stem: str) -> str | None:
    """The verb of which `stem` with `ing` is a form, where it is one of work."""
    forms = (stem, stem + "e", stem[:-1] if stem[-1:] == stem[-2:-1] else stem)
    return next((form for form in forms if form in VERBS), None)


def _and_verb(found: re.Match[str]) -> str:
    verb = _verb(found[1])
    return f"and {verb}" if verb else found[0]


def _is_data(text: str) -> bool:
    """Mostly figures, signs, code or one thing's name, or about a person, so that it holds for one task only."""
    letters = sum(c.isalpha() or c.isspace() for c in text)
    if letters < 0.7 * len(text) or _CODE_LINE.search(text) or _PRIVATE.search(text):
        return True
    if len(re.findall(r"(?<![\w.])\d", text)) > 2 or len(re.findall(r"\b[A-Z]{2,6}\b", text)) > 4:
        return True
    return (text.isascii() and text.count(" ") < 2) or _RECORD.search(text) is not None


def _without_header(code: str) -> str:
    """`code` without the licence that its file begins with."""
    head = _HEADER.match(code)
    said = head[0].lower() if head else ""
    return code[head.end() :] if head and ("licen" in said or "copyright" in said) else code
