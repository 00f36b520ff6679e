"""Files cut into segments that are read alike: prose, code by language, comments, frontmatter.

A shell rule in a sentence, or a rule for sentences in a program, mostly fires for nothing; so every rule says where it
looks. The cutting is a plain walk over the lines: hostile Markdown costs no more than any other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from prowess.guard.scan.rules import Told

Kind = Literal["prose", "code", "inline", "comment", "head", "data"]

SHELL: Final = frozenset(
    ["bash", "sh", "shell", "zsh", "console", "shell-session", "terminal", "fish", "ksh", "dockerfile"]
)
PYTHON: Final = frozenset(["python", "py", "python3", "ipython", "pycon"])
SCRIPT: Final = frozenset(["javascript", "js", "typescript", "ts", "jsx", "tsx", "node", "mjs", "cjs"])
DATA: Final = frozenset(["json", "yaml", "yml", "toml", "ini", "xml", "env", "jsonc", "json5", "properties"])
_MARKDOWN: Final = frozenset(["markdown", "md", "mdc"])
_PLAIN: Final = frozenset(["", "text", "txt", "plaintext", "prompt", "example", "output"])
_SUFFIXES: Final = {
    suffix: lang
    for lang, suffixes in {
        "bash": "sh bash zsh fish command ksh",
        "python": "py pyw",
        "js": "js mjs cjs ts jsx tsx",
        "json": "json yaml yml toml cfg ini env plist xml xsd svg html htm css csv tsv service",
        "powershell": "ps1 bat cmd",
        "applescript": "applescript scpt",
        "other": "rb pl php lua go rs java r swift c cpp",
    }.items()
    for suffix in suffixes.split()
}

_FENCE = re.compile(r"^[ \t>]{0,40}(?:[-*+][ ]{1,4}|\d{1,3}[.)][ ]{1,4})?(`{3,}|~{3,})[ \t]*([^\s`{]{0,40})")
_HEADING = re.compile(r"^(#{1,6})\s+(.*)")
_INLINE = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]{3,400})\1(?!`)")
_COMMAND = re.compile(r"[/$~\\.]")
"""A span that names no place is a word about a command."""
_DESCRIBES = re.compile(
    r"anti-?patterns?|red\s+flags?|\bbad\b|\bavoid|\bdo\s?n[o'’]t\b|\bdo\s+not\b|\bnever\b|vulnerab|malicious|\battack"
    r"|\bexploit|\binject(?:ion|ed)|\bunsafe|insecure|\bwrong\b|❌|✗|🚫|⛔|suspicious|warning\s+signs|\bforbidden|\bprohibited"
    r"|\bmust\s+not\b|\bphishing|\bjailbreak|\bred[- ]team|\bpen(?:etration)?[- ]?test|\bcve-",
    re.IGNORECASE,
)
_TURNS = re.compile(r"[.!?;](?=\s)|\n\s*\n|\n\s*(?:[-*+]|\d{1,3}[.)])\s")
_REPORTS = re.compile(
    r"\b(?:never|do\s+not|don['’]?t|must\s+not|should\s+not|cannot|refus\w{1,4}|reject\w{0,3}|avoid\w{0,3}|detect\w{0,3}|flag\w{0,4}"
    r"|block\w{0,3}|scan\w{0,4}\s+for|check\w{0,3}\s+for|look\w{0,3}\s+for|search\w{0,3}\s+for|watch\s+for|such\s+as|e\.g\.|for\s+example|like"
    r"|attack\w{0,5}|malicious\w{0,2}|injection\w{0,1}|phishing|adversar\w{1,4}|attempt\w{0,4}|suspicious|prevent\w{0,3}|protect\w{0,5}"
    r"|warn\w{0,4}|forbid\w{0,4}|prohibit\w{0,3}|instead\s+of|rather\s+than|jailbreak\w{0,3}|vulnerab\w{0,7}|exploit\w{0,6}|risk\w{0,2})\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one file."""

    kind: Kind
    text: str
    line: int
    """Line of the file at which it begins, from 1."""
    lang: str = ""
    """Of code: as the fence or the file name says, in lower case."""
    told: Told = "ordered"
    """`announced` where the heading or the line before speaks of bad examples."""

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of rules that look here."""
        if self.kind == "code":
            named = "shell" if self.lang in SHELL else "python" if self.lang in PYTHON else "script"
            return frozenset(["code", named] if self.lang in SHELL | PYTHON | SCRIPT else ["code"])
        return frozenset(["code" if self.kind == "inline" else self.kind])


def segments(path: str, text: str) -> list[Segment]:
    """The segments of a file, by its name and first line."""
    suffix = path.rsplit(".", 1)[-1].lower() if "." in path.rsplit("/", 1)[-1] else ""
    if suffix in ("md", "markdown", "mdx", "mdc"):
        return list(_markdown(text, 1, 0))
    lang = _SUFFIXES.get(suffix, "")
    if text.startswith("#!"):
        first = text[:120].split("\n", maxsplit=1)[0]
        lang = "python" if "python" in first else "js" if "node" in first or "deno" in first else "bash"
    if lang == "json":
        return [Segment("data", text, 1, suffix)]
    if lang:
        return [Segment("code", text, 1, lang)]
    name = path.rsplit("/", 1)[-1].lower()
    if name in ("makefile", "dockerfile", "justfile") or path.startswith("scripts/"):
        return [Segment("code", text, 1, "bash")]
    return [Segment("prose", text, 1), *_inline(text, 1, False)]


def describes(text: str, start: int) -> bool:
    """Whether the sentence that leads to `start` speaks of what follows instead of ordering it."""
    before = text[max(0, start - 200) : start]
    cut = max((m.end() for m in _TURNS.finditer(before)), default=0)
    return _REPORTS.search(before, cut) is not None


def _markdown(text: str, line: int, depth: int) -> Iterator[Segment]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    n = 0
    if depth == 0 and lines[0].strip("\ufeff \t") == "---":
        end = next((i for i in range(1, min(len(lines), 400)) if lines[i].strip() == "---"), 0)
        if end:
            yield Segment("head", "\n".join(lines[1:end]), line + 1)
            n = end + 1
    prose: list[str] = []
    began = n
    heads: list[bool] = [False] * 7
    while n < len(lines):
        fence = _FENCE.match(lines[n])
        heading = _HEADING.match(lines[n])
        comment = lines[n].find("<!--")
        if fence is None and heading is None and comment < 0:
            prose.append(lines[n])
            n += 1
            continue
        if heading is not None:
            yield from _paragraphs(prose, line + began, any(heads))
            level = len(heading[1])
            # A title covers everything: it cannot make the whole text an example.
            heads[level:] = [level > 1 and bool(_DESCRIBES.search(heading[2]))] + [False] * (6 - level)
            prose, began = [lines[n]], n
            n += 1
            continue
        if fence is not None:
            lead = next((each for each in reversed(prose[-4:]) if each.strip()), "")
            yield from _paragraphs(prose, line + began, any(heads))
            end = next((i for i in range(n + 1, len(lines)) if _closes(lines[i], fence[1])), len(lines))
            body = "\n".join(lines[n + 1 : end])
            announced = any(heads) or bool(_DESCRIBES.search(lead)) or bool(_DESCRIBES.search(_lead_comment(body)))
            yield from _fenced(fence[2].lower(), body, line + n + 1, announced, depth)
            n = end + 1
        else:
            end = next(
                (i for i in range(n, len(lines)) if "-->" in lines[i][comment + 4 if i == n else 0 :]), len(lines) - 1
            )
            whole = "\n".join(lines[n : end + 1])
            close = whole.find("-->", comment + 4)
            yield Segment("comment", whole[comment + 4 : close if close >= 0 else None], line + n)
            rest = whole[close + 3 :] if close >= 0 else ""
            prose.append(lines[n][:comment])
            yield from _paragraphs(prose, line + began, any(heads))
            lines[end] = rest  # may open the next comment
            n = end
            prose, began = [], n
            continue
        prose, began = [], n
    yield from _paragraphs(prose, line + began, any(heads))


def _fenced(lang: str, body: str, line: int, announced: bool, depth: int) -> Iterator[Segment]:
    if lang in _MARKDOWN and depth < 3:
        yield from _markdown(body, line, depth + 1)
    elif lang in DATA:
        yield Segment("data", body, line, lang, _told(announced))
    else:
        yield Segment("code", body, line, lang, _told(announced))
        if lang in _PLAIN or lang in _MARKDOWN:
            yield Segment("prose", body, line, lang, _told(announced))


def _told(announced: bool) -> Told:
    return "announced" if announced else "ordered"


def _closes(line: str, fence: str) -> bool:
    bare = line.strip().lstrip("> ")
    return len(bare) >= len(fence) and bare.strip(fence[0]) == "" and bare[:1] == fence[0]


def _lead_comment(body: str) -> str:
    first = body[:200].lstrip().split("\n")[0]
    return first if first.startswith(("#", "//", "--", "/*")) else ""


def _paragraphs(lines: list[str], line: int, announced: bool) -> Iterator[Segment]:
    """The prose of these lines as one segment, and each of its code spans that could be a command."""
    text = "\n".join(lines)
    if text.strip():
        yield Segment("prose", text, line, told=_told(announced))
        yield from _inline(text, line, announced)


def _inline(text: str, line: int, announced: bool) -> Iterator[Segment]:
    at, number = 0, line
    for match in _INLINE.finditer(text):
        if " " not in match[2].strip() or not _COMMAND.search(match[2]):
            continue
        number += text.count("\n", at, match.start())
        at = match.start()
        yield Segment(
            "inline", match[2], number, told="reported" if describes(text, match.start()) else _told(announced)
        )
