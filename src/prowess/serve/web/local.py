"""`prowess web`: the pages for the person at this machine."""

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvicorn

from prowess.guard.keys import SELF, Keyring
from prowess.library import Library
from prowess.serve import review
from prowess.serve.guarded import Protocol, listening
from prowess.serve.web.app import local
from prowess.serve.web.site import LocalSessions, Site, runs_below
from prowess.trajectories.store import TrajectoryStore


def site(library: Library, store: TrajectoryStore, folder: Path, guard: str) -> Site:
    """The library with this machine's sessions and the runs below `folder`. Its one reader may do everything."""
    keyring = Keyring()

    def use(id: str, text: str | None, foreign: bool) -> str:
        if text is None:
            return review.use(library, keyring, id, by=SELF, foreign=foreign).change.id
        return review.tweak(library, keyring, id, text, by=SELF, foreign=foreign).change.id

    return Site(
        title=library.path.name,
        at="",
        person=SELF,
        guard=guard,
        library=library,
        keyring=keyring,
        sessions=LocalSessions(store),
        decide=use,
        skip=lambda id, reason: review.skip(library, id, reason, by=SELF),
        runs=lambda: runs_below(folder),
    )


def serve(library: Library, store: TrajectoryStore, folder: Path, port: int, ready: Callable[[str], None]) -> None:
    """Serves until interrupted; `ready` is told the whole address. Raises UserError where the port is taken."""
    key = secrets.token_urlsafe(24)
    with listening("127.0.0.1", port) as opened:
        number = opened.getsockname()[1]
        hosts = (f"127.0.0.1:{number}", f"localhost:{number}")
        config = uvicorn.Config(
            local(partial(site, library, store, folder), key, hosts), http=Protocol, ws="none", lifespan="off",
            access_log=False, server_header=False, log_level="warning", limit_concurrency=200,
        )  # fmt: skip
        ready(f"http://127.0.0.1:{number}/enter?key={key}")
        uvicorn.Server(config).run(sockets=[opened])
