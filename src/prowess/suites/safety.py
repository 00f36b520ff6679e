"""Limits on answers before they are opened: they are hostile input."""

import io
import zipfile
import zlib


class Unreadable(Exception):
    """An output that cannot be looked at; the text says why, to its author."""


def check_zip(data: bytes, most: int, unpacked: int) -> None:
    """Limits on an archive before anything of it is unpacked.

    Raises:
        Unreadable: no archive, too big packed (`most` bytes) or unpacked, or with XML that declares entities.
    """
    if len(data) > most:
        raise Unreadable(f"it is too big ({len(data)} bytes)")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > 500 or sum(entry.file_size for entry in entries) > unpacked:
                raise Unreadable("it unpacks to too much")
            for entry in entries:
                part = archive.read(entry) if entry.filename.endswith((".xml", ".rels")) else b""
                if b"<!DOCTYPE" in part.replace(b"\0", b""):  # in UTF-16 too
                    raise Unreadable("its XML declares entities")
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zlib.error):
        raise Unreadable("it is not a workbook") from None
