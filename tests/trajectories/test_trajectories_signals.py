"""Units, skill use and signals are read off the steps: precisely, and with quotes that stand there."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.model import ToolCall
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.trajectories.segment import segment
from prowess.trajectories.signals import QUOTE, error_line, lessons, lessons_of
from prowess.trajectories.skill_use import opened_by, with_skills


def user(message: str) -> Step:
    return Step(source="user", message=message)


def agent(message: str = "") -> Step:
    return Step(source="agent", message=message)


def call(name: str, output: str, error: bool = False, **arguments: Any) -> Step:
    return Step(
        source="agent",
        tool_calls=(ToolCall(id="c", name=name, arguments=arguments),),
        observations=(Observation(content=output, call_id="c", is_error=error),),
    )


def bash(command: str, output: str = "ok", error: bool = False) -> Step:
    return call("Bash", output, error, command=command)


def session(*steps: Step, id: str = "t1", **more: Any) -> Trajectory:
    return Trajectory(id=id, agent="claude-code/2", model="m", steps=steps, **more)


# Segments


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), []),
        ((user("a"), agent(), agent(), user("b"), agent()), [(0, 2, "a"), (3, 4, "b")]),
        ((Step(source="system"), user("a"), agent()), [(0, 2, "a")]),
        ((agent(), user("b"), agent()), [(0, 0, ""), (1, 2, "b")]),
        ((user("a"), user("more"), agent(), user("thanks")), [(0, 2, "a\n\nmore"), (3, 3, "thanks")]),
        ((Step(source="system"),), [(0, 0, "")]),
    ],
)
def test_a_unit_is_one_request_with_the_work_on_it(
    steps: tuple[Step, ...], expected: list[tuple[int, int, str]]
) -> None:
    assert [(u.first_step, u.last_step, u.request) for u in segment(session(*steps))] == expected


@given(st.lists(st.sampled_from(["user", "agent", "system"])))
def test_units_cover_every_step_once(sources: list[Any]) -> None:
    units = segment(session(*[Step(source=s) for s in sources]))
    assert [i for u in units for i in range(u.first_step, u.last_step + 1)] == list(range(len(sources)))


# Skill use


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("Skill", {"skill": "pdf"}, ["pdf"]),
        ("Skill", {"command": "plugin:pdf"}, ["pdf"]),
        ("Skill", {"skill": 5}, []),
        ("Read", {"file_path": "/h/.claude/skills/pdf/SKILL.md"}, ["pdf"]),
        ("read_file", {"path": "skills/pdf/SKILL.md"}, ["pdf"]),
        ("Read", {"file_path": "/h/skills/pdf/reference.md"}, []),
        ("Write", {"file_path": "/h/skills/pdf/SKILL.md", "content": "x"}, []),
        ("Bash", {"command": "cat skills/pdf/SKILL.md | head -50"}, ["pdf"]),
        ("Bash", {"command": "cd skills && sed -n 1,20p a-b/SKILL.md; cat c/SKILL.md"}, ["a-b", "c"]),
        ("Bash", {"command": "cat > skills/pdf/SKILL.md <<'E'\nhello\nE"}, []),
        ("Bash", {"command": "ls skills/pdf/SKILL.md"}, []),
        ("shell", {"command": ["bash", "-lc", "cat /h/.codex/skills/pdf/SKILL.md"]}, ["pdf"]),
        ("shell", {"command": "bash -lc 'cat /h/.codex/skills/pdf/SKILL.md'"}, ["pdf"]),
    ],
)
def test_loading_is_told_from_the_call(name: str, arguments: dict[str, Any], expected: list[str]) -> None:
    assert opened_by(ToolCall(id="c", name=name, arguments=arguments)) == expected


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (bash("python3 /h/skills/pdf-forms/scripts/fill.py"), True),
        (agent("As the pdf-forms skill says, I check the fields."), True),
        (agent("I made my-pdf-forms.txt"), False),
        (bash("cat /h/skills/pdf-forms/SKILL.md"), False),
        (user("use pdf-forms"), False),
        (agent("Done."), False),
    ],
)
def test_use_needs_an_action_or_a_word_after_loading(later: Step, expected: bool) -> None:
    load = call("Skill", "Launching", skill="pdf-forms")
    found = with_skills(session(load, later), ["pdf-forms", "docx"])
    assert (found.offered, found.loaded) == (("pdf-forms", "docx"), ("pdf-forms",))
    assert found.used == (("pdf-forms",) if expected else ())
    assert with_skills(session(later, load), ["pdf-forms"]).used == ()


def test_a_name_of_one_word_needs_the_word_skill() -> None:
    load = call("Skill", "Launching", skill="pdf")
    assert with_skills(session(load, agent("I open the pdf file.")), []).used == ()
    assert with_skills(session(load, agent("The pdf skill says so.")), []).used == ("pdf",)


def test_a_failed_load_is_none() -> None:
    assert with_skills(session(call("Skill", "unknown skill", True, skill="pdf")), ["pdf"]).loaded == ()


# Signals


def test_an_error_and_its_fix_are_paired_with_quotes() -> None:
    (lesson,) = [
        x
        for x in lessons_of(
            session(
                user("plot it"),
                bash(
                    "python3 plot.py --dpi high",
                    "Traceback (most recent call last):\n  x\nValueError: dpi must be a number",
                    True,
                ),
                call("Read", "code", file_path="plot.py"),
                bash("python3 plot.py --dpi 200", "saved"),
            )
        )
        if x.kind == "cause"
    ]
    assert "ValueError: dpi must be a number." in lesson.text and "--dpi 200" in lesson.text
    bad, good = lesson.references
    assert (bad.first_step, good.first_step) == (1, 3)
    assert "python3 plot.py --dpi high" in bad.quote and good.quote == "python3 plot.py --dpi 200"
    assert lesson.blame == "skill"


def test_what_made_the_same_call_work_is_named() -> None:
    (lesson,) = [
        x
        for x in lessons_of(
            session(
                bash("python3 a.py", "ModuleNotFoundError: No module named 'pandas'", True),
                bash("ls"),
                bash("pip install pandas"),
                bash("python3 a.py"),
            )
        )
        if x.kind == "cause"
    ]
    assert (
        lesson.text
        == "Bash failed with: ModuleNotFoundError: No module named 'pandas'. It worked after `pip install pandas`."
    )
    assert [r.first_step for r in lesson.references] == [0, 2, 3]


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((bash("make", "error: x", True), bash("make", "error: x", True)), "never fixed"),
        ((bash("make", "error: x", True), bash("cargo build")), "another program"),
        ((bash("make", "error: x", True), user("new task"), bash("make")), "another request"),
        ((bash("make", "error: x", True), *[agent()] * 9, bash("make")), "too late"),
        (
            (call("Read", "Sibling tool call errored", True, file_path="a"), call("Read", "x", file_path="a")),
            "not its own error",
        ),
        ((call("Read", "no such file", True, file_path="a.txt"), call("Read", "x", file_path="b.txt")), "another file"),
    ],
)
def test_no_fix_is_made_up(steps: tuple[Step, ...], why: str) -> None:
    assert [x.text for x in lessons_of(session(*steps)) if x.kind == "cause"] == [], why


@pytest.mark.parametrize(
    ("output", "blame"),
    [
        ("curl: (6) Could not resolve host: x", "environment"),
        ("File has not been read yet. Read it first before writing to it.", "agent"),
        ("error: externally-managed-environment", "skill"),
    ],
)
def test_blame(output: str, blame: str) -> None:
    found = lessons_of(session(bash("run x", output, True), bash("run y")))
    assert [x.blame for x in found if x.kind == "cause"] == [blame]


@pytest.mark.parametrize(
    "message",
    [
        "No, use a comma.",
        "That's wrong: rows are void",
        "don't round",
        "Actually, sort by date",
        "use tabs instead",
        "I said UTF-8",
        "Please always keep the header",
    ],
)
def test_corrections_are_quoted(message: str) -> None:
    found = lessons_of(session(user("do it"), agent("done"), user(message), agent("ok")))
    assert [(x.kind, x.references[0].quote, x.references[0].first_step) for x in found] == [("cause", message, 2)]


@pytest.mark.parametrize(
    "message", ["Now do the next file", "Thanks!", "Nothing else", "Usage report please", "Notes are in x"]
)
def test_ordinary_requests_are_no_corrections(message: str) -> None:
    assert lessons_of(session(user("do it"), agent("done"), user(message), agent("ok"))) == []


def test_a_first_request_is_no_correction() -> None:
    assert lessons_of(session(user("Don't use tabs in the report"), agent("done"))) == []


def test_a_refusal_keeps_the_reason() -> None:
    output = "The user doesn't want to proceed with this tool use. The user said:\nnever push to main"
    found = [x for x in lessons_of(session(bash("git push", output, True))) if x.kind == "cause"]
    assert [x.references[0].quote for x in found] == ["never push to main"]


def test_the_same_in_several_sessions_becomes_one_memory() -> None:
    def one(id: str, version: int) -> Trajectory:
        return session(
            user("do it"),
            bash(f"pip install a=={version}", "error: externally-managed-environment", True),
            bash(f"pip install a=={version} --break-system-packages"),
            id=id,
        )

    first = [x for x in lessons([one("t1", 1), one("t2", 2)]) if x.kind != "success"]
    assert [(x.kind, {r.trajectory for r in x.references}) for x in first] == [("memory", {"t1", "t2"})]
    assert [x.kind for x in lessons([one("t1", 1)]) if x.kind != "success"] == ["cause"]


def test_commands_and_files_are_named_and_looking_around_is_not() -> None:
    steps = (
        bash("ls -la"),
        bash("cd /w && python3 -c 'x'\nimport openpyxl\nimport json"),
        bash("make", "Exit code 2\nbad"),
        call("Write", "ok", file_path="out/report.docx", content=""),
    )
    texts = [x.text for x in lessons_of(session(*steps)) if x.kind == "success"]
    assert len(texts) == 2
    assert "python3" in texts[0] and "ls" not in texts[0] and "make" not in texts[0]
    assert texts[1] == "Such work writes docx; uses the modules openpyxl."


def test_a_lesson_names_the_skill_only_when_one_was_loaded() -> None:
    steps = (bash("x a", "error: b", True), bash("x c"))
    assert {x.skill for x in lessons_of(session(*steps, loaded=("pdf",)))} == {"pdf"}
    assert {x.skill for x in lessons_of(session(*steps, loaded=("pdf", "docx")))} == {None}


def test_the_line_that_says_what_went_wrong() -> None:
    assert error_line("Exit code 1\n  warning: slow\nerror: no such option\nmore") == "error: no such option."
    assert error_line("Traceback (most recent call last):\n error here\nKeyError: 'x'") == "KeyError: 'x'."
    assert error_line("") == "no message."
    assert len(error_line("error " * 500)) <= 201


@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "bash", "read"]), st.text(max_size=40), st.text(max_size=60), st.booleans()),
        max_size=8,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_session_gives_bounded_lessons_with_references_that_exist(items: list[tuple[str, str, str, bool]]) -> None:
    steps = [
        user(a) if kind == "user" else bash(a, b, error) if kind == "bash" else call("Read", b, error, file_path=a)
        for kind, a, b, error in items
    ]
    trajectory = session(*steps)
    for lesson in lessons([trajectory]):
        assert len(lesson.text) < 2000
        assert lesson.references
        for reference in lesson.references:
            assert 0 <= reference.first_step <= reference.last_step < len(steps)
            assert len(reference.quote) <= QUOTE


HOSTILE = ["\n", " ", "a", "~/", "a/", "- a: ", "import ", "../", "cat ", "$(", "<INSTRUCTIONS>", "a.b", "error "]


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_text_does_not_slow_it_down(part: str) -> None:
    text = part * (200_000 // len(part))
    steps = (user("go"), bash(text, text, True), bash("pip install x " + text), bash(text), agent(text), user(text))
    load = call("Skill", "ok", skill="a-b")
    start = time.process_time()
    lessons([with_skills(session(load, *steps), [])])
    assert time.process_time() - start < 3
