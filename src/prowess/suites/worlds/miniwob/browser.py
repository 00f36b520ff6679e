"""MiniWoB++ pages in a real Chromium, one episode at a time, driven through Playwright.

Time stands still on a page: each action lets exactly one second of it go by. So what moves, fades or is delayed does
not depend on how fast the player or the machine is, equal actions lead to equal ends, and the page's own limit of ten
seconds is lifted; the steps of a task limit it instead. The reward is the page's, before it is discounted by time.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from prowess.suites.worlds.engine import Outcome, Scene, Start
from prowess.suites.worlds.miniwob.sight import STYLES, Numbers, Thing, actions, as_accessibility, as_dom, seen
from prowess.suites.worlds.needs import browser

TODAY: Final = 1_577_880_000_000
"""On all pages, in milliseconds: noon of 1 January 2020, after all dates that they ask for."""
SECOND: Final = 1_000
_LIMIT: Final = 2_000_000_000
"""Milliseconds, the longest that a page's timer can take: three weeks."""
_EPISODES: Final = 16
"""Until a new context: it takes seconds, but an old one plays all calls of its clock again on each page."""
_ATTEMPTS: Final = 3
"""Of a script at a page, where it can choose among equals."""
_ACTION: Final = re.compile(
    r'(?:(?P<point>click|hover) \[(?P<on>\d{1,6})\]|(?P<verb>type|select) \[(?P<at>\d{1,6})\] (?P<text>".*")'
    r"|press (?P<key>[A-Za-z0-9+]{1,40})|(?P<wait>wait))"
)
_BEGIN: Final = """([seed, limit]) => {
    core.EPISODE_MAX_TIME = limit;
    Math.seedrandom(seed);
    core.endEpisode(0);
    core.startEpisodeReal();
}"""
_STATE: Final = """() => typeof core === 'undefined' || (core.EP_TIMER === null && !WOB_DONE_GLOBAL)
    ? {over: true, reward: 0} : {over: WOB_DONE_GLOBAL, reward: WOB_RAW_REWARD_GLOBAL}"""
_TELL: Final = """function () {
    for (const kind of ['input', 'change']) this.dispatchEvent(new Event(kind, {bubbles: true}));
}"""
_PARTED: Final = ("date", "time", "month", "week", "datetime-local", "color")
"""Fields that are given a whole value: typing into them depends on the machine's language."""
_TRIES, _MOMENT = 20, 10
_GOAL: Final = """() => { const said = core.getUtterance(); return typeof said === 'string' ? said : said.utterance }"""


