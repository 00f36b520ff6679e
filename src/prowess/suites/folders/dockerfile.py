"""A Dockerfile followed as far as that goes without a container engine: files put in place, software to be there.

What a task's image consists of is mostly an ordinary system, packages of Debian and Python, and the task's files, which
can be had without it. All else is refused by name: a task whose set-up was half done would measure nothing.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

SKILLS = "skills"
"""What benchmarks of skills copy into the image for each agent; prowess shows skills itself, or none."""
_BASES = re.compile(r"^(?:docker\.io/)?(?:library/)?(?:ubuntu|debian|python|buildpack-deps)(?::[\w.-]+)?$")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_MEANINGLESS = frozenset(
    ["label", "expose", "cmd", "entrypoint", "maintainer", "healthcheck", "stopsignal", "user", "volume", "shell"],
)
"""Instructions about how a container is started: here the task's own scripts are."""
_INSTALLERS = re.compile(
    r"ca-certificates|curl|wget|gnupg2?|lsb-release|software-properties-common|apt-utils|python-is-python3|pipx|vim"
    r"|python3(?:-pip|-venv|-dev)?|nano|tmux|sudo|locales|tzdata"
)
"""Packages that only bring others, that a person works with, or that prowess's own Python stands for."""
_TIDYING = re.compile(r"^(?:rm -rf? /var/(?:lib/apt|cache)\S*|true|:)$")
_ELSEWHERE = ("-r", "--requirement", "-e", "--editable", "-c", "--constraint")
"""Options of pip that name files."""


class Unfit(Exception):
    """What a task needs that cannot be given, in words."""


@dataclass(slots=True)
class Replay:
    """What a Dockerfile comes to."""

    work: str = ""
    """The working folder; empty where none is named."""
    env: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """By absolute path."""
    packages: list[str] = field(default_factory=list[str])
    """Of Debian."""
    requirements: list[str] = field(default_factory=list[str])
    """Of Python."""


def replay(dockerfile: str, context: Mapping[str, bytes]) -> Replay:
    """Follow `dockerfile` over the files beside it.

    Raises:
        Unfit: it does something that only a container engine can do.
    """
    found, args = Replay(), dict[str, str]()
    bases = 0
    for name, rest in _instructions(dockerfile):
        match name:
            case "from":
                bases += 1
                image = _filled(rest, found.env | args)
                if bases > 1 or not _BASES.match(image):
                    raise Unfit(f"its image is built from {image!r}")
            case "arg":
                key, given, value = rest.partition("=")
                if given:
                    args[key.strip()] = _filled(_unquoted(value), args)
            case "env":
                found.env |= {key: _filled(value, found.env | args) for key, value in _pairs(rest)}
            case "workdir":
                found.work = _absolute(_filled(_unquoted(rest), found.env | args), found.work)
            case "copy" | "add":
                _copy(found, [_filled(word, found.env | args) for word in _words(rest)], context)
            case "run":
                _run(found, _filled(rest, found.env | args))
            case _ if name in _MEANINGLESS:
                continue
            case _:
                raise Unfit(f"its Dockerfile says {name.upper()}")
    return found


def installs(script: str) -> tuple[list[str], list[str]]:
    """(packages of Debian, packages of Python) that a shell script brings before it does its work.

    Raises:
        Unfit: it brings something else.
    """
    packages: list[str] = []
    requirements: list[str] = []
    for words in _commands(script):
        packages += _apt(words) or []
        requirements += _pip(words) or []
        if words[0] in ("uv", "uvx"):
            pairs = pairwise(words)
            requirements += [value for option, value in pairs if option in ("--with", "-w", "--from")]
    return packages, requirements


def _instructions(text: str) -> list[tuple[str, str]]:
    """(name in small letters, the rest) of each instruction; comments and continuations are taken out."""
    found: list[tuple[str, str]] = []
    waiting = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        waiting += line.strip() if not waiting else f" {line.strip()}"
        if waiting.endswith("\\"):
            waiting = waiting[:-1].rstrip()
            continue
        if waiting:
            name, _, rest = waiting.partition(" ")
            if "<<" in rest and name.lower() in ("run", "copy"):
                raise Unfit("its Dockerfile has a script of its own")
            found.append((name.lower(), rest.strip()))
        waiting = ""
    return found


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda m: known.get(m[1] or m[3], m[2] or ""), text)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _pairs(text: str) -> list[tuple[str, str]]:
    if "=" not in text.split(" ", maxsplit=1)[0]:  # the old form, one variable a line
        key, _, value = text.partition(" ")
        return [(key, _unquoted(value))]
    return [(key, value) for key, _, value in (word.partition("=") for word in _split(text))]


