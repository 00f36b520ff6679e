"""`prowess web`: the pages for the person at this machine."""

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prowess.guard.keys import SELF, Keyring
from prowess.library import Library
from prowess.serve import listen, review
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
    with listen.listening("127.0.0.1", port) as opened:
        number = opened.getsockname()[1]
        hosts = (f"127.0.0.1:{number}", f"localhost:{number}")
        made = listen.server(local(partial(site, library, store, folder), key, hosts), connections=200)
        ready(f"http://127.0.0.1:{number}/enter?key={key}")
        made.run(sockets=[opened])
