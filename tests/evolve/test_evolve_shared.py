"""Parts that several recipes share, each on a scripted model: drafts, edits, reflections, merging, selection."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from evolve_parts import SUITE, noted
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.sandbox import find_sandbox
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import CreateSkill, Patch, Replace
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.evolve.consolidate import Alike, Reduce, balanced
from prowess.evolve.drafting import Drafting, put
from prowess.evolve.editing import Edit, Editing, Writing, operations_of, schema, shown
from prowess.evolve.loop import evolve
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode, Event, Past, Recipe
from prowess.evolve.providers import BestMatches, Everything
from prowess.evolve.recipes.human import Given
from prowess.evolve.record import Decision
from prowess.evolve.reflect import Reflect
from prowess.evolve.requests import Requests, wanted
from prowess.evolve.selectors import Best, Frontier, Last, Replay
from prowess.evolve.selfmade import Judged, SelfMade
from prowess.evolve.selftest import SelfTestGate
from prowess.evolve.sources import Retry, Stream
from prowess.evolve.statistics import Utility, by_skill, utilities
from prowess.evolve.taxonomy import Taxonomy
from prowess.library.patching import apply
from prowess.measure.gates import FormatGate, GateContext
from prowess.measure.trials import Bench
from prowess.trajectories.runstore import RunStore

TASKS = SUITE.tasks("ledger-totals", "evidence", 6)
SUMS = Skill(name="sums", description="Adds ledgers up.", body="# Sums\n\n1. Read.\n2. Add.\n3. Read.\n\n- Round.\n")
LIBRARY = Snapshot.of([SUMS])
PROMPT = Prompt("t/q", "system", "$lessons $about $skills", 400)
EDIT = Prompt("t/e", "system", "$skill|$lessons|$refused", 400)


class Played:
    """An agent that passes the tasks that `passes` says, given the names of the skills shown."""

    name = "played"

    def __init__(self, passes: Callable[[Task, tuple[str, ...]], bool] = lambda task, names: False) -> None:
        self.passes = passes
        self.runs = 0

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        self.runs += 1
        names = tuple(s.name for s in view.skills)
        outputs = SUITE.oracle(task) if self.passes(task, names) else ()
        steps = (Step(source="agent", message=f"a program with {', '.join(names) or 'nothing'}"),)
        return Trajectory(
            id="", agent=self.name, model="m", snapshot=view.snapshot, steps=steps, outputs=outputs or (),
            offered=names, loaded=names, used=names,
        )  # fmt: skip


class World:
    """A store, a model and an agent, and what was told."""

    def __init__(self, out: Path, answers: Sequence[Any] | Callable[..., Any] = (), agent: Any = None) -> None:
        texts = answers if callable(answers) else [a if isinstance(a, str) else json.dumps(a) for a in answers]
        self.model = ScriptedModel(texts)
        self.store = RunStore(out / "run.db")
        self.events: list[Event] = []
        suite = Judged(SUITE, self.model, self.store)
        self.context = Context(suite, agent or Played(), self.model, self.store, report=noted(self.events))

    @property
    def unusable(self) -> int:
        return sum(bool(event.data.get("unusable")) for event in self.events)

    @property
    def asked(self) -> list[str]:
        return [request.messages[-1].content for request in self.model.requests]


def done(passed: bool, id: str = "t", task: Task = TASKS[0], **more: Any) -> Episode:
    checks = (Check(name="order", passed=passed, message="" if passed else "lines must be ordered"),)
    score = Score(value=float(passed), passed=passed, checks=checks, verifier="suite:workbench", trusted=True)
    values: dict[str, Any] = {"steps": (Step(source="agent", message="a program"),), "score": score, **more}
    return Episode(task, Trajectory(id=id, task_id=task.id, agent="played", model="m", **values))


def lesson(text: str = "lines must be ordered", **more: Any) -> Lesson:
    values: dict[str, Any] = {"kind": "memory", "family": "ledger-totals", "references": (Reference(trajectory="t"),)}
    return Lesson(text=text, **(values | more))


DRAFT = {
    "name": "ledger-order",
    "description": "Orders the lines of ledgers.",
    "steps": ["Read the ledger.", "2. Order its lines."],
    "code": "print(1)",
    "pitfalls": ["Totals come last."],
}
EDITS = {"edits": [{"action": "replace", "line": 3, "text": "1. Read all lines."}]}


# drafts


def test_a_draft_becomes_a_valid_skill_with_its_lessons_behind_it(tmp_path: Path) -> None:
    world = World(tmp_path, [DRAFT])
    told = (lesson(), lesson("the agent slept", blame="agent"))
    (patch,) = anyio.run(Drafting(PROMPT, "t").patches, told, LIBRARY, world.context)
    skill = apply(patch, LIBRARY).get("ledger-order")
    assert skill is not None and patch.lessons == (told[0].id,) and patch.author == "t"
    assert "1. Read the ledger.\n2. Order its lines." in skill.body and "```python\nprint(1)\n```" in skill.body
    assert world.asked == ["- lines must be ordered ledger-totals sums"]
    assert anyio.run(Drafting(PROMPT, "t").patches, told, LIBRARY, world.context) == (patch,)
    assert len(world.asked) == 1, "what was paid for is not asked again"


@pytest.mark.parametrize(
    "said", ["no", "{}", {**DRAFT, "name": "../x"}, {**DRAFT, "description": ""}, {**DRAFT, "steps": 3}, "[" * 5000]
)
def test_garbage_makes_no_skill_and_is_counted(tmp_path: Path, said: Any) -> None:
    world = World(tmp_path, lambda request: said if isinstance(said, str) else json.dumps(said))
    assert anyio.run(Drafting(PROMPT, "t").patches, (lesson(),), LIBRARY, world.context) == ()
    assert world.unusable == 1 and [s.kind for s in world.store.spent()][-1] == "unusable"


def test_a_skill_that_says_nothing_new_is_no_patch() -> None:
    assert put(LIBRARY, SUMS) == () and len(put(LIBRARY, SUMS.model_copy(update={"body": "x\n"}))) == 2


# edits


TEXT = st.text(alphabet="ab1.-# \n", max_size=12)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "", "- a", "```", "a b"]), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from(["add", "replace", "delete"]), st.integers(0, 9), TEXT), max_size=5),
)
def test_edits_of_lines_are_exact_or_refused(lines: list[str], wanted: list[tuple[Any, int, str]]) -> None:
    """However often a line stands in the text, the right one changes: as if it were done on a list."""
    skill = Skill(name="s", description="d", body="\n".join(lines) + "\n")
    edits = [Edit(action=action, line=line, text=text) for action, line, text in wanted]
    try:
        operations = operations_of(edits, skill, most=5)
    except ValueError:
        return
    expected = [*lines, ""]
    for edit in sorted(edits, key=lambda e: -e.line):
        text, old = edit.text.strip("\n"), expected[edit.line - 1]
        expected[edit.line - 1 : edit.line] = {"add": [old, text], "replace": [text], "delete": []}[edit.action]
    library = Snapshot.of([skill])
    patch = Patch(base=library.digest, operations=operations, reason="r")
    after = apply(patch, library).get("s") if operations else skill
    assert after is not None and after.body.strip("\n") == "\n".join(expected).strip("\n")


def test_the_grammar_offers_only_lines_that_are_there() -> None:
    assert shown(SUMS).splitlines() == ["1: # Sums", "3: 1. Read.", "4: 2. Add.", "5: 3. Read.", "7: - Round."]
    assert '"enum": [1, 3, 4, 5, 7]' in json.dumps(schema(SUMS)) and '"maxItems": 2' in json.dumps(schema(SUMS, 2))


def test_lessons_about_a_skill_edit_it_and_others_draft_one(tmp_path: Path) -> None:
    world = World(tmp_path, [EDITS, DRAFT])
    both = Writing(Drafting(PROMPT, "t"), Editing(EDIT, "t"))
    patches = anyio.run(both.patches, (lesson(skill="sums"), lesson("new")), LIBRARY, world.context)
    assert [type(p.operations[0]) for p in patches] == [Replace, CreateSkill]
    assert "1. Read all lines." in str(apply(patches[0], LIBRARY).get("sums"))


def test_the_editor_sees_what_was_refused_before(tmp_path: Path) -> None:
    refused = Patch(base="b", operations=(Replace(name="sums", old="x", new="Round up."),), reason="r")
    world = World(tmp_path, [{"edits": []}])
    past = Past(decisions=(Decision(round=0, patch=refused, accepted=False),))
    context = replace(world.context, past=past)
    assert anyio.run(Editing(EDIT, "t").patches, (lesson(skill="sums"),), LIBRARY, context) == ()
    assert "- Round up." in world.asked[0] and world.unusable == 0


@pytest.mark.parametrize("line", [2, 99, -1])
def test_an_edit_of_no_line_is_counted(tmp_path: Path, line: int) -> None:
    world = World(tmp_path, lambda request: json.dumps({"edits": [{"action": "delete", "line": line}]}))
    assert anyio.run(Editing(EDIT, "t").patches, (lesson(skill="sums"),), LIBRARY, world.context) == ()
    assert world.unusable == 1


# reflection and requests

ASK = Prompt("t/r", "system", "$task|$shown|$transcript|$outcome|$material", 300)
SAID = {"cause": "it did not order", "blame": "agent", "lesson": "order the lines"}


def test_reflection_asks_about_failures_only_and_keeps_the_blame(tmp_path: Path) -> None:
    world = World(tmp_path, [SAID])
    episodes = (done(False, loaded=("sums",)), done(True, "u"))
    teacher = Reflect(ASK, material=lambda task: "the human skill")
    (found,) = anyio.run(teacher.lessons, episodes, LIBRARY, world.context)
    assert (found.kind, found.blame, found.skill, found.references[0].trajectory) == ("memory", "agent", "sums", "t")
    assert "2. Add." in world.asked[0] and "lines must be ordered" in world.asked[0] and "human" in world.asked[0]


def test_reflection_survives_garbage(tmp_path: Path) -> None:
    world = World(tmp_path, lambda request: "sorry")
    assert anyio.run(Reflect(ASK, on="all").lessons, (done(False), done(True, "u")), LIBRARY, world.context) == ()
    assert world.unusable == 2


WANT = Prompt("t/w", "system", "$task|$transcript|$outcome|$skills", 300)


def test_a_missing_skill_is_asked_for_once_with_all_references(tmp_path: Path) -> None:
    missing = {"name": "order-lines", "description": "Orders the lines of a file.", "arguments": ["path"]}
    world = World(tmp_path, [{"missing": missing}, {"missing": missing}, {"use": "sums"}])
    episodes = (done(False, "a"), done(False, "b", TASKS[1]), done(False, "c", TASKS[2]), done(True, "d"))
    (found,) = anyio.run(Requests(WANT).lessons, episodes, LIBRARY, world.context)
    assert found.kind == "request" and wanted(found).arguments == ("path",)
    assert [r.trajectory for r in found.references] == ["a", "b"]


# statistics and sources


def test_only_what_was_loaded_counts_and_a_run_counts_once() -> None:
    one, two = done(True, "a", loaded=("sums",), offered=("sums", "x")), done(False, "b", offered=("x",))
    assert {name: len(group) for name, group in by_skill((one, two)).items()} == {"sums": 1, "": 1}
    again = (one, one, done(False, "c", loaded=("sums",)))
    assert utilities(again) == {"sums": Utility(1, 1)} and Utility(1, 1).share == 0.5


def test_failed_tasks_come_again_until_they_pass_or_tries_run_out(tmp_path: Path) -> None:
    context = World(tmp_path).context
    source = Retry(TASKS[:3], per_round=2, tries=2)
    rounds: list[tuple[Episode, ...]] = []
    seen: list[list[str]] = []
    for number, results in enumerate([(True, False), (False,), (True,), ()]):
        tasks = anyio.run(source.tasks, number, LIBRARY, replace(context, past=Past(tuple(rounds))))
        seen.append([task.id for task in tasks])
        rounds.append(tuple(done(r, f"{number}{i}", t) for i, (t, r) in enumerate(zip(tasks, results, strict=True))))
    a, b, c = (task.id for task in TASKS[:3])
    assert seen == [[a, b], [b], [c], []]


# self-made tasks

CHALLENGE = Prompt("t/c", "system", "$n $document", 500)
MADE = {"prompt": "Say how ledgers are ordered here.", "rubric": ["It names the date."]}


def recipe(source: Any, **more: Any) -> Recipe:
    nothing = Given(())
    values: dict[str, Any] = {"gates": (FormatGate(),), "selector": Last(), "provider": BestMatches()}
    from prowess.evolve.consolidate import Unmerged

    values |= {"analyst": nothing, "proposer": nothing, "consolidator": Unmerged(), **more}
    return Recipe("t", source, **values)


def test_self_made_tasks_are_judged_and_never_trusted(tmp_path: Path) -> None:
    judged = {"criteria": [{"met": True, "reason": "it does"}]}
    world = World(tmp_path, [{"tasks": [MADE]}, judged])
    source = SelfMade(CHALLENGE, lambda library, context: {"document": "manual"}, n=1)

    async def main() -> Any:
        return await evolve(recipe(source), Snapshot(), world.context)

    found = anyio.run(main)
    ((task, run),) = found.episodes
    assert task.split == "evidence" and run.score is not None and run.score.passed and run.passed is None
    assert world.asked[0] == "1 manual" and "It names the date." in world.asked[1]
    assert {s.kind for s in world.store.spent()} >= {"challenge", "judgement", "trajectory"}
    assert anyio.run(main).episodes == found.episodes and len(world.asked) == 2


def test_a_challenger_or_judge_that_says_garbage_ends_nothing(tmp_path: Path) -> None:
    source = SelfMade(CHALLENGE, lambda library, context: {"document": "manual"}, n=1)
    silent = World(tmp_path / "a", lambda request: "hm")
    assert anyio.run(evolve, recipe(source), Snapshot(), silent.context).episodes == () and silent.unusable == 1
    judge = World(tmp_path / "b", lambda r: json.dumps({"tasks": [MADE]}) if "manual" in str(r.messages) else "hm")
    ((_, run),) = anyio.run(evolve, recipe(source), Snapshot(), judge.context).episodes
    assert run.score is not None and not run.score.passed and "unusable" in {s.kind for s in judge.store.spent()}


# merging


def creating(name: str, description: str = "Orders the lines of ledgers.", lessons: tuple[str, ...] = ("l",)) -> Patch:
    skill = Skill(name=name, description=description, body=f"# {name}\n")
    return Patch(base=LIBRARY.digest, operations=(CreateSkill(skill=skill),), reason=name, lessons=lessons)


MERGE = Prompt("t/m", "system", "$skills", 500)


def test_alike_skills_become_one_level_by_level(tmp_path: Path) -> None:
    world = World(tmp_path, lambda r: json.dumps({**DRAFT, "name": "order-a"}))
    patches = [creating(f"order-{c}", lessons=(c,)) for c in "abcdefg"] + [
        creating("mails", "Sends letters to people.")
    ]
    merged = anyio.run(Reduce(MERGE, size=3, groups=Alike()).merge, patches, LIBRARY, world.context)
    assert sorted(len(p.lessons) for p in merged) == [1, 7] and len(merged[0].lessons) == 7
    assert len(world.asked) == 3, "two chunks of the seven, then these two"


def test_what_cannot_be_merged_is_carried_on(tmp_path: Path) -> None:
    world = World(tmp_path, lambda r: "no")
    patches = [creating(f"order-{c}") for c in "ab"]
    merged = anyio.run(Reduce(MERGE, groups=Alike()).merge, patches, LIBRARY, world.context)
    assert list(merged) == patches and world.unusable == 1


def test_edits_are_joined_without_a_model_as_far_as_they_fit(tmp_path: Path) -> None:
    world = World(tmp_path)

    def edit(old: str, new: str, *lessons: str) -> Patch:
        change = (Replace(name="sums", old=old, new=new),)
        return Patch(base=LIBRARY.digest, operations=change, reason=new, lessons=lessons)

    patches = [edit("2. Add.", "2. Add all.", "a", "b"), edit("2. Add.", "2. Sum.", "c"), edit("Round", "Cut", "d")]
    merged = anyio.run(Reduce(MERGE).merge, patches, LIBRARY, world.context)
    assert [p.lessons for p in merged] == [("a", "b", "d"), ("c",)] and world.asked == []
    after = apply(merged[0], LIBRARY).get("sums")
    assert after is not None and "2. Add all." in after.body and "- Cut." in after.body


@given(st.integers(1, 40), st.integers(1, 7))
def test_chunks_are_balanced(n: int, size: int) -> None:
    patches = [creating(f"x-{i}") for i in range(n)]
    chunks = balanced(patches, size)
    assert sorted(p.reason for c in chunks for p in c) == sorted(p.reason for p in patches)
    assert len(chunks) == 1 or all(2 * len(c) >= size for c in chunks)


# selection


GOOD, BAD = (Snapshot.of([Skill(name=n, description="d", body="b\n")]) for n in ("good", "bad"))


def test_the_best_snapshot_wins_and_equals_do_not(tmp_path: Path) -> None:
    agent = Played(lambda task, names: "good" in names)
    world = World(tmp_path, agent=agent)
    best = Best(TASKS[:3], Everything())
    assert anyio.run(best.choose, [Snapshot(), BAD, GOOD, BAD], world.context) == GOOD
    assert anyio.run(best.choose, [BAD, Snapshot()], world.context) == BAD
    assert agent.runs == 9, "runs are shared"
    chosen = anyio.run(Frontier(TASKS[:3], Everything(), k=1).choose, [BAD, GOOD, Snapshot()], world.context)
    assert chosen == GOOD


def test_replay_prefers_what_holds_on_old_and_new_probes(tmp_path: Path) -> None:
    """The last library does the last hard task and nothing else any more."""
    old, late = TASKS[:3], TASKS[3]

    def passes(task: Task, names: tuple[str, ...]) -> bool:
        return task == late if "bad" in names else task in old

    world = World(tmp_path, agent=Played(passes))
    past = Past(
        ((done(True, "a", old[0]), done(False, "b", old[1])), (done(True, "c", old[2]), done(False, "d", late)))
    )
    object.__setattr__(world.context, "past", past)
    assert anyio.run(Replay(Everything()).choose, [GOOD, BAD], world.context) == GOOD
    assert anyio.run(Last().choose, [GOOD, BAD], world.context) == BAD


def test_a_run_can_start_a_round_from_an_earlier_library_and_end_there(tmp_path: Path) -> None:
    """A branch and a selection move the library on disk too, as decisions of their own."""

    class Chosen:
        def __init__(self, number: int) -> None:
            self.number = number

        async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
            return snapshots[self.number]

    class Adds:
        async def patches(self, lessons: Any, library: Snapshot, context: Context) -> tuple[Patch, ...]:
            skill = Skill(name=f"s-{len(context.past.rounds)}", description="d", body="b\n")
            return (Patch(base=library.digest, operations=(CreateSkill(skill=skill),), reason="adds"),)

    settled: list[Patch] = []

    def settle(decision: Decision, kept: Any) -> None:
        settled.append(decision.patch)

    made = recipe(Stream(TASKS, 1), proposer=Adds(), branch=Chosen(0), selector=Chosen(1), rounds=2)
    found = anyio.run(evolve, made, Snapshot(), World(tmp_path).context, settle)
    assert found.snapshot.names == ("s-1",)
    on_disk = Snapshot()
    for patch in settled:
        on_disk = apply(patch, on_disk)
    assert on_disk == found.snapshot and len({p.id for p in settled}) == len(settled) == 4


def test_rollouts_are_runs_of_their_own(tmp_path: Path) -> None:
    agent = Played()
    found = anyio.run(
        evolve, recipe(Stream(TASKS[:2], 2), rollouts=3), Snapshot(), World(tmp_path, agent=agent).context
    )
    assert agent.runs == 6 and len({e.trajectory.id for e in found.episodes}) == 6
    assert [e.task.id for e in found.episodes] == [t.id for t in TASKS[:2] for _ in range(3)]


# tests of skills


def tool(script: str, test: str | None) -> Snapshot:
    files = [File(path="scripts/adder.py", data=script.encode())]
    files += [File(path="tests/test_adder.py", data=test.encode())] if test is not None else []
    return Snapshot.of([Skill(name="adder", description="Adds. Use to add.", body="b\n", files=tuple(files))])


TEST = "from adder import add\n\ndef test_add():\n    assert add(1, 2) == 3\n"
RIGHT, WRONG = "def add(a, b):\n    return a + b\n", "def add(a, b):\n    return a - b\n"


@pytest.mark.parametrize(
    ("base", "candidate", "status", "says"),
    [
        (Snapshot(), tool(RIGHT, TEST), "pass", "1 files"),
        (Snapshot(), tool(WRONG, TEST), "fail", "assert"),
        (Snapshot(), tool(RIGHT, "x = 1\n"), "fail", "test nothing"),
        (Snapshot(), tool(RIGHT, None), "fail", "no tests"),
        (tool(RIGHT, TEST), tool(WRONG, None), "fail", "assert"),  # the test of the version before
        (Snapshot(), LIBRARY, "pass", "no tests"),
    ],
)
def test_a_skill_must_pass_its_own_tests_and_those_before(
    tmp_path: Path, base: Snapshot, candidate: Snapshot, status: str, says: str
) -> None:
    bench = Bench(Played(), SUITE, RunStore(tmp_path / "r.db"))
    gate = SelfTestGate(find_sandbox(), required=True)
    patch = Patch(base=base.digest, operations=(), reason="r")
    verdict = anyio.run(gate.check, candidate, base, patch, GateContext(bench))
    assert verdict.status == status and says in verdict.note.lower()


# taxonomy


def test_a_taxonomy_tells_what_is_covered_and_what_comes_next() -> None:
    tree = Taxonomy(
        {("office", "ledgers"): "adding up ledgers", ("office", "mail"): "letters", ("home", "cook"): "meals and food"}
    )
    skills = [SUMS, Skill(name="meals", description="Cooks food.", body="b\n")]
    assert tree.coverage(skills)[("office", "ledgers")] == ("sums",)
    assert tree.near("write letters") == (("office", "mail"),) and tree.near("zzz") == ()
    assert tree.frontier(skills, 1) == (("office", "mail"),)
