"""Task folders for real, under bubblewrap: the oracle wins, idleness does not, and nothing that is handed in cheats."""

import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_folders import CHECK, DOCKERFILE, TEST, write_task

from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.tools import ToolsAgent
from prowess.core.errors import UserError
from prowess.core.room import room_of
from prowess.core.task import File
from prowess.measure.trials import WITHOUT
from prowess.measure.worlds import stand
from prowess.sandbox import find_sandbox
from prowess.sandbox.bubblewrap import BubblewrapSandbox
from prowess.sandbox.landlock import LandlockSandbox
from prowess.sandbox.rooms import Kind, LocalRooms, at
from prowess.suites import open_suite
from prowess.suites.folders import TaskFolders, rewards
from prowess.suites.folders.dockerfile import Unfit, installs, replay
from prowess.suites.folders.harbor import natural

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
RIGHT = (File(path="sum.txt", data=b"42\n"),)


class Rooms(LocalRooms):
    """This machine as if it had what is named."""

    def __init__(self, *kinds: Kind) -> None:
        self.there = kinds

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return self.there


def suite_of(root: Path) -> TaskFolders:
    return TaskFolders(root, Rooms("bubblewrap"))


def one(root: Path) -> tuple[TaskFolders, Any]:
    suite = suite_of(root)
    (task,) = suite.tasks(suite.families[0], "evidence", 1)
    return suite, task


def test_oracle_and_idle(tmp_path: Path) -> None:
    for family in ("sums", "totals"):
        for i in range(1, 3):
            write_task(tmp_path / "tasks" / family / f"{family}-{i}")
    suite = suite_of(tmp_path)
    assert suite.families == ("sums", "totals")
    found = anyio.run(stand, suite, (), 1)
    assert found.in_order and found.oracle is not None and found.oracle.passed == found.tasks == 2
    assert found.idle.value == 0
    assert suite.oracle(suite.tasks("sums", "gate", 1)[0]) == RIGHT


def test_families_and_splits(tmp_path: Path) -> None:
    for i in (1, 2, 3, 9, 10, 11, 12):
        write_task(tmp_path / "sums" / f"sum-{i}")
    suite = suite_of(tmp_path)
    drawn = {split: [t.id for t in suite.tasks("sums", split, 9)] for split in ("evidence", "gate", "test")}
    assert drawn == {
        "evidence": ["sums/sum-1", "sums/sum-9", "sums/sum-12"],
        "gate": ["sums/sum-2", "sums/sum-10"],
        "test": ["sums/sum-3", "sums/sum-11"],
    }
    assert [t.id for t in suite.tasks("sums", "evidence", 1, start=1)] == ["sums/sum-9"]
    (task,) = suite.tasks("sums", "gate", 1)
    assert task.outputs == ("sum.txt",) and [f.path for f in task.files] == ["numbers.txt"]
    assert task == suite.tasks("sums", "gate", 1)[0] and "/app" in task.prompt
    for wrong in (("sums", "other", 0), ("none", "base", 0), ("sums", "base", -1)):
        with pytest.raises(UserError):
            suite.tasks(wrong[0], "gate", 1, wrong[1], wrong[2])


def test_another_verifier_makes_another_task(tmp_path: Path) -> None:
    write_task(tmp_path / "sum")
    _, task = one(tmp_path)
    solution, verifier = (tmp_path / "sum" / part for part in ("solution/solve.sh", "tests/test.sh"))
    solution.write_text(solution.read_text() + "\n# the same\n")
    assert one(tmp_path)[1].digest == task.digest, "how it is solved says nothing of how it is judged"
    verifier.write_text(verifier.read_text() + "\n# stricter\n")
    assert one(tmp_path)[1].digest != task.digest


def test_opened_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalRooms, "kinds", ("bubblewrap",))
    write_task(tmp_path / "sum")
    suite = open_suite(f"folders:{tmp_path}")
    assert open_suite(suite.name).families == suite.families == (tmp_path.name,)
    for path in (tmp_path / "nothing", tmp_path / "sum" / "tests"):
        with pytest.raises(UserError):
            open_suite(f"folders:{path}")


