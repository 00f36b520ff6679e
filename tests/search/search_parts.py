"""Skills, and an encoder that knows a few synonyms, for the tests of search."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.search.encoders import unit

SYNONYMS = {"invoice": "bill", "invoices": "bill", "bills": "bill", "car": "vehicle", "automobile": "vehicle"}


def skill(name: str, description: str, body: str = "", **more: object) -> Skill:
    return Skill.model_validate({"name": name, "description": description, "body": body, **more})


def text_file(path: str, text: str) -> File:
    return File(path=path, data=text.encode())


class Synonyms:
    """Every word has a random direction of its own; synonyms share one."""

    def __init__(self, dimensions: int = 64, name: str = "synonyms") -> None:
        self.dimensions, self.name, self.source = dimensions, name, "nowhere"
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += len(texts)
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for place, text in enumerate(texts):
            for word in text.lower().replace(".", " ").split():
                seed = zlib.crc32(SYNONYMS.get(word, word).encode("utf-8", "replace"))
                rows[place] += np.random.default_rng(seed).normal(size=self.dimensions)
        return unit(rows)
