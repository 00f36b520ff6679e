"""Other scanners as a second opinion: run without network where the caller confines them, kept by name and version.

Their findings are shown beside ours and decide nothing: levels differ between scanners, and a clean result of any of
them is no reason to trust a skill more.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Protocol

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.task import File
from prowess.library.disk import write_file


class Remark(Frozen):
    """One finding of another scanner, in its own words."""

    rule: str
    level: str
    """As that scanner calls it, in lower case."""
    file: str
    line: int
    """From 1; 0 where it names none."""
    text: str


class Opinion(Frozen):
    """What one scanner says of one content."""

    scanner: str
    version: str
    remarks: tuple[Remark, ...] = ()
    failure: str = ""
    """Why it gave no result; then nothing is known, and `remarks` is empty."""


class Ran(Protocol):
    """What is left of a run. The `Result` of a sandbox is one."""

    @property
    def exit_code(self) -> int: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...
    @property
    def timed_out(self) -> bool: ...


class Runner(Protocol):
    """Runs a command in a fresh folder with copies of `files`, without network. `python` means this interpreter."""

    async def __call__(self, argv: list[str], files: tuple[File, ...], /) -> Ran: ...


@dataclass(frozen=True, slots=True)
class Scanner:
    """How one scanner is called and read. It must be installed beside prowess."""

    package: str
    argv: tuple[str, ...]
    """For the interpreter; the skill lies in the folder `skill`."""
    parse: Callable[[Any], list[Remark]]


def _bandit(data: Any) -> list[Remark]:
    return [
        _remark(r["test_id"], r["issue_severity"], r["filename"], r["line_number"], r["issue_text"])
        for r in data["results"]
    ]


def _detect_secrets(data: Any) -> list[Remark]:
    return [
        _remark(r["type"], "secret", path, r["line_number"], r["type"])
        for path, found in data["results"].items()
        for r in found
    ]


def _cisco(data: Any) -> list[Remark]:
    return [
        _remark(r["rule_id"], r["severity"], r.get("file_path") or "", r.get("line_number") or 0, r["title"])
        for r in data["findings"]
    ]


def _sarif(data: Any) -> list[Remark]:
    results: list[Any] = [result for run in data["runs"] for result in run["results"]]
    return [_remark(r["ruleId"], r.get("level", "warning"), *_place(r), r["message"]["text"]) for r in results]


def _place(result: Any) -> tuple[Any, Any]:
    """File and line of a result in SARIF, as far as it names them."""
    places: Any = result.get("locations") or [{}]
    where: Any = places[0].get("physicalLocation", {})
    return where.get("artifactLocation", {}).get("uri", ""), where.get("region", {}).get("startLine", 0)


def _remark(rule: object, level: object, file: object, line: object, text: object) -> Remark:
    path = re.sub(r"^(?:\./|/sandbox/|skill/)+", "", str(file))
    return Remark(
        rule=str(rule)[:100], level=str(level).lower()[:20], file=path[:200], line=int(str(line)), text=str(text)[:300]
    )


SCANNERS: Final[Mapping[str, Scanner]] = {
    "bandit": Scanner("bandit", ("-m", "bandit", "-q", "-r", "skill", "-f", "json", "--exit-zero"), _bandit),
    "detect-secrets": Scanner(
        "detect-secrets",
        ("-m", "detect_secrets", "-c", "1", "scan", "--all-files", "--no-verify", "skill"),
        _detect_secrets,
    ),
    "cisco": Scanner(
        "cisco-ai-skill-scanner", ("-m", "skill_scanner.cli.cli", "scan", "skill", "--format", "json"), _cisco
    ),
    "skillspector": Scanner(
        "skillspector",
        ("-c", "from skillspector.cli import app; app()", "scan", "skill", "--no-llm", "--format", "sarif"),
        _sarif,
    ),
}


def scanner(name: str) -> tuple[Scanner, str]:
    """The scanner of this name, and its version.

    Raises:
        UserError: it is not known, or not installed.
    """
    found = SCANNERS.get(name)
    if found is None:
        raise UserError(f"no scanner is called {name!r}", f"choose one of {', '.join(SCANNERS)}")
    try:
        return found, version(found.package)
    except PackageNotFoundError:
        raise UserError(
            f"{name} is not installed here", f"install it beside prowess: pip install {found.package}"
        ) from None


async def opinion(name: str, files: Mapping[str, bytes], digest: str, run: Runner, folder: Path) -> Opinion:
    """What the scanner `name` says of `files`; asked once for each content and version.

    Args:
        digest: Of the content.
        folder: Where opinions are kept.

    Raises:
        UserError: the scanner is not known or not installed, or the opinion cannot be kept.
    """
    found, number = scanner(name)
    place = folder / digest / f"{name}-{number}.json"
    try:
        return Opinion.model_validate_json(place.read_bytes())
    except (OSError, ValueError):
        pass  # not asked yet, or damaged: asked again
    ran = await run(
        ["python", *found.argv],
        tuple(File(path=f"skill/{path}", data=data) for path, data in sorted(files.items())),
    )
    said = Opinion(scanner=name, version=number, **_read(found, ran))
    if said.failure:
        return said
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_file(place, said.model_dump_json(indent=1).encode(), place.parent)
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror}", "free some space") from error
    return said


def _read(found: Scanner, ran: Ran) -> dict[str, Any]:
    """The fields of an opinion. Whatever a scanner prints was shaped by the skill: nothing in it may break us."""
    if ran.timed_out:
        return {"failure": "it took too long"}
    start = ran.stdout.find("{")
    try:
        remarks = found.parse(json.loads(ran.stdout[start:] if start >= 0 else ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        last = ran.stderr.strip().splitlines()[-1:]
        return {"failure": f"no result that can be read (exit code {ran.exit_code}) {' '.join(last)[:200]}".strip()}
    return {"remarks": tuple(remarks[:500])}