class Browser:
    """A Chromium of its own, used for many episodes."""

    def __init__(self) -> None:
        self._playwright: Any = import_module("playwright.sync_api").sync_playwright().start()
        self._browser: Any = self._playwright.chromium.launch(executable_path=browser(), args=["--disable-gpu"])
        self._context: Any = None
        self._page: Any
        self._episodes = 0
        self.body = Thing(0, "body", {}, "", False)
        """What is to be seen now."""
        self.goal = ""
        self.attempt = 0

    def reset(self, start: Start) -> Scene:
        self._open()
        self._start = start
        self._page.goto((_pages() / f"{start['task']}.html").as_uri())
        self._page.evaluate(_BEGIN, [str(start["seed"]), _LIMIT])
        self._numbers = Numbers()
        self.goal = " ".join(str(self._page.evaluate(_GOAL)).split())
        return self._scene(goal=self.goal)

    def step(self, action: str) -> Scene:
        understood = self._act(action)
        return self._scene(understood=understood)

    def score(self) -> Outcome:
        reward = float(self._state["reward"])
        passed = bool(self._state["over"]) and reward >= 1
        return Outcome(max(reward, 0.0), passed, "" if passed else "the page gave less than its full reward")

    def gold(self, start: Start) -> Sequence[str]:
        from prowess.suites.worlds.miniwob.gold import SOLUTIONS

        done: list[str] = []
        for self.attempt in range(_ATTEMPTS):
            self.reset(start)
            done = []
            for action in SOLUTIONS[start["task"]](self):
                done.append(action)
                if self.step(action).done:
                    break
            if self.score().passed:
                break
        return done

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._browser.close()
            self._playwright.stop()

    def _open(self) -> None:
        """A page on which time stands still, and nothing is left of the one before."""
        if self._context is None or self._episodes == _EPISODES:
            if self._context is not None:
                self._context.close()
            self._context = self._browser.new_context(
                viewport={"width": 500, "height": 320}, offline=True, reduced_motion="reduce", locale="en-US",
                timezone_id="UTC",
            )  # fmt: skip
            self._page = self._context.new_page()
            self._protocol = self._context.new_cdp_session(self._page)
            self._episodes = 0
        self._episodes += 1
        self._page.mouse.move(0, 0)
        self._page.clock.install(time=TODAY)
        self._page.clock.pause_at(TODAY + SECOND)

    def _scene(self, *, goal: str = "", understood: bool = True) -> Scene:
        self._page.clock.run_for(SECOND)
        self._state = self._page.evaluate(_STATE)
        if self._state["over"]:
            return Scene("The page has closed.", (), True, goal, understood)
        snapshot = self._protocol.send("DOMSnapshot.captureSnapshot", {"computedStyles": list(STYLES)})
        self.body = seen(snapshot, self._protocol.send("Accessibility.getFullAXTree"), self._numbers)
        text = as_dom(self.body) if self._start["dom"] else as_accessibility(self.body)
        listed = None if self._start["free"] else actions(self.body, quoted(self.goal))
        return Scene(text, listed, False, goal, understood)

    def _act(self, action: str) -> bool:
        """Do it; False where there is no such action or no such thing."""
        found = _ACTION.fullmatch(action)
        if found is None:
            return False
        if found["wait"]:
            return True
        if (key := found["key"]) is not None:
            try:
                self._page.keyboard.press(key)
            except Exception as error:
                if "Unknown key" in str(error):
                    return False
                raise
            return True
        ref = int(found["on"] or found["at"])
        thing = next((thing for thing in self.body.walk() if thing.ref == ref), None)
        if thing is None:
            return False
        if found["verb"] is None:
            return self._click(thing) if found["point"] == "click" else self._hover(thing)
        try:
            text = json.loads(found["text"])
        except ValueError:
            return False
        return self._select(thing, text) if found["verb"] == "select" else self._type(thing, text)

    def _click(self, thing: Thing) -> bool:
        where = self._middle(thing)
        if where is None:
            return False
        self._page.mouse.move(*where)
        for _ in range(_TRIES):  # what the pointer rests on may change its picture, which takes a moment to load
            before, where = where, self._middle(thing)
            if where is not None and where == before:
                break
            self._page.wait_for_timeout(_MOMENT)
            where = where or before
        self._page.mouse.click(*where)
        return True

    def _hover(self, thing: Thing) -> bool:
        where = self._middle(thing)
        if where is not None:
            self._page.mouse.move(*where)
        return where is not None

    def _middle(self, thing: Thing) -> tuple[float, float] | None:
        try:
            self._protocol.send("DOM.scrollIntoViewIfNeeded", {"backendNodeId": thing.id})
            quads = self._protocol.send("DOM.getContentQuads", {"backendNodeId": thing.id})["quads"]
        except Exception:  # gone from the page, or of no size
            return None
        for quad in quads:
            if max(quad[::2]) > min(quad[::2]) and max(quad[1::2]) > min(quad[1::2]):
                return sum(quad[::2]) / 4, sum(quad[1::2]) / 4
        return None

    def _type(self, thing: Thing, text: str) -> bool:
        if not thing.takes_text or "disabled" in thing.states:
            return False
        if thing.attributes.get("type") in _PARTED:
            self._on(thing, "function (text) { this.value = text; }", text)
            return True
        if not self._click(thing):
            return False
        self._page.keyboard.press("Control+A")
        self._page.keyboard.press("Delete")
        self._page.keyboard.type(text)
        return True

    def _select(self, thing: Thing, text: str) -> bool:
        options = [option for option in thing.walk() if option.tag == "option"]
        nth = next((n for n, option in enumerate(options) if option.text == text), None)
        if thing.tag != "select" or nth is None:
            return False
        self._on(
            thing,
            """function (nth) {
                if (this.multiple) this.options[nth].selected = !this.options[nth].selected;
                else this.selectedIndex = nth;
            }""",
            nth,
        )
        return True

    def _on(self, thing: Thing, change: str, value: str | int) -> None:
        """Have a field change by a program, for those that other programs than the page draw."""
        node = self._protocol.send("DOM.resolveNode", {"backendNodeId": thing.id})["object"]["objectId"]
        for function in (change, _TELL):
            self._protocol.send(
                "Runtime.callFunctionOn",
                {"objectId": node, "functionDeclaration": function, "arguments": [{"value": value}]},
            )


def quoted(goal: str) -> tuple[str, ...]:
    """What a goal puts into quotes."""
    return tuple(dict.fromkeys(re.findall(r'"([^"]+)"', goal)))


def _pages() -> Path:
    spec = find_spec("miniwob")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "html" / "miniwob"
