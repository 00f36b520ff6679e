"""What may be learned from whom: where a text was said first, and how many people it takes.

Two questions about each line that learning would write into a skill:

- *Where was it said first?* A tool's answer or a web page is data. What an agent repeats from it is still the page's,
  so an instruction whose words stood there first is dropped, and so is whatever goes to a machine that was named there
  first: an agent that did what a page told it to has said so in its own words, but the address is the page's.
- *Who shows it?* What one's own sessions show is one's own affair. What strangers show counts only when enough of them
  do, and however many sessions one of them brings, they weigh as `CAP`.

Words that were turned round on the way are not recognised; gates and trials stand behind this.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from prowess.core.trajectory import Trajectory
from prowess.core.trust import OWN

Origin = Literal["user", "agent", "tool", "web"]
ORIGINS: Final[tuple[Origin, ...]] = ("user", "agent", "tool", "web")
"""From the most to the least trusted."""
WEIGHT: Final = 3
"""Sessions that must show a line, counted with the cap, before strangers are believed."""
PRINCIPALS: Final = 2
"""People among them at least."""
CAP: Final = 2
"""What all sessions of one person weigh together at most."""
_RUN: Final = 4
"""Words in a row by which a text is recognised."""
_READ: Final = 2_000_000
"""Characters of one trajectory that are compared."""
_WORD = re.compile(r"\w+")
_HOST = re.compile(
    r"(?:://(?:[^\s/@]{0,100}@)?|[\w.+-]@)((?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}|\d{1,3}(?:\.\d{1,3}){3})"
)
_DOMAIN = re.compile(r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_TALKS = re.compile(r"\b(?:curl|wget|ssh|scp|sftp|rsync|nc|ncat|telnet|ftp|ping|dig)\b")
_WEB = re.compile(r"(?i)web|fetch|browse|search_?online|http|url|crawl|scrape")
_DOWNLOAD = re.compile(r"\b(?:curl|wget|lynx|w3m)\b|https?://")
_OPENING = re.compile(r"(?i)^\W*(?:(?:please|then|first|now|next|instead|also|just|simply|and)\b\W*)*([a-z][\w-]*)")
_ORDERS = re.compile(
    r"(?i)\b(?:must|always|never|should|shall|have to|has to|needs? to|be sure to|make sure|required? to|do not"
    r"|don[’']t|disregard|ignore (?:all|any|the|previous)|without asking|you (?:may|can|will) now)\b"
)


@cache
def _verbs() -> frozenset[str]:
    return frozenset(files("prowess.guard").joinpath("orders.txt").read_text("utf-8").split())


def imperative(text: str) -> bool:
    """Whether a text tells somebody to do something, by its first verb or by words such as `must` and `never`."""
    opening = _OPENING.match(text)
    return (opening is not None and opening[1].lower() in _verbs()) or _ORDERS.search(text) is not None


def origins(trajectory: Trajectory, texts: Sequence[str]) -> list[Origin]:
    """Where the words of each text stood first in the trajectory; a text that stands nowhere is the agent's.

    Of several places the least trusted one that has a third of its runs of words. What only stands behind `_READ`
    characters is a tool's, so that no padding hides it.
    """
    runs = [_runs(text) for text in texts]
    wanted = {run for own in runs for run in own}
    first: dict[tuple[str, ...], Origin] = {}
    left = _READ
    for origin, said in _spoken(trajectory) if wanted else ():
        words = _WORD.findall(said[:left].casefold())
        left -= len(said)
        for size in {len(run) for run in wanted}:
            for run in wanted.intersection(zip(*(words[i:] for i in range(size)), strict=False)):
                first.setdefault(run, origin)
        if left <= 0:
            first = {run: first.get(run, "tool") for run in wanted}
            break
    return [_least_trusted([first[run] for run in own if run in first], len(own)) for own in runs]


def borrowed(trajectory: Trajectory, texts: Sequence[str]) -> list[bool]:
    """Whether a text names a machine or a mail address that a tool's answer or a web page named first."""
    named = [_hosts(text.casefold()) for text in texts]
    unknown = {host for hosts in named for host in hosts}
    theirs: set[str] = set()
    for origin, said in _spoken(trajectory) if unknown else ():
        text = said.casefold()
        found = {host for host in unknown if host in text}
        unknown -= found
        theirs |= found if origin in ("tool", "web") else set()
    return [bool(hosts & theirs) for hosts in named]


def _hosts(text: str) -> set[str]:
    """Machines in addresses, and whatever looks like one in a command that talks to machines."""
    return {*_HOST.findall(text), *(_DOMAIN.findall(text) if _TALKS.search(text) else ())}


def supported(principals: Iterable[str]) -> bool:
    """Whether sessions of these people (one entry a session) are enough to be believed.

    One's own alone always are: how many of them a line needs is for the learner to say.
    """
    counts = Counter(principals)
    if set(counts) <= {OWN}:
        return True
    return len(counts) >= PRINCIPALS and sum(min(n, CAP) for n in counts.values()) >= WEIGHT


def principal_of(trajectory: Trajectory) -> str:
    """Whose session it is; empty for the user's own."""
    named = trajectory.extra.get("principal")
    return named if isinstance(named, str) else OWN


def owned_by(trajectory: Trajectory, principal: str) -> Trajectory:
    """The trajectory as one of `principal`, whatever it claims of itself."""
    extra = {key: value for key, value in trajectory.extra.items() if key != "principal"}
    if principal != OWN:
        extra["principal"] = principal
    return trajectory if extra == trajectory.extra else trajectory.model_copy(update={"extra": extra})


def _spoken(trajectory: Trajectory) -> Iterable[tuple[Origin, str]]:
    """Everything in the order in which it was said: what a step says, then what came back."""
    for step in trajectory.steps:
        yield ("agent" if step.source == "agent" else "user"), step.message
        yield "agent", step.reasoning
        web: set[str] = set()
        for call in step.tool_calls:
            told = " ".join(str(value) for value in call.arguments.values())
            if _WEB.search(call.name) or _DOWNLOAD.search(told):
                web.add(call.id)
            yield "agent", told
        for observation in step.observations:
            yield ("web" if observation.call_id in web else "tool"), observation.content


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    size = min(_RUN, len(words))
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} if size else set()


def _least_trusted(found: list[Origin], runs: int) -> Origin:
    counts = Counter(found)
    for origin in reversed(ORIGINS):
        if 3 * counts[origin] >= max(runs, 1):
            return origin
    return "agent"
