"""Text out of sessions made fit to be quoted: visible, on one line, and about the work, not about one machine."""

import re
import unicodedata

from prowess.core.text import one_line

_TAGS = re.compile(
    r"(?is)<(system-reminder|command-[a-z]{1,20}|local-command-[a-z]{1,20}|environment_context)>.*?</\1>"
)
_PATH = re.compile(r"(?<![\w.:/<])(?:~|\.{1,2}|[A-Za-z]:)?(?:/[\w.@+~-]{1,80}){2,12}/?")
_LONG_ID = re.compile(r"\b(?=[0-9a-fA-F-]*\d)[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,}){0,4}\b")


def legible(text: str) -> str:
    """`text` without characters that a reader does not see; line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    folded = unicodedata.normalize("NFKC", text)
    return "".join(
        c for c in folded if c in "\n\t" or (unicodedata.category(c)[0] not in "C" and c not in "\u2028\u2029")
    )


def line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters."""
    return one_line(legible(text[: 20 * limit]), limit)


def request(text: str) -> str:
    """What a user wrote, without what programs add to it."""
    return _TAGS.sub(" ", text).strip()


def general(text: str) -> str:
    """`text` with absolute paths cut to their last part and long identifiers left out.

    A path into a skill keeps the skill's folder: which skill a script belongs to is no accident of one machine.
    """
    return _LONG_ID.sub("…", _PATH.sub(_last_part, text))


def _last_part(found: re.Match[str]) -> str:
    parts = found[0].rstrip("/").split("/")
    if "skills" in parts[:-1]:
        return "/".join(parts[parts.index("skills") :])
    return parts[-1]


def prose(text: str) -> str:
    """`text` as part of a Markdown line: no heading, fence, link, image or tag can begin in it."""
    text = re.sub(r"!?\[([^\]\n]{0,200})\]\([^)\n]{0,500}\)", r"\1", text)
    text = text.replace("<!--", "").replace("-->", "").replace("```", "`").replace("~~~", "")
    text = re.sub(r"<(?=/?[A-Za-z!])", "&lt;", text) if "`" not in text else text
    if text.count("`") % 2:
        text = text.replace("`", "")
    return text.lstrip("#>*-+ ").strip()