def _words(text: str) -> list[str]:
    if text.startswith("["):
        try:
            words: object = json.loads(text)
        except ValueError:
            words = None
        if isinstance(words, list):
            return [str(word) for word in words]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return _split(text)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise Unfit(f"its Dockerfile has a line that cannot be read: {text[:80]!r}") from None


def _absolute(path: str, work: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(work or "/", path).parts[1:]:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def _copy(found: Replay, words: list[str], context: Mapping[str, bytes]) -> None:
    options = [word for word in words if word.startswith("--")]
    if any(not option.startswith(("--chown", "--chmod")) for option in options):
        raise Unfit(f"its Dockerfile copies with {options[0]}")
    *sources, target = [word for word in words if not word.startswith("--")] or [""]
    for source in sources:
        if "://" in source or source.endswith((".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")):
            raise Unfit(f"its Dockerfile adds {source}")
        inside = _absolute(source, "/")[1:]
        if inside.split("/")[0] == SKILLS:
            continue
        onto = _absolute(target, found.work)
        below = {path: data for path, data in context.items() if path.startswith(f"{inside}/" if inside else "")}
        below = {path: data for path, data in below.items() if path.split("/")[0] != SKILLS}
        if inside in context:
            name = inside.rpartition("/")[2]
            is_folder = target.endswith("/") or target in (".", "..") or len(sources) > 1 or onto == found.work
            found.files[f"{onto.rstrip('/')}/{name}" if is_folder else onto] = context[inside]
        elif below:
            cut = len(inside) + 1 if inside else 0
            found.files |= {f"{onto.rstrip('/')}/{path[cut:]}": data for path, data in below.items()}
        else:
            raise Unfit(f"its Dockerfile copies {source}, which the folder does not have")


def _run(found: Replay, text: str) -> None:
    for command in _commands(text):
        words = [word for word in command if not re.match(r"^\w+=\S*$", word)] or ["true"]
        line = " ".join(words)
        if (packages := _apt(words)) is not None:
            found.packages += packages
        elif (requirements := _pip(words)) is not None:
            found.requirements += requirements
        elif words[0] != "mkdir" and not _TIDYING.match(line):  # a folder is made when something is written there
            raise Unfit(f"its Dockerfile runs {line[:80]!r}")


def _apt(words: list[str]) -> list[str] | None:
    """What a command asks apt for; None where it does not."""
    rest = [word for word in words[1:] if not word.startswith(("-", ">", "2>"))]
    if words[0] not in ("apt-get", "apt") or not rest:
        return None
    names = rest[1:] if rest[0] == "install" else []
    return [
        name
        for name in (word.partition("=")[0] for word in names)
        if not _INSTALLERS.fullmatch(name) and "/" not in name
    ]


def _commands(script: str) -> list[list[str]]:
    """The simple commands of a shell script, as far as its words tell."""
    text = re.sub(r"\\\s*\n\s*", " ", script)
    found: list[list[str]] = []
    for line in re.split(r"\n|&&|\|\||;", text):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            words = line.split()
        if words:
            found.append(words)
    return found


def _pip(words: list[str]) -> list[str] | None:
    """What a command asks pip for; None where it does not."""
    if words[:2] == ["uv", "pip"]:
        words = words[1:]
    if words[0].startswith("python") and words[1:3] == ["-m", "pip"]:
        words = words[2:]
    if not words[0].startswith("pip") or words[1:2] != ["install"]:
        return None
    found: list[str] = []
    rest = iter(words[2:])
    for word in rest:
        if word in _ELSEWHERE or re.match(r"[./]|git\+|https?:", word):
            raise Unfit(f"it installs {' '.join(words)[:80]!r}")
        if word in ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--timeout", "--retries"):
            next(rest, None)
        elif word in (">", "2>", "&>", "|", ">>", "2>&1") or word.startswith((">", "2>")):
            break
        elif not word.startswith("-"):
            found.append(word)
    return [word for word in found if word not in ("pip", "setuptools", "wheel", "uv")]
