"""Text to unit vectors, so that what means the same lies close: static embeddings, ONNX models, sentence-transformers.

A static embedding is one vector a token, averaged: no network runs, so it takes microseconds and always says the same.
Folders are read as data; nothing in them is executed. The packages that encoders need belong to extras.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from prowess.core.errors import UserError
from prowess.search.weights import STATIC

Vectors = NDArray[np.float32]
_BATCH: Final = 256
_TOKENS: Final = 256
"""Of a text that are read; what a skill is for stands at its beginning."""


class Encoder(Protocol):
    """Makes vectors from texts."""

    name: str
    """Changes whenever the vectors do."""
    source: str
    """What `open_encoder` was asked for."""
    dimensions: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text; zeros for a text without any token it knows."""
        ...


def open_encoder(source: str, cache: Path) -> Encoder:
    """The encoder in the folder `source`, or for `static` the one that `prowess.search.weights` fetched into `cache`.

    A folder with `model.onnx` is taken for ONNX, one with `modules.json` for sentence-transformers, else for static.

    Raises:
        UserError: there is none, its files do not fit together, or a package is missing.
    """
    if source == STATIC.name:
        if not (folder := cache / STATIC.name).is_dir():
            raise UserError("the static embedding is not on this machine", "run `prowess index --encoder static`")
    else:
        folder = Path(source).expanduser().absolute()
        source = str(folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "name a folder that holds an embedding model")
    if (folder / "model.onnx").is_file():
        return OnnxEncoder(folder, source)
    if (folder / "modules.json").is_file():
        return SentenceTransformersEncoder(folder, source)
    return StaticEncoder(folder, source)


class StaticEncoder:
    """A table with one vector a token, as model2vec and WordLlama publish them: `*.safetensors`, `tokenizer.json`."""

    def __init__(self, folder: Path, source: str) -> None:
        weights = sorted(folder.glob("*.safetensors"))
        if len(weights) != 1:
            raise UserError(f"{folder} holds {len(weights)} files *.safetensors", "a static embedding has exactly one")
        data = weights[0].read_bytes()
        self._table = _table(data, weights[0])
        self._tokenizer = _tokenizer(folder)
        self.source = source
        self.name = _name("static", folder, data)
        self.dimensions = int(self._table.shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = [_clean(text) for text in texts[start : start + _BATCH]]
            for row, coded in enumerate(self._tokenizer.encode_batch(batch, add_special_tokens=False), start):
                ids = np.asarray(coded.ids[:_TOKENS], np.int64)
                ids = ids[ids < len(self._table)]
                if len(ids):
                    found[row] = self._table[ids].mean(axis=0)
        return unit(found)


class OnnxEncoder:
    """A transformer as an ONNX file, averaged over tokens: `model.onnx`, `tokenizer.json`."""

    def __init__(self, folder: Path, source: str) -> None:
        runtime = _package("onnxruntime", "onnx")
        path = folder / "model.onnx"
        self._tokenizer = _tokenizer(folder)
        self._tokenizer.enable_truncation(_TOKENS)
        self._tokenizer.enable_padding()
        try:
            self._session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            self._inputs = [i.name for i in self._session.get_inputs()]
            self.dimensions = int(self._encode(["a"]).shape[1])
        except Exception as error:  # whatever a foreign file makes the engine raise
            raise UserError(f"{path} cannot be used: {error}", "name another model") from error
        self.source = source
        self.name = _name("onnx", folder, path.read_bytes())

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Texts of like length run together, so that little is padding."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = np.zeros((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), 32):
            batch = order[start : start + 32]
            found[batch] = self._encode([_clean(texts[i]) for i in batch])
        return unit(found)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        coded = self._tokenizer.encode_batch(texts)
        ids = np.array([c.ids for c in coded], np.int64)
        mask = np.array([c.attention_mask for c in coded], np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        out = np.asarray(self._session.run(None, {name: given[name] for name in self._inputs})[0], np.float32)
        if out.ndim == 2:  # pooled inside
            return out
        return (out * mask[:, :, None]).sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)


class SentenceTransformersEncoder:
    """Any model that the package sentence-transformers opens from a folder; code in it is not run."""

    def __init__(self, folder: Path, source: str) -> None:
        package = _package("sentence_transformers", "sentence-transformers")
        try:
            self._model = package.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        except Exception as error:  # whatever a foreign folder makes the package raise
            raise UserError(f"{folder} cannot be used: {error}", "name another model") from error
        self.dimensions = int(self._model.get_sentence_embedding_dimension())
        weights = sorted(folder.rglob("*.safetensors"))
        self.source = source
        self.name = _name("sentence-transformers", folder, b"".join(path.read_bytes() for path in weights))

    def encode(self, texts: Sequence[str]) -> Vectors:
        found = self._model.encode([_clean(text) for text in texts], convert_to_numpy=True, show_progress_bar=False)
        return unit(np.asarray(found, np.float32))


def unit(rows: Vectors) -> Vectors:
    """Rows at length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _name(kind: str, folder: Path, weights: bytes) -> str:
    return f"{kind}:{folder.name}:{hashlib.sha256(weights).hexdigest()[:12]}"


def _clean(text: str) -> str:
    """The beginning of a text, as what a tokenizer takes: no halves of surrogate pairs."""
    return text[: 16 * _TOKENS].encode("utf-8", "replace").decode()


def _package(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"this encoder needs the package {module}", f"pip install 'prowess[{extra}]'") from error


def _tokenizer(folder: Path) -> Any:
    package = _package("tokenizers", "search")
    path = folder / "tokenizer.json"
    try:
        tokenizer = package.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing more special
        raise UserError(f"{path} cannot be read: {error}", "name a folder that holds tokenizer.json") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _table(data: bytes, path: Path) -> Vectors:
    """The one matrix in a file of the safetensors format: length of the header, header in JSON, numbers."""
    kinds = {"F16": "<f2", "F32": "<f4"}
    try:
        size = int.from_bytes(data[:8], "little")
        header: dict[str, Any] = json.loads(data[8 : 8 + size])
        ((_, entry),) = ((n, e) for n, e in header.items() if n != "__metadata__" and len(e["shape"]) == 2)
        start, end = entry["data_offsets"]
        table = np.frombuffer(data[8 + size + start : 8 + size + end], kinds[entry["dtype"]])
        return np.ascontiguousarray(table.reshape(entry["shape"]), np.float32)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} does not hold exactly one matrix: {error!r}", "name another model") from error