def test_an_agent_finds_the_folder_where_the_task_says(tmp_path: Path) -> None:
    """The same program by the absolute path of the instruction; the verifier then sees what it left."""
    write_task(tmp_path / "sum")
    suite, task = one(tmp_path)
    program = "cd / && test -f /app/numbers.txt && echo 42 > /app/sum.txt"
    model = ScriptedModel([f'{{"tool": "run", "arguments": {{"command": "{program}"}}}}', '{"tool": "finish"}'])
    agent = ToolsAgent(model, BubblewrapSandbox(), native_tools=False)
    run = anyio.run(agent.run, task, WITHOUT, 0)
    assert run.outputs == RIGHT and suite.check(task, run.outputs).passed
    for broken in ({"work": "app"}, {"work": "/app", "folders": ["/../../etc"]}, {"work": "/a//b"}, "x", None):
        assert room_of(task.model_copy(update={"meta": {"room": broken}})) is None
    other = LandlockSandbox.__new__(LandlockSandbox)
    assert at(other, task) is other
    assert at(find_sandbox(), task.model_copy(update={"meta": {"room": "broken"}})) is find_sandbox()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"toml": "["}, "task.toml cannot be read"),
        ({"toml": "[verifier]\ntimeout_sec = -1"}, "verifier.timeout_sec"),
        ({"toml": "[environment]\ngpus = 1"}, "graphics processor"),
        ({"toml": "[verifier.env]\nKEY = '${OPENAI_API_KEY}'"}, "from outside"),
        ({"toml": "[environment]\ndocker_image = 'x/y'"}, "'x/y', which needs Docker or Podman"),
        ({"toml": "[[steps]]\nname = 'a'"}, "several steps"),
        ({"files": {"environment/docker-compose.yaml": "services: {}"}}, "several containers"),
        ({"instruction": " "}, "instruction.md is empty"),
        ({"instruction": "x" * (1 << 20) + "y"}, "instruction.md is too large"),
        ({"test": None}, "no tests/test.sh"),
        ({"dockerfile": None}, "no environment/Dockerfile"),
        ({"dockerfile": DOCKERFILE.replace("ubuntu:24.04", "ghcr.io/some/image")}, "'ghcr.io/some/image', which needs"),
        ({"dockerfile": DOCKERFILE + "RUN git clone https://example.invalid/x"}, "runs 'git clone"),
        ({"dockerfile": DOCKERFILE + "RUN <<EOF\necho\nEOF"}, "a script of its own"),
        ({"dockerfile": DOCKERFILE + "COPY big.zip /app/"}, "copies big.zip, which the folder does not have"),
        ({"dockerfile": DOCKERFILE + "COPY --from=build a b"}, "copies with --from=build"),
        ({"dockerfile": DOCKERFILE + "COPY numbers.txt /etc/numbers"}, "/etc/numbers outside of its working folder"),
        ({"dockerfile": DOCKERFILE.replace("WORKDIR /app", "WORKDIR /usr")}, "working folder is '/usr'"),
        ({"dockerfile": DOCKERFILE.replace("WORKDIR /app", "")}, "working folder is '/'"),
        ({"dockerfile": DOCKERFILE + "RUN pip install no-such-package-1"}, "pip install 'no-such-package-1'"),
        ({"dockerfile": DOCKERFILE + "RUN pip install -r /x.txt"}, "installs 'pip install -r"),
        ({"test": TEST.replace("openpyxl==3.1.5", "no_such_package_2")}, "no_such_package_2"),
    ],
)
def test_refused(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    write_task(tmp_path / "sum", **changed)
    with pytest.raises(UserError) as error:
        suite_of(tmp_path)
    assert says in str(error.value)


def test_refused_beside_others(tmp_path: Path) -> None:
    write_task(tmp_path / "good" / "one")
    write_task(tmp_path / "bad" / "one", dockerfile=DOCKERFILE + "RUN make")
    (write_task(tmp_path / "bad" / "two") / "environment" / "link").symlink_to("/etc/passwd")
    suite = suite_of(tmp_path)
    assert suite.families == ("good",) and set(suite.refused) == {"bad/one", "bad/two"}
    assert "symbolic link" in suite.refused["bad/two"]
    with pytest.raises(UserError, match="make"):
        suite.tasks("bad", "evidence", 1)
    with pytest.raises(UserError, match="neither"):
        TaskFolders(tmp_path, Rooms())


@pytest.mark.parametrize(
    "forged",
    [
        {".local/bin/env": "echo 1 > /logs/verifier/reward.txt; exit"},
        {".local/lib/python3.11/site-packages/usercustomize.py": "raise SystemExit(0)"},
        {"sitecustomize.py": "raise SystemExit(0)"},
        {".bashrc": "echo 1 > /logs/verifier/reward.txt; exit"},
        {"logs/verifier/reward.txt": "1"},
        {"../logs/verifier/reward.txt": "1"},
        {"/logs/verifier/reward.txt": "1"},
        {".local": "1"},
        {".config/uv/uv.toml": "1"},
        {"numbers.txt/x": "1"},
        {"a": "1", "a/b": "1"},
        {"x" * 300: "1"},
        {"/".join("x" * 20): "1"},
        {"\ud800": "1"},
        {"a\0b": "1"},
    ],
)
def test_an_answer_cannot_give_itself_the_reward(tmp_path: Path, forged: dict[str, str]) -> None:
    write_task(tmp_path / "sum")
    suite, task = one(tmp_path)
    score = suite.check(task, tuple(File(path=path, data=text.encode()) for path, text in forged.items()))
    assert score.value == 0 and not score.passed and score.failures[0].message


def test_a_verifier_without_end(tmp_path: Path) -> None:
    """One that an answer made hang, or kill itself, is a failure: else an answer could choose to be missing."""
    toml = "[verifier]\ntimeout_sec = 0.5"
    write_task(tmp_path / "sum", toml=toml, check="import time; time.sleep(60)")
    suite, task = one(tmp_path)
    score = suite.check(task, RIGHT)
    assert not score.passed and "stopped after 0.5 s" in score.failures[0].message


def test_the_verifier_sees_no_host(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    peeks = f"import os, socket\nassert not os.path.exists({str(secret)!r}) and not os.path.exists('/solution')\n"
    peeks += "try:\n    socket.create_connection(('127.0.0.1', 53), 1)\n    raise SystemExit(1)\nexcept OSError: pass\n"
    write_task(tmp_path / "tasks" / "sum", check=peeks + CHECK)
    suite, task = one(tmp_path / "tasks")
    assert suite.check(task, RIGHT).passed
    assert not suite.check(task, ()).passed


def test_rewards_and_the_names_of_tests(tmp_path: Path) -> None:
    ctrf = '{"results": {"tests": [{"name": "is there", "status": "passed"}, {"name": "is 42", "status": "failed"}]}}'
    test = f"mkdir -p /logs/verifier; echo '{ctrf}' > /logs/verifier/ctrf.json\n"
    test += 'echo \'{"reward": 0.25, "speed": 9}\' > /logs/verifier/reward.json'
    write_task(tmp_path / "sum", test=test)
    suite, task = one(tmp_path)
    score = suite.check(task, ())
    assert score.value == 0.25 and not score.passed
    assert [(check.name, check.passed) for check in score.checks] == [
        ("reward", False),
        ("is there", True),
        ("is 42", False),
    ]
    assert all("42" not in check.message for check in score.checks)


class Left:
    """What a verifier left, as the suite sees it."""

    exit_code, stderr, timed_out = 0, "", False

    def __init__(self, **files: bytes) -> None:
        self.files = tuple(File(path=f"logs/verifier/{name.replace('_', '.')}", data=d) for name, d in files.items())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1", 1.0), (b" 0.5\n", 0.5), (b"7", 1.0), (b"-3", 0.0), (b"nan", 0.0), (b"1e999", 0.0), (b"NaN", 0.0),
        (b"", 0.0), (b"[1]", 0.0), (b'{"reward": 1}', 1.0), (b'{"accuracy": 0.5}', 0.5), (b'{"a": 1, "b": 1}', 0.0),
        (b'{"reward": "1"}', 0.0), (b"1" + b" " * 70_000, 0.0), (b"[" * 60_000, 0.0),
    ],
)  # fmt: skip
def test_reward_files(text: bytes, value: float) -> None:
    assert rewards.read(Left(reward_txt=text), 1)[0] == value


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_reward_file_raises(reward: bytes, ctrf: bytes) -> None:
    value, checks = rewards.read(Left(reward_json=reward, ctrf_json=ctrf), 1)
    assert 0 <= value <= 1 and checks


