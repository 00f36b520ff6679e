"""What programs on a command line do: which read, fetch, send, decode or run, and which arguments say so."""

import re
from dataclasses import dataclass
from typing import Final

from prowess.guard.scan.flow import words
from prowess.guard.scan.shell import Word

SHELLS: Final = words("sh bash zsh dash ksh fish eval source . iex")
INTERPRETERS: Final = SHELLS | words("python python3 python2 node deno bun perl ruby php osascript pwsh powershell")
FETCHERS: Final = words("curl wget fetch aria2c http https xh lwp-request iwr invoke-webrequest")
SENDERS: Final = words("nc ncat netcat socat telnet sendmail mail mailx mutt ftp tftp scp rsync sftp")
RESOLVERS: Final = frozenset(["dig", "nslookup", "host", "ping", "drill"])
READERS: Final = words(
    "cat head tail less more strings grep egrep rg awk sed cut sort uniq tr tar zip gzip bzip2 xz openssl "
    "gpg base64 base32 xxd od hexdump jq yq find ls cp mv dd tee echo printf envsubst paste column rev nl "
    "pr fold split security sqlite3 install ln type"
)
WRAPPERS: Final = words("sudo env nohup exec command builtin doas time nice busybox stdbuf setsid caffeinate")
TAKES_VALUE: Final = frozenset(["-u", "-g", "-n", "-C", "-S", "-o", "-e", "-i"])
DATA: Final = re.compile(
    r"^(?:-\w{0,4}[dFT]$|--data|--json|--form|--upload-file|--post-data|--post-file|--body-data|--body-file|--data-\w+)"
)
HEADER: Final = re.compile(r"^(?:-\w{0,4}[HAbeu]$|--header|--user(?:-agent)?|--cookie|--oauth2-bearer|--referer)")
OUTPUT: Final = re.compile(r"^(?:-\w{0,6}o|--output(?:-document)?)$")
INLINE: Final = re.compile(r"-\w{0,3}[ce]|-r|--eval|-command", re.IGNORECASE)
SILENT: Final = words("chmod git cargo brew go docker kubectl pip pip3 npm npx uv")
"""Commands whose output nobody pipes on for what it holds."""
RC: Final = re.compile(
    r"\.(?:bashrc|zshrc|profile|bash_profile|zprofile|zshenv|bash_login|kshrc)\b|config\.fish|/etc/(?:profile|bash\.bashrc|environment)"
)
START: Final = re.compile(
    r"/etc/(?:cron|rc\.local|init\.d|systemd)|\.config/autostart|LaunchAgents|LaunchDaemons|\.git/hooks/|systemd/user"
)
MILD_RC: Final = re.compile(
    r"^\s*(?:export\s+\w+=|alias\s|\[|source\s|\.\s|eval\s+\"?\$\(\w|PATH=|fpath|autoload|set\s|#|$)"
)
GONE: Final = re.compile(
    r"^(?:/|/\*|~/?|~/\*|\$HOME/?|\$HOME/\*|/home/?\*?|/root/?\*?|/(?:etc|usr|bin|sbin|boot|lib|opt|var|dev|sys|proc)/?\*?"
    r"|/var/log(?:/.*)?|/etc/.+|/usr/(?:bin|lib|sbin|share)/?\*?|/boot/.*|~/\.(?:ssh|gnupg|aws|config)/?\*?|/Users/?\*?|[A-Z]:[\\/]\*?)$"
)
UNSET: Final = re.compile(r"^\$([A-Za-z_]\w*)(/\*|/?)$")
HIDEOUT: Final = re.compile(r"^(?:/tmp|/var/tmp|/dev/shm|~/\.cache|\$TMPDIR)/\.[\w-]")
"""Hidden files among the temporary ones."""
SHARED: Final = re.compile(r"^(?:/tmp|/var/tmp|/dev/shm|\$TMPDIR)/")
"""Places that every program of the machine may read."""
NAMED_SECRET: Final = re.compile(
    r"(?:secret|password|passwd|credential|token|api_?key)s?[\"']?\s{0,2}[=:]\s{0,2}[\"'\\]{0,3}\$", re.IGNORECASE
)
PROGRAM: Final = re.compile(r"\.(?:sh|ps1|bat|exe|bin|pkg|dmg|appimage|run|pex|msi)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of a program that fetches, by what they mean."""

    body: list[tuple[Word, str]]
    """What is sent: the word, and its text without the name of the option."""
    head: list[Word]
    rest: list[Word]
    """Addresses and whatever is no option."""
    target: str
    """The file that the answer goes to; empty for standard output, or where `named` is set."""
    named: bool
    """The file is named after the address."""


def request(name: str, args: list[Word]) -> Request:
    """The arguments of curl, wget and their like."""
    body: list[tuple[Word, str]] = []
    head: list[Word] = []
    rest: list[Word] = []
    target, named = "", name == "wget"
    waiting = iter(args)
    for word in waiting:
        option, sign, value = word.text.partition("=")
        apart = not (sign and option.startswith("--"))
        if DATA.match(option):
            following = next(waiting, word) if apart else word
            body.append((following, following.text if apart else value))
        elif HEADER.match(option):
            head.append(next(waiting, word) if apart else word)
        elif name == "wget" and (short := re.fullmatch(r"-\w*O(.*)", word.text)) is not None:
            following = next(waiting, word).text if not short[1] else short[1]
            target, named = following, False
        elif name != "wget" and re.fullmatch(r"-\w*O|--remote-name", word.text):
            named = True
        elif OUTPUT.match(option):
            target = next(waiting, word).text if apart else value
        elif word.text.startswith("-o") and len(word.text) > 2:
            target = word.text[2:]
        elif not word.text.startswith("-"):
            rest.append(word)
    return Request(body, head, rest, target, named)


def unwrapped(words: list[Word]) -> list[Word]:
    """The words of the command that sudo, env and the like start."""
    while words and words[0].text.rsplit("/", 1)[-1] in WRAPPERS:
        words = words[1:]
        while words and (words[0].text.startswith("-") or "=" in words[0].text):
            words = words[2:] if words[0].text in TAKES_VALUE else words[1:]
    return words


def decodes(name: str, args: list[Word]) -> bool:
    texts = [a.text for a in args]
    if name in ("base64", "base32", "gbase64"):
        return any(t in ("-d", "-D", "--decode", "-di", "-id") for t in texts)
    if name == "xxd":
        return any(re.fullmatch(r"-\w*r\w*|-revert", t) for t in texts)
    if name == "openssl":
        return "-d" in texts
    if name == "printf":
        return re.search(r"(?:\\x[0-9a-fA-F]{2}){4}", " ".join(a.raw for a in args)) is not None
    return name in ("rev", "uudecode") or (
        name == "tr" and any("a-m" in t.lower() or "n-za" in t.lower() for t in texts)
    )


def blinds(name: str, args: list[Word]) -> bool:
    """Whether what the command prints says nothing of the secret that it reads."""
    texts = {a.text for a in args}
    return name in ("ls", "stat", "wc", "file", "du", "type", "sha256sum", "md5sum") or (
        name in ("grep", "rg", "egrep") and bool(texts & {"-q", "-c", "-l", "--quiet", "-L", "-qE", "-rl"})
    )


def identity(args: list[Word], at: int) -> bool:
    """Whether the argument at this place names the key with which ssh and its like log in."""
    return at > 0 and args[at - 1].text in ("-i", "-F", "--key", "--cert", "-e")


def plain_option(text: str) -> bool:
    return text.startswith("-") and len(text) <= 4


def path(path: str) -> str:
    return path.removeprefix("./").strip("'\"")
