"""A machine of its own for every test: home, data, cache, project folder, and a library with real skills."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prowess.cli.main import app
from prowess.core.cost import Cost
from prowess.core.evidence import Evidence, Verdict
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import AppendToSection, CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.library import Library

LESSON = Lesson(
    kind="memory",
    text="Void rows do not count.",
    references=(
        Reference(trajectory="session-1", first_step=2, last_step=2, quote="rows with status\nvoid \x1b[31mare out"),
    ),
)
SKILL = Skill(
    name="ledger-totals",
    description="Sums ledgers by account under the house rules.",
    body="# Ledger totals\n\n## Rules\n\n- Skip void rows.\n",
)
EVIDENCE = Evidence(
    baseline="without", treatment="candidate", n=12, wins=9, ties=3, losses=0, baseline_rate=0.0, treatment_rate=0.75,
    effect=0.75, low=0.4, high=0.9, p=0.0039, test="exact McNemar", outcome="better",
)  # fmt: skip


class Result:
    """What one command did."""

    def __init__(self, code: int, out: str, err: str, exception: BaseException | None) -> None:
        self.code, self.out, self.err, self.exception = code, out, err, exception

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Prowess = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    work = tmp_path / "work"
    for folder in (home, work, work / ".git"):
        folder.mkdir()
    for name in ("LIBRARY", "MODEL", "CONCURRENCY", "BUDGET_USD", "CONFIG"):
        monkeypatch.delenv(f"PROWESS_{name}", raising=False)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROWESS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PROWESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(work)
    return home


@pytest.fixture
def prowess(home: Path) -> Prowess:
    def go(*arguments: str | Path, stdin: str = "") -> Result:
        done = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr, done.exception)

    return go


@pytest.fixture
def library(home: Path, tmp_path: Path) -> Library:
    """The user's library, with one learned skill and one waiting proposal."""
    library = Library.open(tmp_path / "data" / "library", create=True)
    create = Patch(
        base=library.snapshot().digest,
        operations=(CreateSkill(skill=SKILL),),
        reason="Ledgers failed",
        lessons=(LESSON.id,),
    )
    verdict = Verdict(gate="trials", status="pass", evidence=EVIDENCE, cost=Cost(calls=24, usd=0.1))
    library.apply(create, lessons=[LESSON], verdicts=[verdict], by="trace2skill")
    library.propose(rounding(library), [LESSON], [Verdict(gate="approval", status="propose")], by="learn")
    return library


def rounding(library: Library, line: str = "- Round half up.") -> Patch:
    return Patch(
        base=library.snapshot().digest,
        operations=(AppendToSection(name="ledger-totals", section="Rules", content=f"{line}\n"),),
        reason="Totals were rounded down",
        lessons=(LESSON.id,),
    )


@pytest.fixture
def patch_file(library: Library, tmp_path: Path) -> Path:
    path = tmp_path / "patch.json"
    path.write_text(rounding(library, "- Sort by account.").model_dump_json(), "utf-8")
    return path
