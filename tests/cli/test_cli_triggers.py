"""`prowess triggers` and `prowess funnel`: what they ask, what they say, and how they end."""

import json
from pathlib import Path

import pytest

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.errors import BudgetExceeded
from prowess.core.model import Request, Response, ToolCall
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.core.task import Score
from prowess.core.trajectory import Trajectory
from prowess.library import Library
from prowess.trajectories.runstore import RunStore
from prowess.trajectories.store import TrajectoryStore


@pytest.fixture
def chooser(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A model that loads what is listed and shares a word with the query; gives the queries that it was asked."""
    asked: list[str] = []

    def answer(request: Request) -> Response | str:
        text = request.messages[-1].content
        if request.json_schema is not None:
            near = "belongs_to" in json.dumps(request.json_schema)
            words = ["alpha beta", "gamma delta", "epsilon zeta", "eta theta"]
            rows = [{"query": f"{w} near"} if near else {"need": w, "wordings": [f"{w} wish"]} for w in words]
            return json.dumps({"queries" if near else "needs": rows})
        asked.append(request.messages[1].content)
        listed = request.messages[0].content
        names = [name for name in ("ledger-totals", "paint") if f"{name}</name>" in listed and name[:5] in text]
        if "house rules" not in listed and "new words" not in listed:
            names = []
        calls = tuple(ToolCall(id=n, name="load_skill", arguments={"name": n}) for n in names)
        return Response(text="done", tool_calls=calls, model="m", cost=Cost(calls=1, usd=0.001))

    model = ScriptedModel(answer, "scripted:chooser")
    monkeypatch.setattr("prowess.agents.models.open_model", lambda spec: model)
    return asked


@pytest.fixture
def filled(library: Library) -> Library:
    paint = Skill(name="paint", description="Paints walls.", body="# Paint\n\nUse a brush.\n")
    library.apply(Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=paint),), reason="x"), by="t")
    return library


def queries(path: Path, rows: list[dict]) -> Path:
    path.write_text(json.dumps(rows))
    return path


ROWS = [
    {"query": "sum the ledger \x1b[31m of \u202e may", "should": ["ledger-totals"], "part": "held-out"},
    {"query": "paint my wall", "should": ["paint"], "should_not": ["ledger-totals"], "part": "held-out"},
    {"query": "hello", "should_not": ["ledger-totals"], "part": "tune"},
]


def test_a_library_is_measured(prowess, filled: Library, chooser: list[str], tmp_path: Path) -> None:
    file, page = queries(tmp_path / "q.json", ROWS), tmp_path / "t.html"
    done = prowess("triggers", "--from", file, "--page", page)
    assert done.code == 0 and len(set(chooser)) == 3
    assert "1 of 1 [3 %, 100 %]" in done.out and "0 of 2 [0 %, 84 %]" in done.out and "whole" in done.out
    assert "Of 2 runs that should load a skill, 2 did (100 %)" in done.out
    html = page.read_text()
    assert "⟨U+202E⟩" in html and "⟨U+001B⟩" in html and "Claude Code" in html
    before = len(chooser)
    again = prowess("triggers", "--from", file, "--json")
    assert len(chooser) == before, "stored trials are not run again"
    (arm,) = again.data["record"]["arms"]
    assert arm["missing"] == 0 and {s["skill"]: s["recall"]["k"] for s in arm["skills"]} == {
        "ledger-totals": 1,
        "paint": 1,
    }
    assert (
        prowess("triggers", "paint", "--from", file, "--json").data["record"]["queries"][0]["query"] == "paint my wall"
    )
    assert len(prowess("triggers", "--from", file, "--part", "tune", "--json").data["record"]["queries"]) == 1


def test_two_descriptions_are_compared(prowess, filled: Library, chooser: list[str], tmp_path: Path) -> None:
    rows = [{"query": f"ledger {i}", "should": ["ledger-totals"], "part": "held-out"} for i in range(8)]
    file = queries(tmp_path / "q.json", rows)
    worse = prowess("triggers", "ledger-totals", "--from", file, "--description", "Nothing to see.")
    assert worse.code == 1 and "worse: −100 points" in worse.out
    same = prowess("triggers", "ledger-totals", "--from", file, "--description", "New: new words.", "--json")
    assert same.code == 0 and same.data["record"]["comparison"]["overall"]["outcome"] == "not enough evidence"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to ask"),
        (["nothing", "--from", "q.json"], "no skill 'nothing'"),
        (["--from", "none.json"], "cannot read the trigger set"),
        (["--from", "q.json", "--preset", "cursor"], "no catalogue is called 'cursor'"),
        (["--from", "q.json", "--agent", "robot"], "no agent is called 'robot'"),
        (["--from", "q.json", "--agent", "codex", "--budget", "1"], "only afterwards"),
        (["--from", "q.json", "--description", "x"], "name one SKILL"),
        (["paint", "--from", "q.json", "--description", "x" * 1025], "1 to 1024 characters"),
        (["paint", "--from", "q.json", "--description", "x", "--part", "tune"], "is left"),
        (["ledger-totals", "--from", "q.json", "--description", "x", "--part", "tune"], "no held-out query"),
        (["ledger-totals", "--from", "q.json", "--against", "0000"], "0000"),
        (["--from", "q.json", "--page", "/proc/no/page.html"], "cannot write"),
    ],
)
def test_mistakes_are_told_before_anything_is_paid(
    prowess, filled: Library, chooser: list[str], tmp_path: Path, arguments: list[str], words: str
) -> None:
    queries(Path("q.json"), ROWS)
    done = prowess("triggers", *arguments)
    assert done.code == 2 and words in " ".join(done.err.split())
    assert not chooser or "write" in words


def test_a_model_writes_a_set(prowess, filled: Library, chooser: list[str], tmp_path: Path) -> None:
    file = tmp_path / "set.yaml"
    done = prowess("triggers", "paint", "--generate", file, "-n", "2", "--json")
    assert done.code == 0 and done.data["skills"][0]["needs"] == 2 and "generated" in file.read_text()
    refused = prowess("triggers", "paint", "--generate", file, "-n", "2")
    assert refused.code == 2 and "not done without a yes" in refused.err
    assert prowess("triggers", "paint", "--generate", file, "-n", "2", "--yes").code == 0
    assert prowess("triggers", "--from", file, "--agent", "lexical").code == 0
    theirs = tmp_path / "eval.json"
    assert prowess("triggers", "--generate", theirs).code == 2, "a set of skill-creator is about one skill"
    assert prowess("triggers", "paint", "--generate", theirs, "-n", "2").code == 0
    assert {tuple(row) for row in json.loads(theirs.read_text())} == {("query", "should_trigger")}
    assert prowess("triggers", "paint", "--from", theirs, "--agent", "lexical").code == 0


def test_a_budget_keeps_the_queries_that_were_paid_for(
    prowess, filled: Library, chooser: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import prowess.measure.triggers.generate as module

    whole = module.generate

    async def stops(model, library, skill, *rest, **more):
        if skill.name == "paint":
            raise BudgetExceeded("no more")
        return await whole(model, library, skill, *rest, **more)

    monkeypatch.setattr("prowess.cli.trigger_sets.generate", stops)
    done = prowess("triggers", "--generate", tmp_path / "set.yaml", "-n", "2")
    assert done.code == 3 and "ledger-totals" in (tmp_path / "set.yaml").read_text()


def test_an_empty_library_has_nothing_to_load(prowess, home: Path, tmp_path: Path) -> None:
    Library.open(tmp_path / "data" / "library", create=True)
    done = prowess("triggers", "--from", queries(tmp_path / "q.json", ROWS))
    assert done.code == 2 and "library is empty" in done.err


def test_the_stand_in_says_that_it_is_one(prowess, filled: Library, tmp_path: Path) -> None:
    done = prowess("triggers", "--from", queries(tmp_path / "q.json", ROWS), "--agent", "lexical")
    assert done.code == 0 and "says nothing about what a model would load" in done.err


def test_the_funnel_joins_sessions_and_trials(prowess, home: Path, tmp_path: Path) -> None:
    assert prowess("funnel").code == 1
    score = Score(value=1, passed=True, verifier="suite:x", trusted=True)
    failed = score.model_copy(update={"passed": False})
    session = Trajectory(id="s", agent="claude-code", model="m", offered=("a\x1b", "b"), loaded=("a\x1b",))
    with TrajectoryStore(tmp_path / "data" / "trajectories.db") as store:
        store.put(session)
    trials = RunStore(tmp_path / "data" / "trials.db")
    bare = {"agent": "code/1", "model": "m", "task_id": "t"}
    for run in (
        Trajectory(id="w", offered=("b",), loaded=("b",), used=("b",), score=score, **bare),
        Trajectory(id="o", score=failed, **bare),
    ):
        trials.put("trajectory", run.id, run.model_dump_json().encode())
    page = tmp_path / "f.html"
    done = prowess("funnel", "--page", page)
    assert done.code == 0 and "2 of 3" in done.out and "+100 points" in done.out and "\x1b" not in done.out
    assert "1 won · 0 tied · 0 lost" in page.read_text()
    data = prowess("funnel", "--json").data
    assert data["funnel"]["skills"][0]["helped"]["wins"] == 1 and "3 sessions" in data["summary"]
