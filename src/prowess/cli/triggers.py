"""`prowess triggers`: is each skill loaded when it should be, and only then?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from prowess.cli.options import (
    Budget,
    Concurrency,
    Json,
    LibraryPath,
    ModelSpec,
    Seed,
    Yes,
    chosen_budget,
    open_library,
)

if TYPE_CHECKING:
    from prowess.agents.base import Agent
    from prowess.cli.screen import Screen
    from prowess.core.skill import Snapshot
    from prowess.library import Library
    from prowess.measure.triggers.record import TriggerRecord
    from prowess.measure.triggers.results import Rate
    from prowess.measure.triggers.sets import Query


Skills = Annotated[
    list[str] | None, typer.Argument(metavar="SKILL", help="Only these skills; by default the whole library.")
]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="The queries: YAML, JSON, or a trigger set of skill-creator."),
]
Generate = Annotated[
    Path | None,
    typer.Option(
        "--generate", metavar="FILE",
        help="Let the model write queries into FILE, and stop. A .json is one of skill-creator.",
    ),
]  # fmt: skip
Needs = Annotated[
    int, typer.Option("--needs", "-n", metavar="N", min=1, max=100, help="With --generate: wishes for each skill.")
]
AgentName = Annotated[
    str,
    typer.Option(
        "--agent", "-a", metavar="AGENT", help="tools, claude-code, codex; or lexical, a stand-in without a model."
    ),
]
PresetName = Annotated[
    str, typer.Option("--preset", "-p", metavar="NAME", help="How skills are listed: claude-code, codex or all.")
]
Window = Annotated[
    int | None, typer.Option("--window", metavar="TOKENS", min=1000, help="Context window of the listing agent.")
]
Description = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="Compare this description with that of SKILL.")
]
Against = Annotated[
    str | None, typer.Option("--against", metavar="SNAPSHOT", help="Compare with the description in an older state.")
]
Part = Annotated[Literal["all", "tune", "held-out"], typer.Option("--part", help="Which part of the queries to ask.")]
Repeat = Annotated[
    int, typer.Option("--repeat", "-r", metavar="N", min=1, max=100, help="How often to ask each query.")
]
Page = Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write a page, too.")]


def triggers(
    *,
    skill: Skills = None,
    from_: From = None,
    generate: Generate = None,
    needs: Needs = 8,
    agent: AgentName = "tools",
    preset: PresetName = "claude-code",
    window: Window = None,
    description: Description = None,
    against: Against = None,
    part: Part = "all",
    repeat: Repeat = 1,
    page: Page = None,
    model: ModelSpec = None,
    library: LibraryPath = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Measure when skills are loaded.

    Each query is asked of an agent that sees the list of skills, until it is known what it loads. Trials are stored,
    so that a stopped command resumes. Exit code 1 when a compared description is worse.
    """
    from functools import partial

    import anyio

    from prowess.agents.models import open_metered
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.measure.trials import Bench
    from prowess.measure.triggers.catalogue import preset as find_preset
    from prowess.measure.triggers.choosers import agent as open_agent
    from prowess.measure.triggers.choosers import check_not_shadowed
    from prowess.measure.triggers.record import measure
    from prowess.measure.triggers.trials import Unjudged
    from prowess.settings import load
    from prowess.trajectories.runstore import RunStore

    screen, settings = Screen(json), load().settings
    opened = open_library(library)
    now = opened.snapshot()
    names = _known(now, skill)
    limit = chosen_budget(budget)
    if generate is not None:
        from prowess.cli.trigger_sets import write_set

        write_set(
            screen, now, names or now.names, generate, needs, seed, open_metered(model or settings.model, limit), yes
        )
        return
    if from_ is None:
        raise UserError(
            "there is nothing to ask", "give queries with --from FILE, or let a model write some: --generate"
        )
    queries = _queries(from_, names, part)
    libraries = _libraries(opened, now, names, description, against)
    if agent in ("claude-code", "codex") and budget is not None:
        raise UserError(f"{agent} tells what it cost only afterwards", "leave --budget out, and ask fewer queries")
    check_not_shadowed(agent, tuple(libraries.values()), Path.home())
    chooser = open_agent(agent, lambda: open_metered(model or settings.model, limit), model_name=model or "")
    with Waiting(limit) as waiting:
        bench = Bench(
            agent=chooser, suite=Unjudged(), store=RunStore(settings.data / "triggers.db"),
            concurrency=concurrency or settings.concurrency,
            on_progress=waiting.trials,
        )  # fmt: skip
        work = partial(
            measure, queries, libraries, find_preset(preset, window), bench,
            skill=names[0] if len(libraries) == 2 else None, seeds=range(seed, seed + repeat), uses=_uses(),
        )  # fmt: skip
        record = anyio.run(work)
    _tell(screen, record, page, chooser)
    if record.comparison is not None and record.comparison.overall.outcome == "worse":
        raise typer.Exit(1)


