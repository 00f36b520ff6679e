"""SKILL.md as text: reading it strictly or leniently, checking it, writing it.

The format is the Agent Skills specification (agentskills.io): YAML frontmatter with six known keys, then Markdown.
Text is hostile input: the frontmatter is read from YAML *events*, so that anchors, aliases, tags, merge keys, duplicate
keys and deep nesting are refused before anything is built, and every scalar stays the string that was written
(`name: no` is "no"). Folders and their other files are the work of `prowess.library.trees`.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml
from pydantic import JsonValue

from prowess.core.errors import InvalidSkill
from prowess.core.skill import Skill
from prowess.core.task import File

FRONTMATTER_CAP: Final = 16 * 1024
"""Bytes of frontmatter that are read; real ones stay below 3 KB."""
TEXT_CAP: Final = 1024 * 1024
"""Bytes of a whole SKILL.md that are read. The specification advises fewer than 500 lines."""
KEYS: Final = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
"""Every key that the specification knows, in the order in which they are written."""
_DEPTH_CAP: Final = 5
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESERVED: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)

Value = str | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a lenient reading found: the skill, or None where it cannot be used, and everything that is wrong."""

    skill: Skill | None
    problems: tuple[str, ...]


class _Unreadable(Exception):
    """The frontmatter cannot be read safely; the text says why."""


def parse(text: str, where: str, directory_name: str | None = None, strict: bool = True) -> Skill:
    """The skill that `text` holds, without other files.

    Args:
        text: All of SKILL.md.
        where: Names the source in errors: a path or URL.
        directory_name: Name of the folder that holds the file, which must be the skill's name.
        strict: Refuse every breach of the specification; otherwise only what makes the skill unusable.

    Raises:
        InvalidSkill: lists every problem found.
    """
    parsed = read(text, directory_name)
    if parsed.skill is None or (strict and parsed.problems):
        raise InvalidSkill(where, list(parsed.problems))
    return parsed.skill


def read(text: str, directory_name: str | None = None) -> Parsed:
    """Read `text` as other agents do: warn of what is wrong, give up only where no skill can be made of it.

    A skill is given up when its frontmatter is missing or unreadable, or when it has no description or no name that can
    be used. Where folder and frontmatter disagree on the name, the folder's name counts.
    """
    problems: list[str] = []
    try:
        head, body = split(text)
        try:
            fields = _fields(head)
        except _Unreadable as error:
            # A colon inside an unquoted value is the commonest slip in skills found in the wild.
            quoted = _quote_colons(head)
            if quoted == head:
                raise
            fields = _fields(quoted)
            problems.append(f"{error}; read as if the value with the colon were quoted")
    except _Unreadable as error:
        return Parsed(None, (*problems, str(error)))
    if text.startswith("\ufeff"):
        problems.append("starts with a byte order mark")
    if unknown := [repr(key[:60]) for key in fields if key not in KEYS]:
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        problems.append(f"unknown frontmatter key {', '.join(unknown[:8])}{more}")

    metadata = _metadata(fields.get("metadata"), problems)
    name = _text(fields, "name", problems)
    skill = Skill(
        name=name,
        description=_text(fields, "description", problems).strip(),
        license=_text(fields, "license", problems) or None,
        compatibility=_text(fields, "compatibility", problems) if "compatibility" in fields else None,
        allowed_tools=_tools(fields, problems),
        metadata=metadata,
        body=_canonical_body(body),
    )
    problems += [p for p in validate(skill) if p not in problems]
    if directory_name is not None and directory_name != name:
        problems.append(f"the folder is named {directory_name!r} and the skill {name!r}; they must be the same")
        skill = skill.model_copy(update={"name": directory_name})
    usable = bool(skill.description) and _is_component(skill.name)
    return Parsed(skill if usable else None, tuple(problems))


def validate(skill: Skill) -> list[str]:
    """Every breach of the specification in `skill`; empty when it may be written.

    Names must be ASCII although the reference validator lets other lower-case letters pass: not every agent does.
    """
    problems: list[str] = []
    if not skill.name:
        problems.append("name is missing")
    elif len(skill.name) > 64:
        problems.append(f"name has {len(skill.name)} characters; at most 64 are allowed")
    if skill.name and not _NAME.fullmatch(skill.name):
        problems.append(
            f"name {skill.name!r} must be lower-case letters a-z, digits and single hyphens, none at either end"
        )
    elif skill.name in _RESERVED:
        problems.append(f"name {skill.name!r} is reserved by Windows")
    if not skill.description.strip():
        problems.append("description is missing")
    elif len(skill.description) > 1024:
        problems.append(f"description has {len(skill.description)} characters; at most 1024 are allowed")
    if skill.compatibility is not None and not 1 <= len(skill.compatibility) <= 500:
        problems.append(f"compatibility has {len(skill.compatibility)} characters; 1 to 500 are allowed")
    for label, value in _strings(skill):
        if bad := _unprintable(value):
            problems.append(f"{label} holds the control character U+{ord(bad):04X}")
    problems += _file_problems(skill.files)
    if not problems:
        text = render(skill)
        if len(split(text)[0].encode()) > FRONTMATTER_CAP:
            problems.append(f"frontmatter is larger than {FRONTMATTER_CAP} bytes")
        if len(text.encode()) > TEXT_CAP:
            problems.append(f"SKILL.md is larger than {TEXT_CAP} bytes")
    return problems


