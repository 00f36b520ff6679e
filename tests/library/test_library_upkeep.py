"""What a library remembers beside its versions: audits, refusals, kept tasks, skills that are gone, its gates."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prowess.core.cost import Cost
from prowess.core.errors import PatchConflict, Refused, UserError
from prowess.core.evidence import Evidence, Trial, Verdict
from prowess.core.patch import AppendToSection, CreateSkill, DeleteSkill, Operation, Patch
from prowess.core.skill import Skill
from prowess.core.task import File, Split, Task
from prowess.core.trajectory import Trajectory
from prowess.core.upkeep import Audit, KeptTask
from prowess.library import Library, disk
from prowess.library.archive import removal, restore
from prowess.library.upkeep import KEPT_BYTES, KEPT_PER_FAMILY

SKILL = Skill(name="ledger", description="Sums. Use for sums.", body="# Rules\n\n- Skip void rows.\n")
TRIAL = Trial(task_id="t", arm="with", seed=0, passed=True, trajectory="x")


def evidence(effect: float = 0.0) -> Evidence:
    return Evidence(
        baseline="without", treatment="with", n=10, wins=1, ties=8, losses=1, baseline_rate=0.5,
        treatment_rate=0.5 + effect, effect=effect, low=-0.3, high=0.3, p=1.0, test="t", outcome="not enough evidence",
        trials=(TRIAL,),
    )  # fmt: skip


def audit(skill: str = "ledger", effect: float = 0.0) -> Audit:
    return Audit(skill=skill, digest="d", others="o", agent="a", suite="s", tasks="t", evidence=evidence(effect))


def kept(number: int, family: str = "sums", split: Split = "evidence", size: int = 3) -> KeptTask:
    task = Task(id=f"{family}/{number}", suite="s", family=family, split=split, seed=number, prompt=f"task {number}")
    return KeptTask(
        task=task, skills=("ledger",), read="r", agent="a", seed=0, trajectory=f"t{number}", program="print(1)\n",
        outputs=(File(path="o", data=b"x" * size),),
    )  # fmt: skip


def do(library: Library, *operations: Operation, left: tuple[KeptTask, ...] = (), reason: str = "r") -> str:
    patch = Patch(base=library.snapshot().digest, operations=operations, reason=reason)
    return library.apply(patch, kept=left).id


def add(library: Library, line: str, *left: KeptTask) -> str:
    return do(library, AppendToSection(name="ledger", section="Rules", content=f"- {line}\n"), left=left)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush proves nothing in these tests and costs most of their time."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one."""
    shared = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=shared if os.access(shared, os.W_OK) else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "library", create=True)
    do(library, CreateSkill(skill=SKILL))
    return library


# Audits and refusals


def test_audits_are_entries_of_the_ledger_once_each_and_without_their_trials(library: Library) -> None:
    library.upkeep.record_audits([audit(), audit(effect=0.2)], by="me")
    library.upkeep.record_audits([audit(effect=0.2)])
    first, second = library.upkeep.audits()
    assert (first.audit.evidence.effect, second.audit.evidence.effect) == (0.0, 0.2)
    assert first.audit.evidence.trials == () and first.by == "me" and first.number < second.number
    library.rebuild()
    assert library.upkeep.audits() == [first, second] and library.check() == []


def test_a_refusal_keeps_every_gates_answer_and_cost_and_changes_nothing(library: Library) -> None:
    before, log = library.snapshot(), library.log()
    patch = Patch(base=before.digest, operations=(DeleteSkill(name="ledger"),), reason="useless")
    verdicts = (
        Verdict(gate="format", status="pass"),
        Verdict(gate="trials", status="fail", evidence=evidence(), cost=Cost(calls=20, usd=0.5)),
    )
    for _ in range(2):
        library.upkeep.refuse(patch, verdicts=verdicts, by="run")
    library.rebuild()
    (refusal,) = library.upkeep.refused()
    assert refusal.patch == patch and refusal.verdicts == verdicts and refusal.verdicts[1].cost.usd == 0.5
    assert library.snapshot() == before and library.log() == log
    library.upkeep.refuse(patch, verdicts=verdicts[:1])
    assert len(library.upkeep.refused()) == 2, "another answer is another refusal"


# Kept tasks


