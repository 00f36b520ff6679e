# ruff: noqa: E501 (patterns)
"""What a skill says in its description, and in the tools that it asks for, against what its text and programs reach for.

`prowess.guard.scan.mismatch` takes any word of the text for an explanation. Here only the description counts, which is
all that somebody sees before they let a skill in; so only what does harm elsewhere is looked for: sending, secrets, other
people's data, the system, deletion. Everything found is for a person to judge.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prowess.guard.scan.flow import words
from prowess.guard.scan.mismatch import CHANGES, NETWORK, SECRET, Code
from prowess.guard.scan.segments import describes
from prowess.guard.scan.whole import Seen

_DESCRIPTION = re.compile(r"^description:[ \t]*(.{0,2000}(?:\n[ \t]+.{0,2000}){0,40})", re.MULTILINE)
_NAME = re.compile(r"^name:(.{0,200})", re.MULTILINE)
_TOOLS = re.compile(
    r"^(?:allowed[-_]tools|tools|permissions|capabilities)\s{0,3}:[ \t]{0,20}(.{0,2000}(?:\n[ \t]{0,20}-.{0,200}|\n[ \t]+.{0,200}){0,60})",
    re.MULTILINE | re.IGNORECASE,
)
_TEXT_CAP: Final = 30_000
_CODE_CAP: Final = 100_000
"""Characters of all programs together that are looked at."""
_WORDS: Final = 3
"""Words of its own that a description must have to say what the skill is for; else there is nothing to hold it to."""
_LONG: Final = 40
"""Words of a text from which on there is something that a description could name."""
_ABOUT: Final = 4
"""Words of a description from which on it can be held against the text."""
_BODY: Final = 80
"""Words of a text from which on it can be held against the description."""
_SHARE: Final = 0.3
"""Of the words of the description, how many the text must take up to be about the same."""
_EMPTY: Final = words(
    "a all an and any anything are assist assistance assistant assists better best different do does every everything for "
    "general handle handles help helper helpful helps improve improves in is it kinds make makes manage many need needed "
    "needs of on or process provide provides purpose skill skills stuff support supports task tasks that the thing things "
    "this to tool tools use used useful user users using utilities utility various when whenever with work working works "
    "you your"
)
"""Words of a description that say nothing of what a skill is for."""


class Reach(NamedTuple):
    """Something that a skill may reach for."""

    what: str
    code: "re.Pattern[str] | None"
    """How programs do it."""
    told: "re.Pattern[str] | None"
    """How an agent is told to."""
    said: "re.Pattern[str]"
    """Words of a description that speak of it."""
    script: bool = False
    """Only scripts count, not the examples in a text."""


def _words(text: str) -> "re.Pattern[str]":
    return re.compile(rf"\b(?:{'|'.join(text.split())})\w{{0,12}}", re.IGNORECASE)


_OUTSIDE = (
    "send post upload publish shar e-?mail mail slack notif messag apis? sync deploy web http report push chat social "
    "telemetry feedback submit cloud remote network server s3 aws azure gcp google github gitlab jira linear notion client "
    "request search database query service download fetch scrap crawl integrat connect generat llm model openai claude gpt "
    "image audio video speech translat url online internet external"
)
_STARTS = re.compile(r"\bsubprocess\.|\bos\.(?:system|popen|exec\w{1,3}|spawn\w{1,3})\(|\bchild_process\b|\bexecSync\(")
REACHES: Final = (
    Reach(
        "sends data",
        re.compile(
            r"\b(?:requests|httpx|session|client|axios)\.(?:post|put|patch)\(|\burlopen\([^)\n]{0,200}data=|\bmethod:\s{0,3}[\"'](?:POST|PUT)"
            r"|(?:^|[\s;|&(])curl\s[^\n]{0,200}(?:\s-d\b|--data|\s-F\b|\s-T\b|--upload-file|-X\s{0,3}(?:POST|PUT))"
            r"|\bsendmail\(|\bsend_message\(|\bsmtplib\b|\bftplib\b|\.(?:sendall|sendto)\(|\bupload_file\(",
            re.MULTILINE,
        ),
        re.compile(
            r"\b(?:send|upload|post|forward|transmit|submit|sync|share|email|copy|push|export|log|report)s?\b[^\n.]{0,60}"
            r"\b(?:data|files?|contents?|results?|code|output|history|conversation|details|information|logs?|reports?|summary|metrics"
            r"|context|prompt|documents?|records?|credentials?|keys?|tokens?|input)\b[^\n.]{0,40}\b(?:to|with|via)\b[^\n.]{0,30}"
            r"(?:https?://|\b(?:server|endpoint|api|service|external|third|remote|analytics|telemetry|webhook|cloud|our|central"
            r"|partner|address|inbox)\b)",
            re.IGNORECASE,
        ),
        _words(_OUTSIDE),
    ),
    Reach(
        "takes secrets",
        SECRET,
        re.compile(
            r"\b(?:read|collect|gather|include|extract|retrieve|fetch|scan|copy|list|print|find|search|access|load|locate)s?\b"
            r"[^\n.]{0,50}\b(?:credentials?|passwords?|api[\s_-]?keys?|access\s+tokens?|secrets?|ssh\s+keys?|private\s+keys?|\.env\b"
            r"|environment\s+variables|cookies|keychain)",
            re.IGNORECASE,
        ),
        _words(
            "key token auth log\\s?in sign credential secret password apis? account cloud deploy environment config aws azure gcp google "
            "github service integrat connect server database client web model openai llm generat ssh"
        ),
    ),
    Reach(
        "looks at personal data",
        re.compile(
            r"\bpyperclip\b|\bImageGrab\b|\bpyautogui\.screenshot|\bpynput\b|\bVideoCapture\(|\bsounddevice\b|\bpyaudio\b|\bscreencapture\b"
            r"|\bpbpaste\b|\bxclip\b|(?:Chrome|Firefox|Safari)[^\n]{0,60}\b(?:History|Cookies|places\.sqlite)"
        ),
        re.compile(
            r"\b(?:read|collect|gather|access|scan|extract|retrieve|monitor|track|record|capture|log)\w{0,3}\b[^\n.]{0,40}"
            r"\b(?:contacts|e-?mails|inbox|browser\s+history|browsing|location|calendar|clipboard|private\s+messages|keystrokes"
            r"|screenshots?|microphone|camera|personal\s+(?:data|information|files)|home\s+director(?:y|ies)|photos)\b",
            re.IGNORECASE,
        ),
        _words(
            "contact mail inbox brows histor locat calendar clipboard messag key screen micro audio camera personal home photo "
            "document web log chat slack privacy gui ui test automat"
        ),
    ),
    Reach(
        "changes the system",
        re.compile(
            r"\bcrontab\b|\bsystemctl\s+(?:enable|start)|\blaunchctl\b|~/\.(?:bash|zsh|profile)\w{0,10}|\bschtasks\b|\breg\s+add\b"
            r"|(?:>|\btee\b|\bcp\b|\bmv\b|\bsed\s+-i)[^\n]{0,80}\s/etc/\w"
        ),
        None,
        _words(
            "instal setup set\\s?up configur system schedul cron servic hook environment deploy server admin linux devop docker "
            "container network secur kernel debug shell build toolchain fuzz compil package"
        ),
    ),
    Reach("talks to the network", NETWORK, None, _words(_OUTSIDE), script=True),
    Reach(
        "reads the environment",
        re.compile(r"\bos\.environ\b|\bos\.getenv\(|\bprocess\.env\b"),
        None,
        _words(
            "env config key token auth apis? account deploy setting server service cloud variable credential secret log\\s?in connect "
            "integrat github google database llm model generat"
        ),
        script=True,
    ),
    Reach(
        "starts other programs",
        _STARTS,
        None,
        _words(
            "run execut command git build test install tool cli conver compil render docker deploy script lint format shell process "
            "automat debug analy scan server video audio image pdf document package launch start browser benchmark profil review "
            "codex agent creat set\\s?up fuzz audit search office slide spreadsheet check"
        ),
        script=True,
    ),
    Reach(
        "looks into the home folder or the system",
        re.compile(r"\bPath\.home\(\)|\bexpanduser\(|[\"']~/|[\"']/etc/|\bos\.homedir\(\)"),
        None,
        _words(
            "home config setting system dotfile user profile install global set\\s?up credential auth log\\s?in deploy cach session histor "
            "hook agent claude codex shell environment memory library desktop download skill plugin token key account"
        ),
        script=True,
    ),
    Reach(
        "asks which machine and user it runs for",
        re.compile(
            r"\bplatform\.(?:node|uname|platform)\(|\bgetpass\.getuser|\bsocket\.gethostname|\buuid\.getnode|\bos\.(?:getlogin|uname)\("
            r"|\bos\.(?:hostname|userInfo)\(\)"
        ),
        None,
        _words(
            "system machine host platform diagnos monitor environment debug inventory deploy server bug report install set\\s?up cross"
        ),
        script=True,
    ),
    Reach(
        "runs text as code",
        re.compile(r"(?<![.\w])(?:exec|eval|compile|__import__)\(|\bimportlib\.import_module\(|\bctypes\."),
        None,
        _words(
            "execut eval python code plugin dynamic import test sandbox run compile script debug fuzz expression calculat formula"
        ),
        script=True,
    ),
    Reach(
        "opens a server",
        re.compile(r"\bHTTPServer\(|\.listen\(\d|\bsocketserver\.|\.bind\(\(|\bapp\.run\(|\buvicorn\b"),
        None,
        _words("serv web http preview app apis? view listen host port site page dashboard mcp network browser local"),
        script=True,
    ),
)
_DELETES: Final = Reach(
    "deletes data",
    None,
    re.compile(
        r"\b(?:delete|wipe|erase|overwrite|purge|truncate|destroy)s?\b[^\n.]{0,30}\b(?:files?|data|records?|tables?|database"
        r"|director(?:y|ies)|folders?|backups?|history|accounts?|users?|disk|volumes?|instances?)\b",
        re.IGNORECASE,
    ),
    _words(
        "delet clean remov prune reset uninstall migrat tidy purg drop wipe eras destroy clear git commit worktree branch "
        "manag organi build deploy install setup template sandbox container cache temp edit writ updat convert database"
    ),
)
_DESTROYS = re.compile(
    r"\bshutil\.rmtree\(|(?:^|[\s;|&(])(?:rm\s+-\w{0,3}[rf]\w{0,3}\s+(?!-|[\"']?(?:\./)?(?:build|dist|node_modules|target|tmp|/tmp|/var/lib/apt|/var/cache|\.cache|\$TMP))"
    r"|mkfs|shred|dd\s+if)|\bgit\s+(?:push\s+(?:-f|--force)(?!-)|reset\s+--hard|clean\s+-\w{0,4}f)|\bDROP\s+(?:TABLE|DATABASE)\b"
    r"|\bTRUNCATE\s+TABLE\b|\bkubectl\s+delete\b|\bterraform\s+destroy\b|\bdocker\s+(?:system\s+)?prune\b",
    re.MULTILINE | re.IGNORECASE,
)
_CAREFUL = re.compile(
    r"\b(?:confirm|ask\s|asks\s|approv|back\s?ups?\b|back\s+up|dry[- ]run|warn|caution|irrevers|undo|permission|consent|careful"
    r"|double-check|only\s+(?:if|when|after)|never\s+(?:delet|remov|overwrit)|(?:do\s+not|don.t)\s+(?:delet|remov|overwrit))",
    re.IGNORECASE,
)
_WRITES = re.compile(r"\bopen\([^)\n]{0,200}[\"'][wa]b?[\"']|\.write_(?:text|bytes)\(|\bwriteFile(?:Sync)?\(")
_LIMITS: Final = (
    (
        "talks to the network",
        NETWORK,
        re.compile(r"net|http|web|fetch|mcp|url|api|bash|shell|exec|browser|\*", re.IGNORECASE),
    ),
    ("writes files", _WRITES, re.compile(r"writ|edit|file|bash|shell|exec|fs|\*", re.IGNORECASE)),
    ("deletes files", CHANGES, re.compile(r"writ|edit|file|delet|bash|shell|exec|fs|\*", re.IGNORECASE)),
)
"""What programs do, and words in the list of tools that allow it."""
_POWERS: Final = (
    (
        re.compile(r"bash|shell|exec|terminal|subprocess|command", re.IGNORECASE),
        _STARTS,
        re.compile(r"\b(?:run|execut|script|command)", re.IGNORECASE),
    ),
    (
        re.compile(r"net|http|web|fetch|url", re.IGNORECASE),
        NETWORK,
        re.compile(r"https?://|\bapi\b|\bfetch|\bweb\b|online|load", re.IGNORECASE),
    ),
    (
        re.compile(r"\benv|secret|credential|keychain", re.IGNORECASE),
        SECRET,
        re.compile(r"\benv|key|token|credential", re.IGNORECASE),
    ),
)
"""Words of a list of tools; how scripts use them; and words of the text that explain them."""


def purposes(head: str, told: str, programs: Iterable[Code]) -> Iterator[Seen]:
    """What the description and the list of tools leave out.

    Args:
        head: The frontmatter of SKILL.md.
        told: Its text without code.
        programs: Scripts, and blocks of code that are not shown as bad examples.
    """
    about = (_DESCRIPTION.search(head) or ("", ""))[1].strip()
    own = {word for word in re.findall(r"[^\W\d_]{3,30}", about.lower()) if word not in _EMPTY}
    told = told[:_TEXT_CAP]
    length = len(told.split())
    if not about or not about.isascii():
        return  # no description is no valid skill, and words of other scripts are not counted here
    if len(own) < _WORDS:
        if length >= _LONG:
            yield Seen("vague", "SKILL.md", 0, about)
        return
    code: list[Code] = []
    left = _CODE_CAP
    for each in programs:
        code.append(each._replace(text=each.text[: max(0, left)]))
        left -= len(each.text)
    name = _NAME.search(head)
    for_what = f"{name[1].replace('-', ' ') if name else ''} {about}"
    scripts = [each for each in code if not each.file.endswith((".md", ".mdx", ".markdown"))]
    examples = len(code) - len(scripts) or "`" in told
    careful = _CAREFUL.search(f"{about}\n{told}") is not None
    for reach in REACHES if careful else (*REACHES, _DELETES):
        if reach.said.search(for_what) is None:
            yield from _reached(reach, told, scripts if reach.script else code)
    if (tools := _TOOLS.search(head)) is not None and tools[1].strip():
        for what, pattern, allows in _LIMITS:
            if allows.search(tools[1]) is None and (seen := _first("beyond-tools", f"{what}: ", pattern, code)):
                yield seen
        if scripts and not examples:
            for asks, uses, explains in _POWERS:
                asked = asks.search(tools[1])
                if asked and not any(uses.search(c.text) for c in scripts) and not explains.search(f"{about}\n{told}"):
                    yield Seen("tools-unused", "SKILL.md", 0, asked.group())
                    break
    if not careful and (seen := _first("unwarned", "", _DESTROYS, code)):
        yield seen
    stems = {word[:5] for word in own if len(word) > 3}
    if len(stems) >= _ABOUT and length >= _BODY:
        body = "\n".join([told, *(each.text for each in code)]).lower()
        share = sum(stem in body for stem in stems) / len(stems)
        if share < _SHARE:
            yield Seen("off-topic", "SKILL.md", 0, f"takes up {share:.0%} of the words of its description: {about}")


def _reached(reach: Reach, told: str, code: list[Code]) -> Iterator[Seen]:
    if reach.code is not None and (seen := _first("beyond-purpose", f"{reach.what}: ", reach.code, code)):
        yield seen
        return
    for match in reach.told.finditer(told) if reach.told is not None else ():
        if not describes(told, match.start()):
            yield Seen("beyond-purpose", "SKILL.md", 0, f"{reach.what}: {match.group()}")
            return


def _first(rule: str, lead: str, pattern: "re.Pattern[str]", code: list[Code]) -> Seen | None:
    for each in code:
        if (match := pattern.search(each.text)) is not None:
            line = each.line + each.text.count("\n", 0, match.end())
            shown = each.text[match.start() : match.end() + 80].strip().partition("\n")[0]
            return Seen(rule, each.file, line, lead + shown)
    return None


__all__ = ["purposes"]