def _known(now: "Snapshot", names: list[str] | None) -> tuple[str, ...]:
    from prowess.core.errors import UserError

    if unknown := [n for n in names or () if now.get(n) is None]:
        raise UserError(f"the library has no skill {unknown[0]!r}", "`prowess show` lists its skills")
    if not now.skills:
        raise UserError("the library is empty, so nothing can be loaded", "`prowess run` or `learn` fill it")
    return tuple(names or ())


def _queries(path: Path, names: tuple[str, ...], part: str) -> "tuple[Query, ...]":
    from prowess.core.errors import UserError
    from prowess.measure.triggers.sets import load

    found = load(path, names[0] if len(names) == 1 else None)
    chosen = [q for q in found if part in ("all", q.part) and (not names or {*names} & {*q.skills})]
    if not chosen:
        raise UserError(f"no query of {path} is left", "choose other skills, or another --part")
    return tuple(chosen)


def _libraries(
    opened: "Library", now: "Snapshot", names: tuple[str, ...], description: str | None, against: str | None
) -> "dict[str, Snapshot]":
    """The library as it is; or with an old and a new description of one skill, and nothing else different."""
    from prowess.core.errors import UserError

    if description is None and against is None:
        return {"library": now}
    if len(names) != 1 or (description is not None and against is not None):
        raise UserError("one description of one skill can be compared at a time", "name one SKILL")
    found = now.get(names[0])
    assert found is not None  # its name was looked up before
    if description is not None:
        if not 1 <= len(description.strip()) <= 1024:
            raise UserError("a description has 1 to 1024 characters", "write what the skill does, and when to load it")
        return {"old": now, "new": now.with_skill(found.model_copy(update={"description": description.strip()}))}
    before = opened.at(against or "").get(names[0])
    if before is None:
        raise UserError(f"the state {against!r} has no skill {names[0]!r}", "`prowess log` lists all states")
    return {"old": now.with_skill(found.model_copy(update={"description": before.description})), "new": now}


def _uses() -> dict[str, int]:
    """How often each skill was loaded in the imported sessions: some agents list what is used most."""
    from prowess.cli.places import trajectories
    from prowess.measure.funnel import funnel

    store = trajectories()
    if not store.path.is_file():
        return {}
    with store:
        return {s.skill: s.loaded.k for s in funnel(store.skill_use()).skills}


def _tell(screen: "Screen", record: "TriggerRecord", page: Path | None, agent: "Agent") -> None:
    from prowess.cli import entries
    from prowess.cli.places import write
    from prowess.cli.screen import BAD, BOLD, SOFT
    from prowess.measure.triggers.choosers import is_external
    from prowess.report.triggers import render_triggers, sentence

    if page is not None:
        write(page, render_triggers(record, is_external(agent)))
    if screen.json:
        screen.data({"summary": sentence(record), "page": page, "record": record})
        return
    for arm in record.arms:
        if len(record.arms) > 1:
            screen.line((f"with the {arm.arm} description", BOLD))
        screen.table(
            ("skill", "loaded when it should", "when it should not", "right when loaded", "listed"),
            [
                (
                    s.skill, _rate(s.recall), _rate(s.false_triggers), _rate(s.precision),
                    (s.entry.shown, "" if s.entry.shown == "whole" else BAD),
                )
                for s in arm.skills
            ],
        )  # fmt: skip
        wrong = [c for c in arm.confusions if c.expected != c.loaded]
        for c in sorted(wrong, key=lambda c: -c.runs)[:5]:
            screen.line(f"  {c.runs} × should load {c.expected or 'nothing'}, loaded {c.loaded or 'nothing'}")
        for error, n in arm.errors:
            screen.line((f"  {n} missing: {error[:200]}", BAD))
        if arm.cut:
            screen.line((f"  {arm.cut} runs used up all turns without an answer", SOFT))
    if record.comparison is not None:
        e = record.comparison.overall
        screen.line("held-out queries: ", (entries.evidence(e), entries.STYLES[e.outcome]))
    screen.line((sentence(record), BOLD))
    if "lexical" in agent.name:
        screen.note("lexical compares words; it says nothing about what a model would load")
    if page is not None:
        screen.line(f"Open {page} for confusions and queries.")


def _rate(rate: "Rate") -> str:
    from prowess.report.text import percent

    return f"{rate.k} of {rate.n} [{percent(rate.low)}, {percent(rate.high)}]" if rate.n else "–"
