"""The page: what it says, that it stands alone, and that hostile text stays text."""

import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prowess.core.lesson import Lesson, Reference
from prowess.core.skill import Skill, Snapshot
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.evolve.record import Decision, RunRecord
from prowess.report import render, sentence

Run = tuple[RunRecord, dict[str, Trajectory]]
HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}</pre></details><style>*{display:none}</style>"
)


class Reader(HTMLParser):
    """Counts tags and attributes, and sees whether tags close in order."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def poisoned(record: RunRecord, runs: dict[str, Trajectory], text: str) -> Run:
    """The run with `text` wherever a model or a stranger may have written."""
    skill = Skill(name="bad", description=text, body=text, metadata={"k": text})
    lesson = Lesson(kind="cause", text=text, references=(Reference(trajectory="stream-3", quote=text),))
    first = record.decisions[1]
    verdict = first.verdicts[-1].model_copy(update={"note": text, "gate": text})
    decision: Decision = first.model_copy(
        update={
            "lessons": (lesson,),
            "verdicts": (verdict,),
            "patch": first.patch.model_copy(update={"reason": text, "author": text}),
        }
    )
    step = Step(source="user", message=text, reasoning=text, observations=(Observation(content=text),))
    bad = runs["stream-3"].model_copy(update={"steps": (step,), "task_id": text, "error": text, "offered": (text,)})
    record = record.model_copy(
        update={
            "recipe": text,
            "model": text,
            "machine": text,
            "families": (text,),
            "settings": {text: text, "n": [text]},
            "after": record.after.with_skill(skill),
            "decisions": (decision, *record.decisions[2:]),
            "comparisons": tuple(c.model_copy(update={"label": text + c.label}) for c in record.comparisons),
            "curve": tuple(p.model_copy(update={"task_id": text}) for p in record.curve),
        }
    )
    return record, {**runs, "stream-3": bad}


def test_page_says_what_was_measured(run: Run) -> None:
    record, runs = run
    text = " ".join(" ".join(read(render(record, runs)).text).split())
    assert sentence(record) in text
    for part in ("+48 points", "26 of 40", "7 of 40", "19 of 20", "not enough evidence", "15 won · 5 tied · 0 lost"):
        assert part in text
    assert "holds what looks like a secret in SKILL.md, line 4" in text, "rejected changes are shown with their reason"
    assert "94 % of the 33 min 5 s went into the model" in text


def test_sentence_names_skills_result_and_cost(run: Run) -> None:
    said = sentence(run[0])
    assert "learned 1 skill (ledger-totals) and changed 1 skill (timesheet-hours)" in said
    assert "passed 7 without them and 26 with them: better" in said
    assert "n = 40, p < 0.0001" in said and "390,910 tokens and $0" in said


def test_empty_run_is_a_page_too(run: Run) -> None:
    record = run[0]
    empty = RunRecord(
        id="0", recipe="none", suite="s", families=(), model="m", agent="a", seed=0,
        before=Snapshot(), after=Snapshot(),
    )  # fmt: skip
    text = " ".join(read(render(empty, {})).text)
    assert "Nothing was measured" in text and "no change passed all gates" in text
    assert "learned nothing" in sentence(empty)
    assert record.id not in text


def test_no_request_leaves_the_page(run: Run) -> None:
    page = render(*run)
    reader = read(page)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(reader.tags)
    for name, value in reader.attributes:
        assert not name.startswith("on") and name not in {"src", "style", "action"}
        if name == "href":
            assert value is not None and value.startswith("#")
    policy = next(v for n, v in reader.attributes if n == "content")
    assert policy is not None and policy.startswith("default-src 'none'; ") and "unsafe-inline" not in policy
    assert not re.search(r"url\(|@import|https?://", page)


def test_links_lead_to_what_is_there(run: Run) -> None:
    reader = read(render(*run))
    ids = {value for name, value in reader.attributes if name == "id"}
    targets = {value[1:] for name, value in reader.attributes if name == "href" and value}
    assert targets <= ids
    assert sum(t.startswith("t") and t[1:].isdigit() for t in targets) >= 4, "lessons and harms open trajectories"


def test_policy_admits_exactly_our_script_and_style(run: Run) -> None:
    import base64
    import hashlib

    page = render(*run)
    policy = next(v for n, v in read(page).attributes if n == "content") or ""
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy


def test_hostile_text_stays_text(run: Run) -> None:
    clean = read(render(*run))
    reader = read(render(*poisoned(*run, HOSTILE)))
    assert reader.tags.count("script") == 1 and reader.tags.count("style") == 1 and "img" not in reader.tags
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    assert "".join(reader.text).count("alert(1)") > 10, "the text itself is there to be read"
    assert "{{ 7 * 7 }}" in "".join(reader.text)
    assert clean.tags.count("script") == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None), max_size=60))
def test_any_text_gives_a_well_formed_page(run: Run, text: str) -> None:
    record, runs = run
    small = record.model_copy(update={"comparisons": record.comparisons[:1], "curve": record.curve[:4]})
    page = render(*poisoned(small, {k: runs[k] for k in ("stream-3", "stream-7")}, text))
    page.encode("utf-8")
    assert read(page).tags.count("script") == 1


def test_invisible_characters_are_shown(run: Run) -> None:
    page = render(*poisoned(*run, "a\u202eb\x1b[31mc\u200bd\ud800"))
    assert "⟨U+202E⟩" in page and "⟨U+001B⟩" in page and "⟨U+200B⟩" in page and "⟨U+D800⟩" in page
    assert not any(c in page for c in "\u202e\x1b\u200b\ud800")


def test_long_text_is_cut_and_says_so(run: Run) -> None:
    record, runs = run
    page = render(*poisoned(record, runs, "x" * 400_000))
    assert len(page) < 1_500_000
    assert "characters more, not shown here" in page


def test_loader_may_be_a_function_and_may_not_find(run: Run) -> None:
    record, runs = run
    asked: list[str] = []

    def load(name: str) -> Trajectory | None:
        asked.append(name)
        return runs.get(name) if name.startswith("stream") else None

    page = render(record, load)
    assert "Trajectories" in page and asked
    assert "not in this page" in page, "links to absent trajectories say where to find them"


def test_render_is_deterministic(run: Run) -> None:
    assert render(*run) == render(*run)


# --- in a real browser ---


def pixels(path: Path) -> tuple[int, int, set[bytes]]:
    """Width, height and the set of distinct raw rows of a PNG; a blank picture has very few."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    at, body = 8, b""
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            body += data[at + 8 : at + 8 + size]
        at += 12 + size
    raw = zlib.decompress(body)
    stride = len(raw) // height
    return width, height, {raw[y * stride : (y + 1) * stride] for y in range(height)}


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine")

    def go(page: Path, *options: str) -> str:
        profile = tmp_path_factory.mktemp("profile")
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={profile}", *options, page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
        return done.stdout

    return go


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", ["--window-size=1200,2000"]),
        ("dark", ["--window-size=1200,2000", "--force-dark-mode", "--blink-settings=preferredColorScheme=0"]),
    ],
)
def test_picture_is_not_blank(
    run: Run, browse: Callable[..., str], tmp_path: Path, name: str, options: list[str]
) -> None:
    page, picture = tmp_path / "run.html", tmp_path / f"{name}.png"
    page.write_text(render(*run), "utf-8")
    browse(page, f"--screenshot={picture}", *options)
    width, height, rows = pixels(picture)
    assert (width, height) == (1200, 2000)
    assert len(rows) > 300, "text and charts give many different rows"


@pytest.mark.browser
def test_browser_runs_our_script_and_no_other(run: Run, browse: Callable[..., str], tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    poison = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    page.write_text(render(*poisoned(*run, poison)), "utf-8")
    dom = browse(page, "--dump-dom")
    title = dom.split("<title>")[1].split("</title>")[0]
    assert title != "owned" and "&lt;script&gt;" in title
    button = dom.split('id="theme"')[1].split(">")[0]
    assert "hidden" not in button, "our own script ran: the policy admits it"
