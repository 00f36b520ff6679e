"""Edits of one Markdown text by exact anchors. Pure; every misfit raises `Misfit`, which says what was not found."""

import re
from dataclasses import dataclass


class Misfit(Exception):
    """An anchor is missing or ambiguous; the text says which."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, as character positions."""

    title: str
    level: int
    start: int
    body: int
    """First character after the heading line."""
    own_end: int
    """Where the next heading of any level begins."""
    end: int
    """Where the next heading of the same or a higher level begins."""


def sections(text: str) -> list[Section]:
    """All sections under `#` headings; lines inside fenced code are no headings."""
    heads: list[tuple[str, int, int, int]] = []
    fence: str | None = None
    at = 0
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence is not None:
            if mark and bare.startswith(fence) and not bare.strip(fence[0]):
                fence = None
        elif mark:
            fence = mark.group(1)
        elif head := re.match(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\n?$", line):
            heads.append(((head.group(2) or "").strip(), len(head.group(1)), at, at + len(line)))
        at += len(line)
    found: list[Section] = []
    for index, (title, level, start, body) in enumerate(heads):
        own_end = heads[index + 1][2] if index + 1 < len(heads) else len(text)
        end = next((h[2] for h in heads[index + 1 :] if h[1] <= level), len(text))
        found.append(Section(title, level, start, body, own_end, end))
    return found


def replace(text: str, old: str, new: str) -> str:
    start = _only(text, old, "text")
    return text[:start] + new + text[start + len(old) :]


def insert(text: str, anchor: str, content: str, before: bool) -> str:
    start = _only(text, anchor, "anchor")
    if before:
        at = text.rfind("\n", 0, start) + 1
    else:
        line_end = text.find("\n", start + len(anchor.rstrip("\n")))
        at = len(text) if line_end < 0 else line_end + 1
    head, tail = text[:at], text[at:]
    if head and not head.endswith("\n"):
        head += "\n"
    return head + _ended(content) + tail


def append_to_section(text: str, title: str, content: str) -> str:
    """`content` after the section's own last line and before its first subsection."""
    section = _section(text, title)
    return _joined(text[: section.own_end], content, text[section.own_end :])


def add_section(text: str, title: str, content: str, after: str | None) -> str:
    if any(s.title == title for s in sections(text)):
        raise Misfit(f"section {title!r} exists already")
    if not title.strip() or "\n" in title:
        raise Misfit("a section needs a title of one line")
    at = len(text) if after is None else _section(text, after).end
    head, tail = text[:at].rstrip("\n"), text[at:].lstrip("\n")
    block = f"## {title}\n\n{content.strip(chr(10))}\n"
    return (head + "\n\n" if head else "") + block + ("\n" + tail if tail else "")


def delete_section(text: str, title: str) -> str:
    section = _section(text, title)
    return text[: section.start] + text[section.end :]


def prose(text: str) -> str:
    """`text` without its fenced code."""
    return re.sub(r"(?ms)^ {0,3}(```+|~~~+).*?^ {0,3}\1", "", text)


def links(text: str) -> set[str]:
    """Relative files that Markdown links outside code point to, without `./`, query and fragment."""
    found: set[str] = set()
    for match in re.finditer(r"\]\(\s*<?([^()<>\s]+)>?[^()\n]*\)", re.sub(r"`[^`\n]*`", "", prose(text))):
        target = match.group(1).split("#")[0].split("?")[0].removeprefix("./")
        if target and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|/", target):
            found.add(target)
    return found


def mentions(text: str, path: str) -> bool:
    """Whether `path` stands in the text as a whole, in a link, in code or in prose."""
    return re.search(rf"(?<![\w/.-])(?:\./)?{re.escape(path)}(?![\w/-]|\.\w)", text) is not None


def _section(text: str, title: str) -> Section:
    found = [s for s in sections(text) if s.title == title]
    if len(found) != 1:
        raise Misfit(f"section {title!r} " + (f"is there {len(found)} times" if found else "is not there"))
    return found[0]


def _only(text: str, needle: str, kind: str) -> int:
    if not needle.strip():
        raise Misfit(f"{kind} to find is empty")
    first = text.find(needle)
    if first < 0:
        raise Misfit(f"{kind} {needle[:80]!r} is not there")
    if text.find(needle, first + 1) >= 0:
        raise Misfit(f"{kind} {needle[:80]!r} is there more than once")
    return first


def _joined(head: str, content: str, tail: str) -> str:
    """`content` on lines of its own directly below `head`, with the blank line before `tail` kept."""
    kept = head.rstrip("\n")
    gap = "\n\n" if not kept or _heads(kept) else "\n"
    return (kept + gap if kept else "") + _ended(content.strip("\n")) + ("\n" + tail if tail else "")


def _heads(text: str) -> bool:
    """Whether the last line is a heading, so that text below it wants a blank line."""
    return bool(re.match(r" {0,3}#{1,6}(\s|$)", text.rsplit("\n", 1)[-1]))


def _ended(content: str) -> str:
    return content if content.endswith("\n") else content + "\n"
