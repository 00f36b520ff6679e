"""`prowess scan`: look through skills for what may harm, without running any of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prowess.cli.options import Budget, Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.task import File
    from prowess.guard.scan import Finding
    from prowess.guard.scan.others import Opinion
    from prowess.measure.semantic import Review
    from prowess.sandbox import Result


def scan(
    *,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT",
            help="A skill folder, a folder of them, an archive, or a git address; by default the library.",
        ),
    ] = None,
    ref: Annotated[
        str | None, typer.Option("--ref", metavar="REF", help="Of a repository: branch, tag or commit.")
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Also write SARIF 2.1.0; - for stdout.")
    ] = None,
    ask: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="SCANNER",
            help="Also ask bandit, detect-secrets, cisco or skillspector; may stand more than once.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            show_default=False,
            help="Also have a model read each skill, in four calls: openai:NAME, anthropic:NAME or embedded.",
        ),
    ] = None,
    budget: Budget = None,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Look through skills for what may harm.

    Nothing is run. A block should keep a skill out, a review is for a person to decide; nothing found does not mean
    safe. Exit code 1 when something blocks, or when a model was asked and does not pass a skill.
    """
    from prowess.cli.screen import Screen
    from prowess.guard.scan import scan_files
    from prowess.guard.scan.sarif import sarif as as_sarif
    from prowess.library.bundles import read_bundle
    from prowess.library.trees import tree_digest
    from prowess.report.text import count

    screen = Screen(json)
    skills: Mapping[str, Mapping[str, bytes]]
    if what is None:
        opened = open_library(library)
        source, skills = str(opened.path), opened.trees()
        learned = {name for name in skills if opened.is_authored(name)}
    else:
        bundle = read_bundle(what, ref)
        source, skills, learned = bundle.source, bundle.skills, set[str]()
    found = {name: scan_files(files, name, learned=name in learned) for name, files in skills.items()}
    blocked = sorted(name for name, findings in found.items() if any(f.severity == "block" for f in findings))
    opinions = {name: _opinions(ask, skills[name], tree_digest(skills[name])) for name in skills} if ask else {}
    read = _read(model, budget, skills) if model else {}
    if sarif is not None:
        write_sarif(screen, sarif, as_sarif(found))
    if json:
        screen.data(
            {
                "source": source,
                "blocked": blocked,
                "skills": {
                    name: {"findings": plain(f), "opinions": opinions.get(name, []), "read": read.get(name)}
                    for name, f in found.items()
                },
            }
        )
    elif str(sarif) != "-":
        for name, findings in found.items():
            show(screen, name, findings)
            for each in opinions.get(name, []):
                _show_opinion(screen, each)
            if name in read:
                _show_review(screen, name, read[name])
        clean = sum(not findings for findings in found.values())
        review = len(found) - len(blocked) - clean
        counted = count(len(found), "skill")
        screen.line(f"{counted}: {len(blocked)} blocked, {review} to review, {clean} without findings")
    if blocked or any(each is None or not each.passed for each in read.values()):
        raise typer.Exit(1)


def show(screen: "Screen", name: str, findings: "list[Finding]") -> None:
    """The findings of one skill, each with its evidence."""
    if not findings:
        return
    screen.line((name, "bold"))
    for finding in findings:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file or "the whole skill"
        style = "red" if finding.severity == "block" else "bold"
        screen.line(
            "  ",
            (f"{finding.severity:<6}", style),
            f" {place}  {finding.why} ",
            (f"[{finding.rule}, {finding.threat}]", "dim"),
        )
        if finding.excerpt:
            screen.line("         “", finding.excerpt, "”")


def plain(findings: "list[Finding]") -> list[dict[str, Any]]:
    """Findings for JSON."""
    from dataclasses import asdict

    return [asdict(finding) for finding in findings]


def write_sarif(screen: "Screen", place: Path, data: dict[str, Any]) -> None:
    """SARIF into a file, or to stdout for `-`."""
    import json

    from prowess.core.errors import UserError

    if str(place) == "-":
        screen.data(data)
        return
    try:
        place.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror}", "name another file") from error
    screen.note(f"wrote {place}")


def _opinions(names: list[str], files: Mapping[str, bytes], digest: str) -> "list[Opinion]":
    """What other scanners say. They run in the sandbox: a skill may be made to attack the one who reads it."""
    import anyio

    from prowess.guard.scan.others import opinion
    from prowess.sandbox import Limits, find_sandbox
    from prowess.settings import load

    sandbox = find_sandbox()
    limits = Limits(seconds=120, memory_mb=4096, output_bytes=4 << 20)

    async def run(argv: list[str], given: "tuple[File, ...]") -> "Result":
        return await sandbox.run(argv, given, limits)

    async def ask() -> "list[Opinion]":
        folder = load().settings.data / "opinions"
        return [await opinion(name, files, digest, run, folder) for name in names]

    return anyio.run(ask)


def _read(model: str, budget: float | None, skills: Mapping[str, Mapping[str, bytes]]) -> "dict[str, Review | None]":
    """What a model says of each skill; None for a folder that is no valid skill."""
    import anyio

    from prowess.agents.models import open_model
    from prowess.agents.models.meter import Budget as Limit
    from prowess.agents.models.meter import Metered
    from prowess.library.trees import skill_of
    from prowess.measure.semantic import review
    from prowess.settings import load

    reader = Metered(open_model(model), Limit(usd=load().settings.budget_usd if budget is None else budget))

    async def each() -> "dict[str, Review | None]":
        parsed = {name: skill_of(name, files).skill for name, files in skills.items()}
        return {name: await review(skill, reader) if skill is not None else None for name, skill in parsed.items()}

    return anyio.run(each)


def _show_review(screen: "Screen", name: str, review: "Review | None") -> None:
    if review is None:
        screen.line(f"  {name} ", ("not passed: ", "red"), "it is no valid skill")
    elif review.passed:
        screen.line(f"  {name}: {review.model} passes it, {review.votes} readers of {review.votes}")
    else:
        screen.line(f"  {name} ", ("not passed ", "red"), f"by {review.model}: {review.note}")


def _show_opinion(screen: "Screen", opinion: "Opinion") -> None:
    head = f"  {opinion.scanner} {opinion.version}: "
    if opinion.failure:
        screen.line(head, ("no result: ", "red"), opinion.failure)
        return
    screen.line(head, f"{len(opinion.remarks)} remarks")
    for remark in opinion.remarks[:20]:
        screen.line(f"    {remark.level:<8} {remark.file}:{remark.line}  {remark.text} ", (f"[{remark.rule}]", "dim"))
