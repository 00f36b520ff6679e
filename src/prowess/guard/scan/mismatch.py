"""What a skill says of itself against what its programs do: talks to the network unsaid, reads secrets unsaid, or does
what the text promises that it does not.

Words stand for what they mean here, so this errs on the side of silence: any mention of the network counts as said.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from prowess.guard.scan.whole import Seen

NETWORK = re.compile(
    r"\brequests\.(?:get|post|put|patch|delete|request|Session)\b|\burlopen\(|\burllib\.request\b|\bhttpx\.|\baiohttp\."
    r"|\bhttp\.client\b|\bsocket\.(?:socket|create_connection|gethostby\w{1,12})\b|\bsmtplib\.|\bftplib\.|\bparamiko\."
    r"|\bfetch\(\s*[\"'`]https?:|\baxios\b|\bXMLHttpRequest\b|\bnew\s+WebSocket\b|\bhttps?\.request\("
    r"|(?:^|[\s;|&(])(?:curl|wget|nc|ncat|telnet|scp|rsync)\s+-{0,2}\w",
    re.MULTILINE,
)
_SAID_NETWORK = re.compile(
    r"\b(?:https?|url|api|apis|web|webs\w{2,8}|internet|online|network\w{0,3}|download\w{0,3}|upload\w{0,3}|fetch\w{0,3}|server\w{0,2}"
    r"|host|hosts|hosted|endpoint\w{0,1}|remote\w{0,2}|cloud|webhook\w{0,1}|e-?mail\w{0,3}|send\w{0,3}|post|posts|publish\w{0,3}"
    r"|deploy\w{0,4}|sync\w{0,4}|scrap\w{0,3}|crawl\w{0,3}|browser|search\w{0,3}|github|gitlab|slack|database|client|requests?|curl"
    r"|service|services|install\w{0,5}|port|ports|query|queries|retriev\w{1,3}|connect\w{0,5}|ssh|ftp|proxy|token|rest|graphql"
    r"|socket\w{0,1}|domain|dns|call|calls|subscri\w{1,5}|stream\w{0,3}|live|feed\w{0,1}|lookup)\b",
    re.IGNORECASE,
)
SECRET = re.compile(
    r"\b(?:os\.(?:environ(?:\.get)?|getenv)|process\.env)\s*[\[(.]\s*[\"']?(\w*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)\w*)"
)
_SAID_SECRET = re.compile(
    r"\b(?:keys?|tokens?|secrets?|passwords?|credentials?|environment|env|auth\w{0,12}|log\s?in|sign\s?in|account|config\w{0,10}|setup)\b",
    re.IGNORECASE,
)
_NO_NETWORK = re.compile(
    r"\b(?:(?:works?|runs?|operates?|processes|fully|entirely|completely|100\s?%)\s+(?:\w+\s+)?(?:offline|locally)|no\s+(?:network|internet)"
    r"(?:\s+(?:access|calls?|connection|requests?))?\b|(?:no|without)\s+(?:data|information|files?)\s+(?:leaves?|is\s+sent|leaving)"
    r"|(?:never\s+(?:sends|uploads|transmits|shares|collects|connects|phones\s+home)|(?:does\s+not|doesn['’]?t|will\s+not|won['’]?t)\s+"
    r"(?:send|upload|transmit|share|collect|phone\s+home|connect))\b"
    r"|(?:nothing|data)\s+(?:never\s+)?(?:leaves|is\s+(?:never\s+)?(?:sent|uploaded))|local[- ]only"
    r"|no\s+external\s+(?:calls?|requests?|network))",
    re.IGNORECASE,
)
_READ_ONLY = re.compile(
    r"\b(?:(?:is|are|strictly|purely|only|works?|runs?)\s+(?:\w+\s+)?read-only"
    r"|(?:never\s+(?:modifies|changes|writes|deletes|alters|edits|touches)|(?:does\s+not|doesn['’]?t|will\s+not|won['’]?t)\s+"
    r"(?:modify|change|write|delete|alter|edit|touch))\b"
    r"|non-?destructive|without\s+(?:modifying|changing)\s+(?:any|your|the)\s+(?:files?|data|system))",
    re.IGNORECASE,
)
CHANGES = re.compile(
    r"\bshutil\.rmtree\(|\bos\.(?:remove|unlink|rmdir|removedirs)\(|\.unlink\(|(?:^|[\s;|&(])(?:rm\s+-\w{0,3}r\w{0,3}|mkfs|shred)\b"
    r"|\bfs\.(?:rm|unlink|rmdir)(?:Sync)?\(|(?:^|[\s;|&(])git\s+(?:push|commit|reset\s+--hard)\b",
    re.MULTILINE,
)
_TEXT_CAP: Final = 100_000
_CODE_CAP: Final = 400_000
"""Characters of all programs together that are looked at."""
_WORDS: Final = 12
"""Words from which on a text says what the skill is for; a shorter one cannot leave anything out."""


class Code(NamedTuple):
    """A program, or a block of code in a text."""

    file: str
    line: int
    text: str


def mismatches(said: str, programs: Iterable[Code]) -> list[Seen]:
    """Each at its first place.

    Args:
        said: The description and the prose of SKILL.md, without code.
        programs: Scripts, and blocks of code that are not shown as bad examples.
    """
    if not (programs := list(programs)):
        return []
    said = said[:_TEXT_CAP]
    short = len(said.split()) < _WORDS
    network = short or _SAID_NETWORK.search(said) is not None
    secret = short or _SAID_SECRET.search(said) is not None
    promised = ((_NO_NETWORK.search(said), NETWORK), (_READ_ONLY.search(said), CHANGES))
    wanted = [
        *([] if network else [("unsaid-network", "", NETWORK)]),
        *([] if secret else [("unsaid-secret", "", SECRET)]),
        *(("false-promise", f"{told.group()} — and: ", broken) for told, broken in promised if told is not None),
    ]
    found: dict[str, Seen] = {}
    left = _CODE_CAP
    for whole in programs if wanted else ():
        if left <= 0:
            break
        code = whole._replace(text=whole.text[:left])
        left -= len(code.text) + 1
        for rule, promise, pattern in wanted:
            if rule not in found and (hit := pattern.search(code.text)) is not None:
                found[rule] = _at(rule, promise, code, hit)
    return list(found.values())


def _at(rule: str, promise: str, code: Code, hit: re.Match[str]) -> Seen:
    line = code.text.count("\n", 0, hit.start() + len(hit.group()) - len(hit.group().lstrip()))
    text = code.text[hit.start() : hit.end() + 80].strip().partition("\n")[0]
    return Seen(rule, code.file, code.line + line, promise + text)
