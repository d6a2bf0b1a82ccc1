"""A small append-only file of JSON records that survives a crash: checked lines, fsync, a torn tail cut, compaction."""

from __future__ import annotations

import fcntl
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger("aisle.journal")
CHECK = 9                   # eight hexadecimal digits of the CRC-32 and a space


class Lines:
    """Records of one file, in order. Several openers may share it: each sees what the others appended.

    Hold `locked()` around `new()` and `append()` or `rewrite()`; `stale()` needs no lock and costs one look at the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = (0, 0)          # inode and size when everything up to there was read
        self._end = 0                # bytes of whole records
        path.parent.mkdir(parents=True, exist_ok=True)

    def stale(self) -> bool:
        """True where somebody appended or replaced the file since the last `new()`."""
        return self._status() != self._seen

    def _status(self) -> tuple[int, int]:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return (0, 0)
        return (status.st_ino, status.st_size)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time, across processes."""
        with self.path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def new(self) -> tuple[bool, list[Any]]:
        """(True where the file was replaced and all records follow, the records since the last look)."""
        now = self._status()
        fresh = now[0] != self._seen[0] or now[1] < self._end
        if fresh:
            self._end = 0
        data = b""
        if now[0]:
            with self.path.open("rb") as file:
                file.seek(self._end)
                data = file.read()
        whole = data.rfind(b"\n") + 1
        records, good = [], 0
        for line in data[:whole].splitlines(keepends=True):
            record = checked(line)
            good += len(line)
            if record is None:
                log.error("%s: the line before byte %d is damaged and is left out", self.path, self._end + good)
            else:
                records.append(record)
        if whole < len(data):
            log.warning("%s: the last %d bytes were never written whole and are cut", self.path, len(data) - whole)
        self._end += whole
        self._seen = now
        return fresh, records

    def append(self, records: Sequence[Any]) -> None:
        """Add records; they are on the disk when this returns, with one flush for all. OSError leaves the file as it was."""
        created = not self.path.exists()
        with self.path.open("ab") as file:
            file.truncate(self._end)          # a tail that a crash tore
            try:
                file.write(b"".join(line_of(record) for record in records))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._end)
                raise
        if created:
            flush_folder(self.path.parent)
        self._seen = self._status()
        self._end = self._seen[1]

    def forget(self) -> None:
        """Let the next `new()` begin at the beginning."""
        self._seen, self._end = (0, 0), 0

    def rewrite(self, records: Sequence[Any]) -> None:
        """Replace the file by these records, whole or not at all."""
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(b"".join(line_of(record) for record in records))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        flush_folder(self.path.parent)
        self._seen = self._status()
        self._end = self._seen[1]


def line_of(record: Any) -> bytes:
    """A record as its line: CRC-32, a space, JSON without line breaks."""
    text = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def checked(line: bytes) -> Any | None:
    """The record of a line, or None where its check does not fit."""
    text = line[CHECK:].rstrip(b"\n")
    if line[:CHECK] != b"%08x " % zlib.crc32(text):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def flush_folder(folder: Path) -> None:
    """Make a new or renamed name in `folder` last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