def canonical(skill: Skill) -> Skill:
    """The skill as it will be read back: line ends, outer blank lines and the order of files made uniform."""
    return skill.model_copy(
        update={
            "description": _lines(skill.description).strip(),
            "body": _canonical_body(skill.body),
            "metadata": dict(sorted(skill.metadata.items())),
            "license": skill.license or None,
            "allowed_tools": skill.allowed_tools or None,
            "files": tuple(sorted(skill.files, key=lambda f: f.path)),
        }
    )


def render(skill: Skill) -> str:
    """SKILL.md as text; `parse(render(skill))` gives back `canonical(skill)`, its other files apart."""
    skill = canonical(skill)
    fields: dict[str, str | dict[str, str] | None] = {
        "name": skill.name,
        "description": skill.description,
        "license": skill.license,
        "compatibility": skill.compatibility,
        "metadata": skill.metadata or None,
        "allowed-tools": skill.allowed_tools,
    }
    present = {key: value for key, value in fields.items() if value is not None}
    head = yaml.safe_dump(present, sort_keys=False, allow_unicode=True, width=10**6, line_break="\n")
    return f"---\n{head}---\n" + (f"\n{skill.body}" if skill.body else "")


def split(text: str) -> tuple[str, str]:
    """Frontmatter and body, both with `\\n` line ends. Raises `_Unreadable` where there is no frontmatter."""
    if len(text) > TEXT_CAP:
        raise _Unreadable(f"SKILL.md is larger than {TEXT_CAP} bytes")
    text = _lines(text.removeprefix("\ufeff"))
    if not re.match(r"---[ \t]*\n", text):
        raise _Unreadable("SKILL.md must start with a line '---' and YAML frontmatter")
    start = text.index("\n") + 1
    end = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE).search(text, start)
    if end is None:
        raise _Unreadable("the frontmatter is not closed by a line '---'")
    return text[start : end.start()], text[end.end() :]


def frontmatter(text: str) -> dict[str, JsonValue]:
    """The frontmatter as JSON, keys that the format does not know included; empty where it cannot be read.

    Plain values are numbers and truth values where YAML says so; a time stays the text that YAML writes for it.
    """
    try:
        head, _ = split(text)
        fields = _fields(head)  # refuses anchors, tags, depth and size
    except _Unreadable:
        return {}
    try:
        return cast("dict[str, JsonValue]", json.loads(json.dumps(yaml.safe_load(head), default=str, allow_nan=False)))
    except (yaml.YAMLError, ValueError, TypeError):
        return cast("dict[str, JsonValue]", fields)


def with_body(text: str, body: str) -> str:
    """`text` with another body and its frontmatter kept to the letter, unknown keys and comments included."""
    head, _ = split(text)
    body = _canonical_body(body)
    return f"---\n{head}---\n" + (f"\n{body}" if body else "")


def path_problem(path: str) -> str | None:
    """Why `path` may not be a file of a skill; None when it may."""
    parts = path.split("/")
    if not path or len(path) > 200 or len(parts) > 8:
        return f"path {path[:60]!r} is empty, too long or too deep"
    if not all(_is_component(part) for part in parts):
        return f"path {path!r} must be relative, with forward slashes and no '.', '..', control or wildcard characters"
    if any(part.startswith(".") for part in parts):
        return f"path {path!r} is hidden"
    if any(part.split(".")[0].lower() in _RESERVED or part.endswith((" ", ".")) for part in parts):
        return f"path {path!r} cannot exist on Windows"
    if path.lower() == "skill.md":
        return f"path {path!r} stands for SKILL.md itself"
    return None


def _file_problems(files: tuple[File, ...]) -> list[str]:
    problems = [problem for file in files if (problem := path_problem(file.path))]
    seen: dict[str, str] = {}
    for file in files:
        other = seen.setdefault(file.path.lower(), file.path)
        if other != file.path or [f.path for f in files].count(file.path) > 1:
            problems.append(f"paths {other!r} and {file.path!r} are the same on some file systems")
    folders = {"/".join(f.path.lower().split("/")[:n]) for f in files for n in range(1, f.path.count("/") + 1)}
    problems += [f"path {path!r} is both a file and a folder" for path in seen if path in folders]
    return problems


