"""Takes secrets out of text before it is stored.

Each secret becomes `[redacted:<kind>:<4 hex digits>]`; the digits come from its SHA-256, so that the same secret keeps
the same mark and two can be told apart. Redacting twice changes nothing more.

This finds secrets that stand in plain text. It does not find those that are encoded (base64, hex), split over several
lines or records, or that look like ordinary words without a telling name beside them.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from prowess.core.patch import CreateSkill, Patch
from prowess.core.task import File
from prowess.core.trajectory import Trajectory

Check = Callable[["re.Match[str]"], bool]

_ENDS = r"(?![A-Za-z0-9])"
_STARTS = r"(?<![A-Za-z0-9])"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret. The group `secret` is what is replaced; without it, the whole match."""

    kind: str
    hints: tuple[str, ...]
    """Literals, one of which every match holds; text with none of them is not searched. They must survive JSON
    escaping, so that a raw line can be tested."""
    pattern: "re.Pattern[str]"
    """Runs in linear time on any input: every repetition is bounded or cannot overlap with what follows it."""
    check: Check | None = None
    """A last look at a match; False leaves it alone."""


def entropy(text: str) -> float:
    """Shannon entropy in bits per character; 0 for empty text."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


_WORDS = ("password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "apikey")
_KEY_OWNERS = ("api", "access", "private", "encryption", "signing", "auth", "account", "master", "service")
# Spelled out in three casings: a list of literals lets the engine skip ahead, ignoring case does not.
_NAMES = "|".join(
    sorted({form for word in _WORDS for form in (word, word.capitalize(), word.upper())} | {"PASS"}, reverse=True)
    + [f"{o}[_-][kK]ey|{o}Key|{o.capitalize()}(?:[_-][kK]ey|Key)|{o.upper()}[_-]?KEY" for o in _KEY_OWNERS]
)
_sensitive_name = re.compile(_NAMES).search
_harmless_name = re.compile(r"(?i:tokens|tokeniz|token_?(?:count|limit|type|usage|budget)|secret_?name|key_?id)").search
_NAME_BEFORE = re.compile(r"[A-Za-z0-9_]{1,60}\Z").search
_password_name = re.compile(r"[Pp]ass|PASS|[Pp]wd|PWD").search
_environment_name = re.compile(r"[A-Z][A-Z0-9_]{2,60}").fullmatch
_dotted_name = re.compile(r"[A-Za-z_][\w.]*").fullmatch
_PLACEHOLDER = re.compile(
    r"(?i:x{4,}|\*{3,}|\.{3,}|your.*|example.*|(?:my|the|some|insert|sample|dummy|change|replace)[_\-. ].*"
    r"|none|null|true|false|undefined|password|passwd|secret|token|required|optional"
    r"|\$\{.*|\$\(.*|\$[a-z_]\w*|<.*|\{.*|%[a-z_]+%|%\(.*)"
).fullmatch


def looks_secret(name: str, value: str, quoted: bool = True) -> bool:
    """Whether `value`, assigned to `name`, is likely to be a secret and not code, a placeholder or a count."""
    if not 6 <= len(value) <= 4096 or "[redacted:" in value or _PLACEHOLDER(value) or _harmless_name(name):
        return False
    digits = any(c.isdigit() for c in value)
    letters = any(c.isalpha() for c in value)
    if _password_name(name):
        return quoted or digits or _environment_name(name) is not None or _dotted_name(value) is None
    if _environment_name(name):
        return len(value) >= 8 and letters and (digits or (len(value) >= 16 and entropy(value) >= 3.5))
    if len(value) < 12 or not letters:
        return False
    bits = entropy(value)
    return (digits and bits >= 3.0 and len(value) >= 12) or (bits >= 4.2 and len(value) >= 24 and value.isalnum())


def _assigned(match: "re.Match[str]") -> bool:
    text, start = match.string, match.start()
    before = _NAME_BEFORE(text[max(0, start - 60) : start])
    name = (before[0] if before else "") + text[start : match.end("rest")]
    value, quoted = match["quoted"] or match["secret"], match["quoted"] is not None
    if not quoted and text[match.end() : match.end() + 1] in {"(", "[", "{"} and _dotted_name(value):
        return False  # a call or an index: code that fetches the secret, not the secret
    return looks_secret(name, value, quoted)


def _header(match: "re.Match[str]") -> bool:
    value = match["secret"]
    if value.startswith("[redacted:") or _PLACEHOLDER(value):
        return False
    return match["scheme"] is not None or looks_secret("token", value)


def _bearer(match: "re.Match[str]") -> bool:
    return any(c.isdigit() for c in match["secret"]) and entropy(match["secret"]) >= 3.0


def _in_url(match: "re.Match[str]") -> bool:
    value = match["secret"]
    return not value.startswith("[redacted") and _PLACEHOLDER(value) is None


def _mixed(match: "re.Match[str]") -> bool:
    text = match[0]
    return any(c.isdigit() for c in text) or any(c.isupper() for c in text)


def _rule(kind: str, hints: str, pattern: str, check: Check | None = None) -> Rule:
    return Rule(kind, tuple(hints.split()), re.compile(pattern), check)


RULES: tuple[Rule, ...] = (
    _rule(
        "private-key",
        "PRIVATE",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?P<secret>(?:\s|\\[nrt])*(?:(?:Proc-Type|DEK-Info|Version|Comment):[^\n\\]{0,200}(?:\s|\\[nrt])*){0,4}"
        r"[A-Za-z0-9+/=\\\s]{40,20000})(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    _rule("age-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{50,60}" + _ENDS),
    _rule("aws-key", "AKIA ASIA ABIA ACCA", _STARTS + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}" + _ENDS),
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", _STARTS + r"gh[pousr]_[A-Za-z0-9]{30,255}"),
    _rule("github-token", "github_pat_", _STARTS + r"github_pat_[A-Za-z0-9_]{22,255}"),
    _rule("gitlab-token", "glpat- gldt- glrt-", _STARTS + r"gl(?:pat|dt|rt)-[A-Za-z0-9_-]{20,100}"),
    _rule("anthropic-key", "sk-ant-", _STARTS + r"sk-ant-[A-Za-z0-9_-]{20,300}"),
    _rule("openai-key", "sk-", _STARTS + r"sk-[A-Za-z0-9_-]{20,300}", _mixed),
    _rule("xai-key", "xai- gsk_ pplx-", _STARTS + r"(?:xai-|gsk_|pplx-)[A-Za-z0-9]{30,200}"),
    _rule("huggingface-token", "hf_", _STARTS + r"hf_[A-Za-z0-9]{30,100}" + _ENDS),
    _rule("replicate-token", "r8_", _STARTS + r"r8_[A-Za-z0-9]{30,60}" + _ENDS),
    _rule("google-key", "AIza", _STARTS + r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    _rule("google-token", "ya29. GOCSPX-", _STARTS + r"(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{20,1000}"),
    _rule("slack-token", "xox xapp-", _STARTS + r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,300}"),
    _rule(
        "slack-webhook",
        "hooks.slack.com",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/_-]{20,200})",
    ),
    _rule("stripe-key", "k_live_ k_test_ whsec_", _STARTS + r"(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9]{16,255}"),
    _rule("npm-token", "npm_", _STARTS + r"npm_[A-Za-z0-9]{36}" + _ENDS),
    _rule("pypi-token", "pypi-", _STARTS + r"pypi-[A-Za-z0-9_-]{40,1000}"),
    _rule("sendgrid-key", "SG.", _STARTS + r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}"),
    _rule("twilio-key", "SK", _STARTS + r"SK[0-9a-f]{32}" + _ENDS),
    _rule("mailgun-key", "key-", _STARTS + r"key-[0-9a-f]{32}" + _ENDS),
    _rule("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", _STARTS + r"do[opr]_v1_[0-9a-f]{64}" + _ENDS),
    _rule("databricks-token", "dapi", _STARTS + r"dapi[0-9a-f]{32}" + _ENDS),
    _rule("shopify-token", "shpat_ shpca_ shppa_ shpss_", _STARTS + r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}" + _ENDS),
    _rule("vault-token", "hvs. hvb.", _STARTS + r"hv[sb]\.[A-Za-z0-9_-]{20,300}"),
    _rule("telegram-token", ":AA", r"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
    _rule(
        "azure-key",
        "AccountKey= SharedAccessKey=",
        r"(?:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,90}={0,2})",
    ),
    _rule("jwt", "eyJ", _STARTS + r"eyJ[A-Za-z0-9_-]{10,4096}\.eyJ[A-Za-z0-9_-]{4,8192}(?:\.[A-Za-z0-9_-]{0,2048})?"),
    _rule(
        "url-password",
        ":// :\\/\\/",
        r"://[^\s/:@\"'<>\\]{0,100}:(?P<secret>[^\s/@\"'<>\\]{3,200})@(?=[A-Za-z0-9\[.-])",
        _in_url,
    ),
    _rule(
        "authorization",
        "uthorization UTHORIZATION -key -KEY -Key -token -TOKEN -Token",
        r"(?:[Aa]uthorization|AUTHORIZATION|[Xx]-(?:[Aa]pi|API)-(?:[Kk]ey|KEY)|[Xx]-(?:[Aa]uth|AUTH)-(?:[Tt]oken|TOKEN))"
        r"[\\\"']{0,4}\s{0,3}[:=,]\s{0,3}[\\\"']{0,4}"
        r"(?:(?P<scheme>[Bb]earer|BEARER|[Bb]asic|BASIC|[Tt]oken|[Dd]igest|[Aa]pi[Kk]ey)\s{1,3})?"
        r"(?P<secret>[A-Za-z0-9+/=_.~-]{8,4096})",
        _header,
    ),
    _rule(
        "bearer-token",
        "earer EARER",
        r"(?:[Bb]earer|BEARER)\s{1,3}(?P<secret>[A-Za-z0-9+/=_.~-]{16,4096})",
        _bearer,
    ),
    _rule(
        "cookie",
        "ookie: OOKIE:",
        r"[Cc]ookie: {0,3}[A-Za-z0-9_.-]{1,80}=(?P<secret>[A-Za-z0-9+/=_.~%-]{16,4096})",
        lambda m: not m["secret"].startswith("[redacted:"),
    ),
    _rule(
        "assigned",
        "assw assph Passw Passp PASS pwd Pwd PWD ecret ECRET oken OKEN redential REDENTIAL "
        "_key -key _Key -Key _KEY -KEY apikey APIKEY " + " ".join(f"{c}Key {c.upper()}KEY" for c in "isengthr"),
        r"(?:" + _NAMES + r")(?P<rest>[A-Za-z0-9_]{0,40})"
        r"[\\\"'\]]{0,4}\s{0,3}(?:=>|:=|[:=])\s{0,3}\\{0,2}"
        r"(?:[\"'`](?P<quoted>[^\s\"'`\\]{6,4096})(?=[\"'`\\])|(?P<secret>[^\s\"'`,;&<>(){}\[\]\\=]{6,4096}={0,2}))",
        _assigned,
    ),
)
"""In the order in which they are tried: the specific before the general."""


def mark(kind: str, secret: str) -> str:
    """What stands in place of `secret`."""
    return f"[redacted:{kind}:{hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:4]}]"


_ESCAPED = re.compile(r"\\u00[2-7]").search


def rules_for(text: str) -> tuple[Rule, ...]:
    """The rules that may match in `text`. Given raw JSON, they cover every string inside it."""
    if "\\u00" in text and _ESCAPED(text):
        return RULES  # escaped ASCII may hide a hint
    return tuple(rule for rule in RULES if _hinted(rule, text))


def _hinted(rule: Rule, text: str) -> bool:
    for hint in rule.hints:  # noqa: SIM110 - a generator would double the time of the hottest loop of an import
        # "tokens" stands in every record that counts them and is never a secret.
        if hint in text and (hint != "oken" or text.count(hint) > text.count("okens")):
            return True
    return False


def redact(text: str, counts: "Counter[str] | None" = None, *, name: str = "", rules: tuple[Rule, ...] = RULES) -> str:
    """`text` without secrets; `counts` gains one per secret, by kind.

    Args:
        name: What the text is the value of, such as its JSON key; a telling name makes a plain word a secret.
        rules: From `rules_for`, to search less.
    """
    if len(text) < 6 or not rules:
        return text
    for rule in rules:
        if _hinted(rule, text):
            text = rule.pattern.sub(lambda match, rule=rule: _replace(rule, match, counts), text)
    if name and sensitive(name) and " " not in text and looks_secret(name, text):
        return _count(counts, "assigned", text)
    return text


def found(text: str, rules: tuple[Rule, ...] = RULES) -> list[tuple[str, int, str]]:
    """Kind, offset and text of every secret that `redact` would take out, without those in placeholders."""
    hits: list[tuple[str, int, str]] = []
    for rule in rules:
        if _hinted(rule, text):
            for match in rule.pattern.finditer(text):
                if rule.check is None or rule.check(match):
                    group = next((g for g in ("quoted", "secret") if match.groupdict().get(g) is not None), 0)
                    hits.append((rule.kind, match.start(group), match[group]))
    return hits


def redact_value(
    value: Any, counts: "Counter[str] | None" = None, *, name: str = "", rules: tuple[Rule, ...] = RULES
) -> Any:
    """`redact` for every string inside a JSON value, keys included."""
    if isinstance(value, str):
        return redact(value, counts, name=name, rules=rules)
    if isinstance(value, (list, tuple)):
        items = cast(Sequence[Any], value)
        return [redact_value(item, counts, name=name, rules=rules) for item in items]
    if isinstance(value, dict):
        return {
            # The keys of records are short names, which no rule can match.
            key if len(key) < 20 and key.isidentifier() else redact(key, counts, rules=rules): redact_value(
                item, counts, name=key, rules=rules
            )
            for key, item in cast(dict[str, Any], value).items()
        }
    return value


def redact_trajectory(trajectory: Trajectory) -> tuple[Trajectory, Counter[str]]:
    """A trajectory without secrets in any of its strings, and how many were taken out, by kind.

    Files that the run wrote are searched when they are UTF-8; others are left as they are. Without any secret the
    very trajectory that was given comes back.
    """
    counts: Counter[str] = Counter()
    clean: dict[str, Any] = {}
    if rules := rules_for(trajectory.model_dump_json(exclude={"outputs"})):
        clean = redact_value(trajectory.model_dump(exclude={"outputs"}), counts, rules=rules)
    outputs = tuple(File(path=redact(f.path, counts), data=_redact_bytes(f.data, counts)) for f in trajectory.outputs)
    if not counts:
        return trajectory, counts
    return Trajectory.model_validate({**(clean or trajectory.model_dump()), "outputs": outputs}), counts


def redact_patch(patch: Patch) -> Patch:
    """The patch without secrets in any text that it would write into a library; itself where there are none."""
    counts: Counter[str] = Counter()
    operations: list[dict[str, Any]] = []
    for operation in patch.operations:
        data = operation.model_dump(mode="python", exclude={"skill": {"files"}})
        clean = redact_value(data, counts)
        if isinstance(operation, CreateSkill):
            files = operation.skill.files
            clean["skill"]["files"] = [{"path": f.path, "data": _redact_bytes(f.data, counts)} for f in files]
        operations.append(clean)
    return Patch.model_validate({**patch.model_dump(), "operations": operations}) if counts else patch


def _redact_bytes(data: bytes, counts: Counter[str]) -> bytes:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    clean = redact(text, counts)
    return data if clean == text else clean.encode()


def _replace(rule: Rule, match: "re.Match[str]", counts: "Counter[str] | None") -> str:
    if rule.check is not None and not rule.check(match):
        return match[0]
    groups = match.groupdict()
    group = next((g for g in ("quoted", "secret") if groups.get(g) is not None), 0)
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    return match[0][:start] + _count(counts, rule.kind, match[group]) + match[0][end:]


def _count(counts: "Counter[str] | None", kind: str, secret: str) -> str:
    if counts is not None:
        counts[kind] += 1
    return mark(kind, secret)


@lru_cache(maxsize=4096)
def sensitive(name: str) -> bool:
    """Whether a value of this name is likely to be a secret."""
    return _sensitive_name(name[:200]) is not None
