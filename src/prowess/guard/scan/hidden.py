"""What a reader does not see: invisible characters, look-alike letters, text pushed out of sight by white space."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from prowess.guard.scan.rules import Hit


def _out_of_sight(what: str, characters: str, shape: str = "@") -> tuple[str, "re.Pattern[str]", "re.Pattern[str]"]:
    """What it is called; any of the characters; how they must stand, `@` being one of them."""
    return what, re.compile(f"[{characters}]"), re.compile(shape.replace("@", f"[{characters}]"))


_HIDDEN: Final = (
    _out_of_sight("tag characters", "\U000e0000-\U000e007f"),
    _out_of_sight("bidirectional controls", "\u202a-\u202e\u2066-\u2069"),
    _out_of_sight(
        "a run of invisible characters", "\u200b-\u200d\u2060-\u2064\u180e\ufeff\u00ad\ufe00-\ufe0d", "@{4,}"
    ),
    _out_of_sight("invisible characters inside a word", "\u200b-\u200d\u2060-\u2064\u00ad\ufeff", "[A-Za-z]@+[A-Za-z]"),
    _out_of_sight("many variation selectors", "\ufe00-\ufe0f\U000e0100-\U000e01ef", "@{3,}"),
    _out_of_sight("characters without a meaning of their own", "\ue000-\uf8ff\U000f0000-\U0010ffff", "@{8,}"),
)
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{1,6}\U000e007f")
"""The flags of England, Scotland, Wales and the like are the one proper use of tag characters."""
_WORD = re.compile(r"[^\W\d_]{3,40}")
_LETTERS = re.compile(r"[^\W\d_]{2,40}")
_LATIN = re.compile("[A-Za-z]")
# Letters that pass for Latin ones: Cyrillic, Greek, Armenian. Full-width forms are folded away before the rules look,
# and nobody takes them for plain ones.
_LOOKS: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u03bf\u03b1\u03bd\u03b9\u03c1"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u0585\u0578\u057d\u0581\u0131",
    "aeopcyxijsdqABEKMHOPCTXoavipABEZHIKMNOPTYXonugi",
)
_ALIKE = re.compile(f"[{''.join(map(chr, _LOOKS))}]")
_PUSHED = re.compile(r"\S[ \t\u00a0\u2000-\u200a\u3000]{120,}[^\s|]")
_ENCODED = re.compile(
    r"[A-Za-z0-9+/]{16,8000}={0,2}|(?:\\x[0-9a-fA-F]{2}){8,2000}|(?:[0-9a-fA-F]{2}[ :]){10,2000}[0-9a-fA-F]{2}"
)
_COMMAND = re.compile(
    r"\b(?:curl|wget|nc|ncat)\s+\S|/bin/(?:ba)?sh\b|\b(?:ba)?sh\s+-[ci]\b|\bpowershell\b|\bexec\(|\bimport\s+(?:socket|os|subprocess|urllib)\b|\bos\.system|\beval\(|\brm\s+-rf\b|\bchild_process\b"
)
_ADDRESS = re.compile(r"^\s*(?:https?|wss?|ftp|tcp)://\S{1,500}\s*$|https?://\S{1,300}\.(?:sh|py|exe|ps1)\b")
_DECODINGS: Final = 200
"""Texts of one file that are decoded."""
_PIECE: Final = 4_000
_MARKS: Final = 30
"""Combining marks in a row that the stream-safe text format allows (Unicode Standard Annex 15, section 13)."""
_DEEP: Final = 60
"""Blank lines in a row after which nobody scrolls on."""


def hidden(text: str) -> Iterator[Hit]:
    """Hits for everything out of a reader's sight, by line."""
    blank = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            blank += 1
            continue
        if blank >= _DEEP:
            yield Hit("white-space", number, f"{blank} blank lines before: {line}")
        blank = 0
        if (match := _PUSHED.search(line)) is not None:
            yield Hit("white-space", number, f"{len(match.group()) - 2} blanks before: {line[match.end() - 1 :]}")
    if text.isascii():
        return
    there = set(text)
    sought = [(what, shape) for what, any_of, shape in _HIDDEN if any(map(any_of.match, there))]
    for number, line in enumerate(text.split("\n"), 1):
        if line.isascii():
            continue
        bare = _FLAG.sub("", line) if sought else line
        for what, shape in sought:
            if (match := shape.search(bare)) is not None:
                yield Hit("hidden-text", number, f"{what}: {bare[max(0, match.start() - 20) : match.end() + 20]}")
        for word in _WORD.finditer(bare):
            if _LATIN.search(word[0]) and _ALIKE.search(word[0]):
                yield Hit("lookalike", number, ascii(word[0])[1:-1])
                break


def encoded(text: str) -> Iterator[Hit]:
    """Hits for base64 and hex that say a command or an address once they are decoded."""
    for match, _ in zip(_ENCODED.finditer(text), range(_DECODINGS), strict=False):
        bare = re.sub(r"\\x|[\s:]", "", match.group())
        said = decoded(bare)
        rule = "encoded-program" if _COMMAND.search(said) else "encoded-address" if _ADDRESS.search(said) else None
        if rule is not None:
            yield Hit(rule, text.count("\n", 0, match.start()) + 1, f"{match.group()[:24]}… says: {said}")


def decoded(text: str) -> str:
    """Base64 or hex in clear, as far as it is readable; empty where it is neither."""
    bare = re.sub(r"\s+", "", text)[:20_000]
    for decode in (bytes.fromhex, _base64):
        try:
            plain = decode(bare).decode()
        except (ValueError, binascii.Error):
            continue
        if all(char.isprintable() or char in "\n\t\r" for char in plain):
            return plain
    return ""


def _base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def as_it_looks(text: str) -> str:
    """`text` with words of mixed alphabets in Latin letters, as a reader and a model take them."""

    def latin(word: re.Match[str]) -> str:
        mixed = _LATIN.search(word[0]) and _ALIKE.search(word[0])
        return word[0].translate(_LOOKS) if mixed else word[0]

    return _LETTERS.sub(latin, text) if _ALIKE.search(text) else text


def plain(text: str, limit: int | None = None) -> str:
    """The text as a reader takes it: compatibility forms folded, invisible characters dropped, lines kept.

    Args:
        limit: Characters after which no more is folded, since one can unfold to eighteen; a little more may come out.
    """
    if text.isascii():
        return text
    # Normalising sorts a run of combining marks in quadratic time. All but the letters that the first of them make is
    # dropped below, so that no more than Unicode's stream-safe format allows need be sorted.
    if marks := "".join(char for char in set(text) if unicodedata.category(char) == "Mn"):
        text = re.sub(f"(?<=[{marks}]{{{_MARKS}}})[{marks}]+", "", text)
    kept, size = list[str](), 0
    for start in range(0, len(text), _PIECE):
        folded = unicodedata.normalize("NFKC", text[start : start + _PIECE])
        unseen = {ord(char): None for char in set(folded) if unicodedata.category(char) in ("Cf", "Mn")}
        kept.append(folded.translate(unseen) if unseen else folded)
        size += len(kept[-1])
        if limit is not None and size > limit:
            break
    return "".join(kept)