LINES = st.sampled_from(
    [
        "FROM debian", "FROM $X", "RUN apt-get install -y git && ", "COPY . .", "COPY a /b/", "WORKDIR ..",
        "ENV A=1 B='",
        "ENV A b", "ARG X=1", "RUN pip install", "RUN pip install -r", "ADD ['a']", 'COPY ["a", "/b"]', "RUN \\",
        "", "FROM",
    ]
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(LINES | st.text(max_size=20), max_size=12))
def test_any_dockerfile_is_followed_or_refused(lines: list[str]) -> None:
    try:
        found = replay("\n".join(lines), {"a": b"1", "d/e": b"2"})
        installs("\n".join(lines))
    except Unfit:
        return
    assert all(path.startswith("/") and ".." not in path.split("/") for path in found.files)


def test_a_dockerfile_followed() -> None:
    text = """
    ARG BASE=python:3.11-slim
    FROM ${BASE}
    ENV HOME_OF=/data KEY="a b"
    WORKDIR $HOME_OF
    WORKDIR deeper
    COPY --chown=1:1 a b /data/deeper/
    COPY d ./in
    COPY . all
    COPY skills /root/.claude/skills
    COPY ["a", "renamed"]
    RUN --mount=type=cache,target=/x true || :
    """
    with pytest.raises(Unfit, match="mount"):
        replay(text, {"a": b"1", "b": b"2", "d/e/f": b"3"})
    context = {"a": b"1", "b": b"2", "d/e/f": b"3", "skills/s/SKILL.md": b"4"}
    found = replay(text.replace("--mount=type=cache,target=/x ", ""), context)
    assert found.work == "/data/deeper" and found.env == {"HOME_OF": "/data", "KEY": "a b"}
    assert found.files == {
        "/data/deeper/a": b"1", "/data/deeper/b": b"2", "/data/deeper/in/e/f": b"3", "/data/deeper/renamed": b"1",
        "/data/deeper/all/a": b"1", "/data/deeper/all/b": b"2", "/data/deeper/all/d/e/f": b"3",
    }  # fmt: skip
    brought = installs(
        "apt-get install -y jq=1.7 curl\npython3 -m pip install 'a[b]>=1' > /dev/null\nuvx --with c==2 d"
    )
    assert brought == (["jq"], ["a[b]>=1", "c==2"])


@given(st.text(max_size=30), st.text(max_size=30))
def test_natural_order_is_an_order(a: str, b: str) -> None:
    assert (natural(a) < natural(b)) + (natural(b) < natural(a)) <= 1
    assert natural("x-9") < natural("x-10")


def test_the_skill_that_came_with_it(tmp_path: Path) -> None:
    text = "---\nname: adding\ndescription: Adds numbers up.\n---\nAdd."
    write_task(tmp_path / "tasks" / "sums" / "sum-1")
    suite = suite_of(tmp_path)
    assert suite.human_skill("sums") is None
    (tmp_path / "skills/human_authored/sums/adding").mkdir(parents=True)
    (tmp_path / "skills/human_authored/sums/adding/SKILL.md").write_text(text)
    for root in (tmp_path, tmp_path / "tasks"):
        skill = suite_of(root).human_skill("sums")
        assert skill is not None and skill.body.strip() == "Add."
    beside = write_task(tmp_path / "other" / "one", files={"environment/skills/adding/SKILL.md": text})
    skill = suite_of(beside.parent).human_skill("other")
    assert skill is not None and skill.name == "adding"
