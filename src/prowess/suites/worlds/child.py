"""The other end of `host.Child`: an engine in a process of its own, told what to do by lines of JSON.

Run as a script, `python child.py MODULE:CLASS`, by a Python that has the world's package and pydantic, and not
necessarily prowess: of ours, only the folder that this file lies in is made importable, and none of our packages.
Standard output belongs to the protocol; what the world's package prints goes to standard error.
"""

import importlib
import importlib.util
import json
import os
import sys
import traceback
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO


def main(engine: str) -> None:
    with os.fdopen(os.dup(1), "wb") as out, os.fdopen(os.dup(0), "rb") as lines:
        os.dup2(2, 1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        serve(engine, lines, out)


def serve(engine: str, lines: BinaryIO, out: BinaryIO) -> None:
    """Answer calls, `[method, arguments]`, with `result` or `error`, until the other end is closed."""

    def answer(value: dict[str, Any]) -> None:
        out.write(json.dumps(value).encode() + b"\n")
        out.flush()

    try:
        module, _, name = engine.partition(":")
        made = getattr(importlib.import_module(module), name)()
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"result": None})
    for line in lines:
        method, arguments = json.loads(line)
        try:
            found = getattr(made, method)(*arguments)
        except Exception as error:
            traceback.print_exc()
            answer({"error": f"{type(error).__name__}: {error}"})
        else:
            answer({"result": asdict(found) if is_dataclass(found) and not isinstance(found, type) else found})
        if method == "close":
            return


def make_importable(package: Path) -> None:
    """Make `prowess` importable from its folder, without what else lies beside that."""
    spec = importlib.util.spec_from_file_location(
        package.name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package.name] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    here = Path(__file__).resolve()
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != here.parent]
    if "prowess" not in sys.modules:
        make_importable(here.parents[2])
    main(sys.argv[1])
