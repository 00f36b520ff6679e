"""The pictures of docs/web.md: the pages of a library, as headless Chromium draws them.

prowess demo --out demo
python benchmarks/web_pictures.py --library demo/library --folder demo --out docs
"""

import argparse
import shutil
import subprocess
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import uvicorn
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from prowess.core.patch import Patch, SetDescription
from prowess.library import Library
from prowess.serve.listen import listening
from prowess.serve.web.app import local
from prowess.serve.web.local import site
from prowess.trajectories.store import TrajectoryStore

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--library", type=Path, required=True)
    parse.add_argument("--folder", type=Path, default=Path(), help="where finished runs lie")
    parse.add_argument("--sessions", type=Path, help="a store of trajectories")
    parse.add_argument("--out", type=Path, required=True)
    parse.add_argument("--all", action="store_true", help="every page, light, dark and on a phone")
    args = parse.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(scratch, "library")
        shutil.copytree(args.library, copied)
        library = Library.open(copied)
        (skill, *_) = library.snapshot().skills
        told = f"{skill.description.rstrip('.')}. Not for other ledgers."
        op = SetDescription(name=skill.name, description=told[:1024])
        patch = Patch(base=library.snapshot().digest, operations=(op,), reason=f"{skill.name}: say what it is not for")
        proposal = library.propose(patch, by="anna")
        pages = [
            ("web-library", "/", "1200,620", False),
            ("web-skill", f"/skills/{skill.name}", "1200,1500", False),
            ("web-review-phone", f"/review/{proposal.id}", "430,1100", True),
        ]
        if args.all:
            paths = [
                "/search?q=sum+ledger",
                f"/skills/{skill.name}/versions",
                "/review",
                "/sessions",
                "/runs",
                "/progress",
                "/cost",
            ]
            pages += [(f"web{path.replace('/', '-').partition('?')[0]}", path, "1200,1000", False) for path in paths]
            pages += [("web-skill-dark", f"/skills/{skill.name}", "1200,1500", True)]
            pages += [("web-skill-phone", f"/skills/{skill.name}", "430,1500", False)]
        take(library, args.sessions or Path(scratch, "none.db"), args.folder, args.out, pages)


def take(library: Library, sessions: Path, folder: Path, out: Path, pages: list[tuple[str, str, str, bool]]) -> None:
    program = next(found for name in CHROMIUM if (found := shutil.which(name)))
    with listening("127.0.0.1", 0) as opened, tempfile.TemporaryDirectory() as profile:
        port = opened.getsockname()[1]
        app = local(partial(site, library, TrajectoryStore(sessions), folder), "k", (f"127.0.0.1:{port}",))
        entered = TestClient(app, base_url=f"http://127.0.0.1:{port}", follow_redirects=False).get("/enter?key=k")
        signed = signed_in(app, entered.headers["set-cookie"].partition(";")[0])
        server = uvicorn.Server(uvicorn.Config(signed, ws="none", lifespan="off", log_level="warning"))
        threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True).start()
        time.sleep(1)
        for name, path, size, dark in pages:
            looks = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
            subprocess.run(
                [
                    program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--window-size={size}", f"--user-data-dir={profile}", f"--screenshot={out / name}.png", *looks, f"http://127.0.0.1:{port}{path}",
                ],
                check=True, capture_output=True, timeout=90,
            )  # fmt: skip
            print(out / f"{name}.png")
        server.should_exit = True


def signed_in(app: ASGIApp, cookie: str) -> ASGIApp:
    """Headless Chromium forgets its cookies between two pages."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], (b"cookie", cookie.encode())]
        await app(scope, receive, send)

    return wrapped


if __name__ == "__main__":
    main()