def _fields(head: str) -> dict[str, Value]:
    if len(head.encode("utf-8", "surrogatepass")) > FRONTMATTER_CAP:
        raise _Unreadable(f"frontmatter is larger than {FRONTMATTER_CAP} bytes")
    try:
        value = _build(head)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 2}" if mark is not None else ""
        raise _Unreadable(f"frontmatter is not valid YAML: {problem}{place}") from error
    except UnicodeEncodeError as error:
        raise _Unreadable("frontmatter is not valid Unicode") from error
    if not isinstance(value, dict):
        raise _Unreadable("frontmatter must be a mapping of keys to values")
    return value


def _build(head: str) -> Value:
    """One YAML document of strings, lists and mappings, from parser events; everything cleverer is refused."""
    stack: list[list[Value] | dict[str, Value]] = []
    keys: list[str | None] = []
    root: list[Value] = []

    def put(value: Value, line: int) -> None:
        if not stack:
            root.append(value)
        elif isinstance(top := stack[-1], list):
            top.append(value)
        elif (key := keys[-1]) is None:
            if not isinstance(value, str):
                raise _Unreadable(f"frontmatter line {line}: a key must be plain text")
            if value in top:
                raise _Unreadable(f"frontmatter line {line}: key {value!r} appears twice")
            if value == "<<":
                raise _Unreadable(f"frontmatter line {line}: merge keys are not allowed")
            keys[-1] = value
        else:
            top[key] = value
            keys[-1] = None

    for event in cast(Any, yaml).parse(head, Loader=_LOADER):  # PyYAML's stubs leave events untyped
        line: int = event.start_mark.line + 2
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Unreadable(f"frontmatter line {line}: anchors and aliases are not allowed")
        if getattr(event, "tag", None):
            raise _Unreadable(f"frontmatter line {line}: tags are not allowed")
        if isinstance(event, yaml.DocumentStartEvent) and root:
            raise _Unreadable(f"frontmatter line {line}: a second document is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None
            put("" if plain and event.value in ("~", "null") else str(event.value), line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(stack) >= _DEPTH_CAP:
                raise _Unreadable(f"frontmatter line {line}: nested more than {_DEPTH_CAP} deep")
            child: list[Value] | dict[str, Value] = {} if isinstance(event, yaml.MappingStartEvent) else []
            put(child, line)
            stack.append(child)
            keys.append(None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            keys.pop()
    return root[0] if root else {}


def _quote_colons(head: str) -> str:
    """`head` with every unquoted one-line value that holds a colon put into single quotes."""

    def quote(match: re.Match[str]) -> str:
        key, value = match.group(1), match.group(2).rstrip()
        if ":" not in value or value[0] in "'\"|>[{&*!%@`":
            return match.group(0)
        return f"{key}: '" + value.replace("'", "''") + "'"

    return re.sub(r"^([A-Za-z][\w-]*):[ \t]+(\S.*)$", quote, head, flags=re.MULTILINE)


def _text(fields: dict[str, Value], key: str, problems: list[str]) -> str:
    value = fields.get(key, "")
    if isinstance(value, str):
        return value
    problems.append(f"{key} must be text")
    return ""


def _tools(fields: dict[str, Value], problems: list[str]) -> str | None:
    value = fields.get("allowed-tools", "")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        problems.append("allowed-tools must be one string with spaces between the tools, not a list")
        return " ".join(str(item) for item in value) or None
    return _text(fields, "allowed-tools", problems) or None


def _metadata(value: Value | None, problems: list[str]) -> dict[str, str]:
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        problems.append("metadata must be a mapping of text to text")
        return {}
    problems += [f"metadata {key!r} must be text" for key, item in value.items() if not isinstance(item, str)]
    return {key: item for key, item in sorted(value.items()) if isinstance(item, str)}


def _strings(skill: Skill) -> list[tuple[str, str]]:
    pairs = [
        ("name", skill.name),
        ("description", skill.description),
        ("license", skill.license or ""),
        ("compatibility", skill.compatibility or ""),
        ("allowed-tools", skill.allowed_tools or ""),
        ("body", skill.body),
    ]
    return pairs + [("metadata", text) for item in skill.metadata.items() for text in item]


def _unprintable(text: str) -> str | None:
    """The first character that YAML or UTF-8 cannot carry; tab and line feed are fine."""
    found = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]", text)
    return found.group() if found else None


def _is_component(part: str) -> bool:
    if part in ("", ".", "..") or len(part.encode("utf-8", "surrogatepass")) > 255:
        return False
    return not re.search(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\ud800-\udfff]', part)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _canonical_body(body: str) -> str:
    body = re.sub(r"\A(?:[ \t]*\n)+", "", _lines(body))
    if not body.strip():
        return ""
    return body if body.endswith("\n") else body + "\n"
