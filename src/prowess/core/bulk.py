"""Making very many objects at once."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Generator[None]:
    """No cyclic garbage collection meanwhile; memory without cycles is freed as ever.

    While a hundred thousand trials are made and kept, the collector goes over all of them again and again and finds
    nothing: it took more than half of the time (`benchmarks/trial_store.py`).
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
