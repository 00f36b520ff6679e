"""The hub's processes: some that serve, some that work, and one that starts each again when it dies."""

import logging
import multiprocessing
import resource
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from prowess.core.errors import ProwessError
from prowess.serve import listen, logs
from prowess.serve.hub.evolver import Evolver, every_project
from prowess.serve.hub.service import Hub

GRACE: Final = 20
"""Seconds in which requests that are under way may end."""
MOST: Final = 12_000
"""Connections of one process; each needs a file descriptor."""
NIGHT: Final = 24 * 3600.0
"""Seconds between two times at which every project learns and tidies up."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs."""

    data: Path
    database: str = ""
    workers: int = 2
    """Processes that serve."""
    evolvers: int = 1
    """Processes that learn and prove."""
    secure: bool = False
    """The hub is reached by https alone, by way of a proxy: cookies say so."""


def serve(plan: Plan, host: str, port: int, ready: Callable[[int], None] = lambda port: None) -> None:
    """Serves until interrupted.

    Args:
        port: 0 for any that is free.
        ready: Told the port once it is open.

    Raises:
        UserError: the address is taken, or the database cannot be used.
    """
    logs.set_up(logging.WARNING)
    hub = Hub.open(plan.data, plan.database)  # makes the tables, and says what is wrong before anything is started
    with listen.bound(host, port, shared=True) as kept:
        number = kept.getsockname()[1]
        stop = threading.Event()
        _stops_at_signals(stop)
        serving = [partial(serve_one, plan, host, number)] * plan.workers
        ready(number)
        try:
            keep([*serving, *([partial(work_one, plan)] * plan.evolvers)], stop, _nightly(hub))
        finally:
            hub.close()


def keep(targets: list[Callable[[], None]], stop: threading.Event, tick: Callable[[], None]) -> None:
    """One process for each target, started again when it ends, until told to stop."""
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=target) for target in targets]
    started = [time.monotonic()] * len(running)
    for process in running:
        process.start()
    while not stop.wait(0.5):
        tick()
        for place, process in enumerate(running):
            # One that dies at its very start would only burn the machine: it waits a little.
            if not process.is_alive() and time.monotonic() - started[place] > 2:
                _log.warning("a process of the hub ended with %s and is started again", process.exitcode)
                running[place], started[place] = context.Process(target=targets[place]), time.monotonic()
                running[place].start()
    for process in running:
        process.terminate()
    for process in running:
        process.join(GRACE)
        if process.is_alive():
            process.kill()


def _nightly(hub: Hub) -> Callable[[], None]:
    """Called often, has every project learn once a night."""
    next_ = time.monotonic()

    def tick() -> None:
        nonlocal next_
        if time.monotonic() >= next_:
            try:
                every_project(hub)
                next_ += NIGHT
            except ProwessError as error:
                _log.warning("%s", error)
                next_ += 60

    return tick


def serve_one(plan: Plan, host: str, port: int) -> None:
    """One process that serves, beside others at the same address."""
    from prowess.serve.hub.app import application
    from prowess.serve.hub.pages import pages

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 2 * MOST if hard == resource.RLIM_INFINITY else min(hard, 2 * MOST)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    logs.set_up(logging.WARNING)
    hub = Hub.open(plan.data, plan.database)
    server = listen.server(application(hub, partial(pages, secure=plan.secure)), connections=MOST, grace=GRACE)

    def stop() -> None:
        server.should_exit = True

    _with_parent(stop)
    try:
        with listen.listening(host, port, shared=True) as opened:
            server.run(sockets=[opened])
    finally:
        hub.close()


def work_one(plan: Plan) -> None:
    """One process that works off the queue."""
    logs.set_up(logging.WARNING)
    stop = threading.Event()
    _stops_at_signals(stop)
    _with_parent(stop.set)
    hub = Hub.open(plan.data, plan.database)
    try:
        Evolver(hub).run(stop)
    finally:
        hub.close()


def _stops_at_signals(stop: threading.Event) -> None:
    def told(number: int, frame: object) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)


def _with_parent(stop: Callable[[], None]) -> None:
    """Calls `stop` when the process that started this one is gone, however it ended: nothing is left behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            stop()

        threading.Thread(target=watch, daemon=True).start()
