"""Hostile input for `benchmarks/security.py`: time and memory, each case in a process of its own."""

import contextlib
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prowess.core.errors import UserError
from prowess.guard.scan import TEXT_CAP, scan_files
from prowess.library.bundles import read_bundle
from prowess.library.skillmd import read

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "library"))
from hostile_archives import HOSTILE

RUNS = 5
UNITS = [
    *"a-(`{['<| \n\"é\u200b",
    *(
        "$(",
        "${",
        "exec(",
        "<!--",
        "<!---->",
        "sk-",
        "aA1",
        "\\x41",
        "1+",
        "a.",
        "[[",
        "a=>",
        "lambda:",
        "eyJ",
        "-----BEGIN",
    ),
    *(f"{word} " for word in ("curl", "environ", "pip install", "npx -y", "ff", "not", "nc", "send", "do not tell")),
    *(
        "curl -d $A http://a ",
        "add to ",
        "rm -r ",
        "env | ",
        "> CLAUDE.md ",
        "https://a.b/",
        "http://http://",
        "download ",
    ),
    *("x=$(cat .env);", "os.environ[", "def f(x): return f(x)\n", "x = y\n", "const a=b\n", "<<a\n", "# a\n", "- b\n"),
    *("/dev/tcp/", "silently run ", "```\n", "\\\n", "![](http://a?", "\u0430b"),
]


def head(text: str) -> str:
    return f"---\nname: s\ndescription: d\n{text}\n---\n\nBody.\n"


HEADS: dict[str, str] = {
    "alias bomb": head("a: &a [x,x]\n" + "\n".join(f"k{n}: &k{n} [*a, *a]" for n in range(400))),
    "merge keys": head("b: &b {x: 1}\n" + "\n".join(f"k{n}: &k{n}\n  <<: [*b, *b]" for n in range(300))),
    "nested 20,000 deep": head("a: " + "[" * 20_000 + "]" * 20_000),
    "nested within the cap": head("a: " + "[" * 7_000 + "]" * 7_000),
    "200,000 keys": head("\n".join(f"k{n}: v" for n in range(200_000))),
    "1,500 keys": head("\n".join(f"k{n}: v" for n in range(1_500))),
    "scalar of 5 MB": head("a: " + "x" * 5_000_000),
    "the same key twice": head("name: other"),
    "a tag that builds objects": head('a: !!python/object/apply:os.system ["true"]'),
    "no end": "---\n" + "name: s\n" * 200_000,
}
UNICODE: dict[str, str] = {
    "tag characters": "\U000e0041" * 100_000,
    "bidirectional controls": "\u202ea\u202c" * 33_000,
    "letters that unfold to 18": "\ufdfa" * 100_000,
    "marks in falling order": "a" + "\u0301\u0316" * 50_000,
    "marks of one class": "a" + "\u0301" * 99_999,
    "zero-width joiners": "a\u200d" * 50_000,
    "variation selectors": "\u2764\ufe0f" * 50_000,
    "letters of two alphabets": "p\u0430ypal " * 14_000,
    "halves of pairs": "\ufffd" * 100_000,
    "letters of Chinese": "\u4e2d" * 100_000,
}


def hostile() -> dict[str, Any]:
    """Processor time and growth of memory for archives, frontmatter and Unicode; and the slowest repetitions."""
    made: dict[str, Any] = {"frontmatter": {}, "archives": {}, "unicode": {}}
    for name, text in HEADS.items():
        made["frontmatter"][name] = measured(lambda text=text: read(text))
    with tempfile.TemporaryDirectory() as place:
        for name, build in HOSTILE.items():
            path = Path(place, "x.zip")
            path.write_bytes(build())
            made["archives"][name] = measured(lambda path=path: read_bundle(str(path)))
    for name, text in UNICODE.items():
        data = {"SKILL.md": head("").encode() + text.encode("utf-8", "replace")}
        made["unicode"][name] = measured(lambda data=data: scan_files(data))
    slow: list[tuple[float, str, str]] = []
    for path in ("SKILL.md", "a.sh", "a.py", "a.js", "a.json"):
        for unit in UNITS:
            data = (unit * TEXT_CAP)[:TEXT_CAP].encode()
            begin = time.process_time()
            scan_files({path: data, "b.md": data, "c.md": data})
            slow.append((time.process_time() - begin, path, unit))
    slow.sort(reverse=True)
    made["slowest_s"] = [{"seconds": s, "file": p, "unit": u} for s, p, u in slow[:5]]
    return made


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Processor milliseconds, median of `RUNS`, and megabytes by which a fresh process grew."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def _child(work: Callable[[], object], answer: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times: list[float] = []
    for _ in range(RUNS):
        begin = time.process_time()
        with contextlib.suppress(UserError):
            work()
        times.append(time.process_time() - begin)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    answer.send({"ms": 1000 * sorted(times)[RUNS // 2], "mb": grown / 1024})
