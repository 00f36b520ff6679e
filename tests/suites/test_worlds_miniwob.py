"""MiniWoB++: what is shown of a page, what actions do to it, and what is left when its browser dies."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.errors import UserError, WorldError
from prowess.suites import open_suite
from prowess.suites.worlds import needs
from prowess.suites.worlds.engine import Scene
from prowess.suites.worlds.host import Child
from prowess.suites.worlds.miniwob import MiniWob
from prowess.suites.worlds.miniwob.browser import quoted
from prowess.suites.worlds.miniwob.gold import FREE, SOLUTIONS
from prowess.suites.worlds.miniwob.sight import Numbers, Thing, actions, as_accessibility, as_dom
from prowess.suites.worlds.suite import start_of

STRANGE = st.text(max_size=30) | st.sampled_from(['[1] button "OK"', "</div>\n<b ref=1>", "\x00", "\u2028[2] link"])


def page(*children: Thing) -> Thing:
    return Thing(0, "body", {}, "", False, children=list(children))


@given(STRANGE, STRANGE, STRANGE)
def test_what_a_page_says_makes_no_lines_of_its_own(text: str, name: str, value: str) -> None:
    said = Thing(1, "", {}, " ".join(text.split()) or "nothing", False)
    field = Thing(2, "input", {"id": value}, "", True, role="textbox", name=name, value=value, ref=1)
    body = page(said, field)
    for shown, number in ((as_accessibility(body), "[1] text"), (as_dom(body), "<input ref=1")):
        assert (
            len(shown.splitlines()) == len([said, field])
            and sum(line.startswith(number) for line in shown.splitlines()) == 1
        )
    (typed,) = [action for action in actions(body, [text]) if action.startswith("type")]
    assert json.loads(typed.removeprefix("type [1] ")) == text and len(typed.splitlines()) <= 1


def test_numbers_stay_with_their_things() -> None:
    numbers = Numbers()
    assert [numbers[id] for id in (70, 12, 70, 5, 12)] == [1, 2, 1, 3, 2]


def test_what_goals_quote_may_be_typed() -> None:
    assert quoted('Enter "a" and "b c", then "a".') == ("a", "b c")
    assert quoted("Focus into the textbox.") == ()


def test_free_families_are_families() -> None:
    assert set(SOLUTIONS) > FREE


def test_a_missing_browser_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda module: object())
    monkeypatch.setattr(needs, "browser", lambda: None)
    with pytest.raises(UserError) as error:
        open_suite("miniwob")
    assert "Debian's chromium" in str(error.value)
    monkeypatch.setattr(needs, "find_spec", lambda module: None if module == "playwright" else object())
    with pytest.raises(UserError) as error:
        open_suite("miniwob")
    assert "playwright" in str(error.value) and "pip install 'prowess[miniwob]'" in str(error.value)


@pytest.fixture(scope="module")
def suite() -> Iterator[MiniWob]:
    try:
        made = MiniWob()
    except UserError as error:
        pytest.skip(f"miniwob: {error.message}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(suite: MiniWob) -> Iterator[Child]:
    made = Child(suite.engine)
    yield made
    made.close()


def begin(browser: Child, suite: MiniWob, family: str, variant: str = "base", number: int = 0) -> Scene:
    return browser.reset(start_of(suite.tasks(family, "test", 1, variant, number)[0]))


@pytest.mark.browser
class TestPages:
    @pytest.mark.parametrize(
        "family", ["book-flight-nodelay", "click-menu", "enter-date", "social-media-some", "use-slider"]
    )
    def test_one_solution_serves_both_views(self, browser: Child, suite: MiniWob, family: str) -> None:
        base, dom = (start_of(suite.tasks(family, "test", 1, variant)[0]) for variant in suite.variants(family))
        done = browser.gold(base)
        scene = browser.reset(dom)
        for action in done:
            assert scene.actions is None if family in FREE else action in (scene.actions or ())
            scene = browser.step(action)
            assert scene.understood, action
        assert scene.done and browser.score().passed

    def test_a_page_as_accessibility_and_as_dom(self, browser: Child, suite: MiniWob) -> None:
        assert "[1] textbox" in begin(browser, suite, "enter-text").text
        shown = begin(browser, suite, "enter-text", "dom").text
        assert "<input ref=1" in shown and "reward" not in shown and "START" not in shown

    def test_time_goes_by_with_actions_only(self, browser: Child, suite: MiniWob) -> None:
        start = start_of(suite.tasks("button-delay", "test", 1)[0])
        done = browser.gold(start)
        browser.reset(start)
        for action in done:
            time.sleep(0.5)  # the page rewards the right delay, by its clock
            browser.step(action)
        assert browser.score().passed

    def test_the_limit_of_a_page_is_lifted(self, browser: Child, suite: MiniWob) -> None:
        begin(browser, suite, "click-test")
        for _ in range(15):  # seconds of the page, which would end after ten
            scene = browser.step("wait")
        assert not scene.done and browser.score().value == 0
        assert browser.step("click [1]").done and browser.score().value == 1

    def test_a_wrong_answer_is_worth_nothing(self, browser: Child, suite: MiniWob) -> None:
        begin(browser, suite, "enter-text")
        browser.step('type [1] "something else"')
        scene = browser.step("click [2]")
        assert scene.done and not browser.score().passed and browser.score().value == 0

    def test_typing_replaces_and_takes_any_text(self, browser: Child, suite: MiniWob) -> None:
        begin(browser, suite, "enter-text")
        for text in ("first", 'a "quoted" \\ one', "ü 确定 🙂"):
            scene = browser.step(f"type [1] {json.dumps(text)}")
            assert scene.understood and f"value={json.dumps(text, ensure_ascii=False)}" in scene.text

    @pytest.mark.parametrize(
        "action",
        ["click [99]", "click 1", "click [1] [2]", "type [1] hello", 'type [2] "no field"', 'select [1] "x"',
         'type [1] "open', "press NoSuchKey", "press Control+NoSuchKey", "goto http://example.org", "click [999999]"],
    )  # fmt: skip
    def test_nonsense_changes_nothing(self, browser: Child, suite: MiniWob, action: str) -> None:
        before = begin(browser, suite, "enter-text")
        after = browser.step(action)
        assert not after.understood and not after.done and after.text == before.text

    def test_equal_starts_are_equal_pages(self, browser: Child, suite: MiniWob) -> None:
        first = begin(browser, suite, "email-inbox", "dom")
        other = begin(browser, suite, "email-inbox", "dom", 1)
        assert begin(browser, suite, "email-inbox", "dom") == first != other


@pytest.mark.browser
def test_a_browser_that_dies_makes_the_run_missing_and_nothing_stays(suite: MiniWob) -> None:
    task = suite.tasks("click-test", "test", 1)[0]
    left: set[int] = set()

    async def go() -> None:
        async with suite.episode(task) as episode:
            await episode.reset()
            (seat,) = suite._pool.held
            left.update(below(seat._engine._process.pid))  # type: ignore[union-attr]
            assert any(b"chrom" in command(pid) for pid in left)
            seat._engine.kill()  # type: ignore[union-attr]
            with pytest.raises(WorldError):
                await episode.step("click [1]")
            episode.scene = None  # there is no score
        async with suite.episode(task) as episode:
            await episode.reset()
            assert (await episode.step("click [1]")).done

    anyio.run(go)
    until = time.monotonic() + 20
    while (still := {pid for pid in left if b"chrom" in command(pid)}) and time.monotonic() < until:
        time.sleep(0.1)
    assert not still


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def below(pid: int) -> set[int]:
    """All processes that a process has started, and they."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
