"""The pages in headless Chromium: nothing is refused or thrown, pictures are not blank, colours can be told apart."""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra is not installed: pip install 'prowess[hub]'")

import uvicorn
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from test_web_pages import fill

from prowess.core.trajectory import Step, Trajectory
from prowess.library import Library
from prowess.serve.listen import listening
from prowess.serve.web.app import local
from prowess.serve.web.local import site
from prowess.serve.web.views import asset
from prowess.trajectories.store import TrajectoryStore

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Pages that are served for real; entering them leads to the skill."""
    folder = tmp_path_factory.mktemp("web")
    patch = pytest.MonkeyPatch()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        patch.setenv(name, str(folder))
    library, store = Library.open(folder / "library", create=True), TrajectoryStore(folder / "t.db")
    fill(library)
    store.put(Trajectory(id="session-1", agent="a", model="m", steps=(Step(source="user", message="sum it"),)))
    with listening("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        app = local(partial(site, library, store, folder), "k", (f"127.0.0.1:{port}",))
        entered = TestClient(app, base_url=f"http://127.0.0.1:{port}", follow_redirects=False).get("/enter?key=k")
        cookie = entered.headers["set-cookie"].partition(";")[0]
        config = uvicorn.Config(_signed_in(app, cookie), ws="none", lifespan="off", log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)
    patch.undo()


def _signed_in(app: ASGIApp, cookie: str) -> ASGIApp:
    """Headless Chromium forgets its cookies between two pages."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], (b"cookie", cookie.encode())]
        await app(scope, receive, send)

    return wrapped


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory, url: str) -> Callable[..., tuple[str, str]]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine")
    profile = tmp_path_factory.mktemp("profile")

    def go(path: str, *options: str) -> tuple[str, str]:
        """The page as the browser has it, and what it logged."""
        done = subprocess.run(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                "--disable-quic", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                "--enable-logging=stderr", f"--user-data-dir={profile}", *options, f"{url}{path}",
            ],
            capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
        return done.stdout, done.stderr

    return go


@pytest.mark.parametrize("path", ["/", "/skills/ledger-totals", "/search?q=totals", "/progress"])
def test_nothing_is_refused_or_thrown(browse: Callable[..., tuple[str, str]], path: str) -> None:
    page, said = browse(path, "--dump-dom")
    console = [line for line in said.splitlines() if ":CONSOLE" in line]
    assert not console, console
    assert "<main" in page and 'id="theme"' in page and "alert(1)</script>" not in page


@pytest.mark.parametrize("name", ["light", "dark", "phone"])
def test_pictures_are_not_blank(browse: Callable[..., tuple[str, str]], tmp_path: Path, name: str) -> None:
    size = "400,1600" if name == "phone" else "1200,1600"
    dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if name == "dark" else []
    picture = tmp_path / f"{name}.png"
    browse("/skills/ledger-totals", f"--window-size={size}", f"--screenshot={picture}", *dark)
    assert picture.stat().st_size > 20_000


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(mode: int) -> None:
    """Text on each ground has a contrast of 4.5 to 1, as WCAG 2.2 AA asks."""
    style = asset("site.css").decode()
    found = {m[1]: m[2 + mode] for m in re.finditer(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", style)}
    assert {"paper", "card", "ink", "soft", "accent", "bad"} <= found.keys()
    pairs = [(t, g) for t in ("ink", "soft", "accent", "bad") for g in ("paper", "card")]
    for text, ground in [*pairs, ("paper", "accent"), ("ink", "wash"), ("bad", "badwash"), ("soft", "wash")]:
        a, b = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
        assert (a + 0.05) / (b + 0.05) >= 4.5, (text, ground)