def test_kept_tasks_come_back_newest_first_and_once(library: Library) -> None:
    add(library, "a", kept(1), kept(2))
    add(library, "b", kept(2), kept(3))
    assert [k.task.seed for k in library.upkeep.kept()][:2] in ([2, 3], [3, 2])
    assert sorted(k.task.seed for k in library.upkeep.kept()) == [1, 2, 3]
    before = library.upkeep.kept()
    (library.path / ".prowess" / "library.db").unlink()
    assert Library.open(library.path).upkeep.kept() == before, "the index is made anew from the ledger"


def test_a_change_that_is_undone_takes_its_tasks_along_and_brings_them_back(library: Library) -> None:
    change = add(library, "a", kept(1))
    undo = library.undo(change)
    assert library.upkeep.kept() == ()
    library.undo(undo.id)
    assert [k.task.seed for k in library.upkeep.kept()] == [1]


@pytest.mark.parametrize("split", ["gate", "test"])
def test_tasks_of_other_splits_are_never_kept(library: Library, split: Split) -> None:
    before = library.snapshot()
    with pytest.raises(UserError, match=f"of split '{split}' cannot be kept"):
        add(library, "a", kept(1, split=split))
    assert library.snapshot() == before and library.check() == []


def test_a_family_keeps_its_newest_tasks_and_a_large_task_is_left_out(library: Library) -> None:
    for n in range(KEPT_PER_FAMILY + 3):
        add(library, str(n), kept(n), kept(n, "other", size=KEPT_BYTES))
    seeds = sorted(k.task.seed for k in library.upkeep.kept())
    assert seeds == list(range(3, KEPT_PER_FAMILY + 3))


def test_a_damaged_task_is_named_by_check_and_left_out(library: Library) -> None:
    add(library, "a", kept(1), kept(2))
    first = library.log()[0].kept[0]
    (library.path / ".prowess" / "blobs" / first[:2] / first[2:]).write_bytes(b"{}")
    assert len(library.upkeep.kept()) == 1
    assert any(first[:12] in line for line in library.check())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=8))
def test_what_is_kept_is_what_changes_in_force_left(tmp_path: Path, steps: list[tuple[int, bool]]) -> None:
    library = Library.open(Path(tempfile.mkdtemp(dir=tmp_path)) / "library", create=True)
    do(library, CreateSkill(skill=SKILL))
    stack: list[tuple[str, int]] = []
    for number, take_back in steps:
        if take_back and stack:
            library.undo(stack.pop()[0])
        elif not take_back:
            stack.append((add(library, f"{number} {len(stack)} {len(library.log())}", kept(number)), number))
    assert {k.task.seed for k in library.upkeep.kept()} == {number for _, number in stack}


# Archive and restore


def test_an_archived_skill_comes_back_to_the_letter(library: Library) -> None:
    before = library.trees()["ledger"]
    library.apply(removal(library.snapshot(), "ledger", "useless"))
    assert library.snapshot().names == () and list(library.upkeep.archived()) == ["ledger"]
    change = restore(library, "ledger", by="me")
    assert library.trees()["ledger"] == before and change.kind == "undo" and library.is_authored("ledger")
    assert library.upkeep.archived() == {} and library.check() == []


def test_a_foreign_skill_keeps_its_bytes_and_stays_foreign(library: Library) -> None:
    folder = library.path / "mine"
    folder.mkdir()
    text = "---\nname: mine\ndescription: Mine.\nauthor: me\n---\n\nBody\n"
    (folder / "SKILL.md").write_text(text)
    patch = removal(library.snapshot(), "mine", "by hand")
    with pytest.raises(Refused):
        library.apply(patch)
    library.apply(patch, allow_foreign=True)
    restore(library, "mine")
    assert (folder / "SKILL.md").read_text() == text and not library.is_authored("mine")


def test_a_skill_that_went_with_other_changes_comes_back_alone(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL.model_copy(update={"name": "other"})))
    do(library, DeleteSkill(name="ledger"), AppendToSection(name="other", section="Rules", content="- More.\n"))
    restore(library, "ledger")
    assert library.snapshot().get("ledger") == SKILL
    other = library.snapshot().get("other")
    assert other is not None and "- More." in other.body


def test_a_folder_removed_by_hand_can_be_restored(library: Library) -> None:
    disk.remove_folder(library.path / "ledger")
    library.rebuild()
    restore(library, "ledger")
    assert library.snapshot().get("ledger") == SKILL


