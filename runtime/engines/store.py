"""The file of one engine: a header of ours, then what the library wrote. Written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"AISLENG1"
HEADER = 16 << 10        # bytes before the engine, of which the header fills what it needs
PIECE = 4 << 20
_SIZES = struct.Struct("<8sI")


class Damaged(ValueError):
    """Not the engine it should be; the text is a sentence."""


def write_engine(path: Path, key: Mapping[str, Any], engine: Any, facts: Mapping[str, Any] | None = None,
                 opened: Callable[[Path], BinaryIO] = lambda path: path.open("wb")) -> int:
    """Write the buffer `engine` with its header to `path`, down to the disk; bytes written.

    OSError leaves nothing at `path`: no room, a limit, a disk that is gone.
    """
    data = memoryview(engine).cast("B")
    head = json.dumps({"key": key, "length": len(data), "sha256": hashlib.sha256(data).hexdigest(), **(facts or {})},
                      sort_keys=True).encode()
    if len(head) + _SIZES.size > HEADER:
        raise ValueError(f"an engine's header takes {len(head)} bytes and has {HEADER - _SIZES.size}: fewer inputs, or "
                         "shorter names")
    try:
        with opened(path) as file:
            file.write((_SIZES.pack(MAGIC, len(head)) + head).ljust(HEADER, b"\0"))
            for at in range(0, len(data), PIECE):
                file.write(data[at:at + PIECE])
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return HEADER + len(data)


def read_header(file: BinaryIO, shown: str) -> dict[str, Any]:
    """The header of an open file. Damaged where it is none of ours."""
    file.seek(0)
    start = file.read(HEADER)
    try:
        magic, size = _SIZES.unpack_from(start)
        if magic != MAGIC or size > HEADER - _SIZES.size:
            raise ValueError("it does not begin as one")
        header = json.loads(start[_SIZES.size:_SIZES.size + size])
        if not (isinstance(header, dict) and isinstance(header["key"], dict) and isinstance(header["length"], int)
                and isinstance(header["sha256"], str)):
            raise ValueError("its header lacks what it should say")
    except (ValueError, KeyError, struct.error) as error:
        raise Damaged(f"{shown} is no engine of Aisle's: {error}") from None
    return header


def check_engine(file: BinaryIO, shown: str, key: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The header of a file that holds the whole engine that it says, and the one of `key`. Damaged says what is wrong."""
    header = read_header(file, shown)
    have = os.fstat(file.fileno()).st_size - HEADER
    if have != header["length"]:
        raise Damaged(f"{shown} is truncated or padded: expected an engine of {header['length']:,} bytes, got {have:,}")
    if key is not None:
        ours, theirs = ({k: v for k, v in one.items() if k != "name"} for one in (key, header["key"]))
        if ours != theirs:
            from .key import changes
            raise Damaged(f"{shown} was built for something else: {changes(theirs, ours) or 'its key differs'}")
    seen = hashlib.sha256()
    file.seek(HEADER)
    while piece := file.read(PIECE):
        seen.update(piece)
    if seen.hexdigest() != header["sha256"]:
        raise Damaged(f"{shown} is damaged: its content has another checksum than its header says")
    return header
