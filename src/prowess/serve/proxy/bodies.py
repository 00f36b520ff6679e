"""Bodies of requests and replies, read with bounds on bytes, on time, and on what they unpack to."""

import zlib
from collections.abc import AsyncIterator
from typing import Final, NamedTuple, cast

import anyio
from pydantic_core import from_json

from prowess.trajectories.plain import Json

MOST_BYTES: Final = 32 * 2**20
"""Of a request as it is sent, and unpacked; Anthropic's own bound."""
MOST_KEPT: Final = 32 * 2**20
"""Of a reply that is to be recorded; a longer one is passed on all the same."""
BODY_SECONDS: Final = 60.0
"""For the whole body of a request."""


class Refusal(Exception):
    """The proxy will not pass this on; `status` and the text are what the client is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Body(NamedTuple):
    """What a client asked for."""

    sent: bytes
    """As it came, packed or not."""
    text: bytes
    """Unpacked."""
    json: Json


async def read(stream: AsyncIterator[bytes], encoding: str, length: str) -> Body:
    """The JSON object that a request consists of.

    Raises:
        Refusal: it is too large or too slow, packed in a way that is not known, or no JSON object.
    """
    if length.isdecimal() and int(length) > MOST_BYTES:
        raise Refusal(413, f"the request is larger than {MOST_BYTES >> 20} MiB")
    data = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for chunk in stream:
                data += chunk
                if len(data) > MOST_BYTES:
                    raise Refusal(413, f"the request is larger than {MOST_BYTES >> 20} MiB")
    except TimeoutError:
        raise Refusal(408, f"the request did not end within {BODY_SECONDS:.0f} s") from None
    sent = bytes(data)
    text = unpacked(sent, encoding, MOST_BYTES)
    if text is None:
        raise Refusal(413, f"the request unpacks to more than {MOST_BYTES >> 20} MiB, or not at all")
    try:
        found = from_json(text)
    except ValueError:
        raise Refusal(400, "the request is no JSON") from None
    if not isinstance(found, dict):
        raise Refusal(400, "the request is no JSON object")
    return Body(sent, text, cast(Json, found))


def unpacked(data: bytes, encoding: str, most: int) -> bytes | None:
    """`data` without its content encoding; None when it is larger than `most`, or damaged.

    Raises:
        Refusal: the encoding is neither gzip nor deflate.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return data
        case "gzip" | "x-gzip":
            bits = 16 + zlib.MAX_WBITS
        case "deflate":
            bits = zlib.MAX_WBITS
        case _:
            raise Refusal(415, f"content-encoding {encoding[:40]!r} is not known here; send gzip, deflate or none")
    opened = zlib.decompressobj(bits)
    try:
        found = opened.decompress(data, most + 1)
    except zlib.error:
        return None
    return found if len(found) <= most and opened.eof else None