def test_restoring_nonsense_says_so(library: Library) -> None:
    with pytest.raises(UserError, match="is in the library"):
        restore(library, "ledger")
    with pytest.raises(UserError, match="never had"):
        restore(library, "no-such-skill")
    with pytest.raises(UserError, match="no skill 'no-such"):
        removal(library.snapshot(), "no-such-skill", "")


def test_a_skill_made_anew_is_not_overwritten(library: Library) -> None:
    library.apply(removal(library.snapshot(), "ledger", "useless"))
    (library.path / "ledger").mkdir()
    (library.path / "ledger" / "notes.txt").write_text("mine")
    with pytest.raises((Refused, PatchConflict)):
        restore(library, "ledger")
    assert (library.path / "ledger" / "notes.txt").read_text() == "mine"


# Killed anywhere


STEPS: dict[str, Callable[[Library], object]] = {
    "archive": lambda library: library.apply(removal(library.snapshot(), "ledger", "useless")),
    "restore": lambda library: restore(library, "other"),
    "learn": lambda library: add(library, "late", kept(7), kept(8)),
    "audit": lambda library: library.upkeep.record_audits([audit(), audit(effect=0.1)]),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_the_old_state_or_the_new(step: str, tmp_path: Path) -> None:
    """Between the folders, the kept tasks and the ledger there is no third state, and the call can be repeated."""
    act, reached, n = STEPS[step], True, 0
    while reached:
        n += 1
        library = Library.open(tmp_path / str(n), create=True)
        do(library, CreateSkill(skill=SKILL), CreateSkill(skill=SKILL.model_copy(update={"name": "other"})))
        library.apply(removal(library.snapshot(), "other", "useless"))
        before = told(library)
        reached = killed(library, act, n)
        after = Library.open(library.path)
        assert after.check() == [] and not (after.path / ".prowess" / "journal.json").exists()
        if step == "audit":
            assert len(after.upkeep.audits()) in (0, 1, 2)
            act(after)
            assert len(after.upkeep.audits()) == 2
        elif told(after) == before:
            act(after)
        assert told(after) != before or step == "audit"
        assert len(after.upkeep.kept()) == (2 if step == "learn" else 0)
    assert n >= 5


def told(library: Library) -> tuple[object, ...]:
    return library.snapshot(), library.upkeep.kept(), sorted(library.upkeep.archived())


def killed(library: Library, act: Callable[[Library], object], nth: int) -> bool:
    """Whether a child that does `act` was killed ahead of its nth write, rename or removal."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0

    def dying(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **more: object) -> object:
            nonlocal count
            count += 1
            if count == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **more)

        return call

    try:
        for name in ("write", "rename", "replace", "unlink", "mkdir", "rmdir"):
            setattr(os, name, dying(getattr(os, name)))
        act(library)
        os._exit(0)
    finally:
        os._exit(1)


# When a skill was last of use


def test_uses_say_when_each_was_last(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    library = Library.open(tmp_path / "library", create=True, clock=lambda: now)

    def run(id: str, *, used: bool) -> Trajectory:
        return Trajectory(id=id, agent="a", model="m", offered=("ledger",), used=("ledger",) if used else ())

    library.record_use([run("1", used=True)])
    now += timedelta(days=1)
    library.record_use([run("1", used=True), run("2", used=False)])
    use = library.uses()["ledger"]
    assert (use.offered, use.used) == (2, 1) and use.last_passed == "" and use.last_loaded == ""
    assert use.last_used.startswith("2026-01-01") and use.last_offered.startswith("2026-01-02")
    library.rebuild()
    assert library.uses()["ledger"] == use


# The library's own gates


def config(library: Library, text: str) -> None:
    (library.path / ".prowess" / "config.toml").write_text(text)


def test_a_library_names_its_gates(library: Library) -> None:
    assert library.upkeep.gates() == ()
    config(library, 'gates = ["trials", "scan", "scan"]\n')
    assert library.upkeep.gates() == ("scan", "trials"), "cheap ones first, each once"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('gates = ["tirals"]', "did you mean trials"),
        ('gates = ["xyzzy"]', "known are format, scan"),
        ("gates = 3", "is no list of names"),
        ('gates = ["scan", 3]', "is no list of names"),
        ('gate = ["scan"]', "unknown key 'gate'"),
        ("gates = [", "cannot read"),
    ],
)
def test_a_wrong_list_is_an_error_that_says_where(library: Library, text: str, says: str) -> None:
    config(library, text)
    with pytest.raises(UserError) as error:
        library.upkeep.gates()
    assert says in str(error.value) and "config.toml" in str(error.value)
