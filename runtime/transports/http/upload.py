"""Pictures of a multipart body, streamed to a folder within bounds of count, bytes and time."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web

from ...engine import Pool
from ...errors import Failed, Invalid, TooLarge

T = TypeVar("T")

CHUNK = 1 << 18
NAME_LENGTH = 50
OVERHEAD = 1 << 20    # of multipart headers, beside the pictures themselves
WHOLE = 10            # a whole upload may take this many times the wait for one piece of it


@dataclass
class Upload:
    """Receives the files of the fields named in `folders` (field -> folder, made before). `seen` counts them."""

    folders: Mapping[str, Path]
    pool: Pool
    max_files: int
    max_bytes: int
    timeout_s: float
    nbytes: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    async def receive(self, request: web.BaseRequest) -> None:
        """Read the whole body. Raises Invalid, TooLarge, Failed, HTTPRequestTimeout or HTTPInsufficientStorage."""
        if request.content_type != "multipart/form-data":
            raise Invalid(f"the body is {request.content_type}; expected multipart/form-data with the pictures in the "
                          f"fields {' and '.join(self.folders)}, as `curl -F good=@1.jpg -F good=@2.jpg` sends them")
        if (request.content_length or 0) > self.max_bytes + OVERHEAD:
            raise self._too_many_bytes()
        try:
            async with asyncio.timeout(self.timeout_s * WHOLE):
                await self._parts(MultipartReader(request.headers, request.content))
        except TimeoutError:
            raise web.HTTPRequestTimeout(reason=f"the upload stopped or took too long (at most {self.timeout_s:g} s "
                                                f"between pieces); {self.nbytes} bytes came") from None
        except (ValueError, AssertionError, web.RequestPayloadError) as error:
            text = (str(error) or type(error).__name__).splitlines()[0]
            raise Invalid(f"the multipart body is damaged or ends too early: {text[:200]}") from None

    async def _parts(self, reader: MultipartReader) -> None:
        while (part := await self._timed(reader.next())) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None or part.name not in self.folders:
                name = part.name if isinstance(part, BodyPartReader) else "a nested multipart"
                raise Invalid(f"unexpected field {name!r}; expected files in the fields {' and '.join(self.folders)}")
            if sum(self.seen.values()) >= self.max_files:
                raise TooLarge(f"more than {self.max_files} pictures, the most that one teaching takes; send fewer")
            self.seen[part.name] = self.seen.get(part.name, 0) + 1
            await self._store(part, free_path(self.folders[part.name], part.filename or "picture"))

    async def _store(self, part: BodyPartReader, path: Path) -> None:
        try:
            file: BinaryIO = await self.pool.run(lambda: path.open("xb"))
            try:
                await self._copy(part, file)
            finally:
                file.close()
        except TimeoutError:    # an OSError by descent, but the client's and not the disk's
            raise
        except OSError as error:
            raise storage_error(error, path.parent) from None

    async def _copy(self, part: BodyPartReader, file: BinaryIO) -> None:
        while not part.at_eof():
            chunk = await self._timed(part.read_chunk(CHUNK))
            self.nbytes += len(chunk)
            if self.nbytes > self.max_bytes:
                raise self._too_many_bytes()
            await self.pool.run(file.write, chunk)

    async def _timed(self, reading: Awaitable[T]) -> T:
        async with asyncio.timeout(self.timeout_s):
            return await reading

    def _too_many_bytes(self) -> TooLarge:
        return TooLarge(f"the pictures have more than {self.max_bytes >> 20} MiB together, the most that one teaching "
                        "takes; send fewer or smaller ones")


def storage_error(error: OSError, folder: Path) -> Exception:
    """A disk's error as the answer: 507 where it is full, else Failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return web.HTTPInsufficientStorage(reason="no space left on the server's disk for the pictures; nothing was "
                                                  "kept. Free some space and send them again")
    return Failed(f"the server cannot store pictures in {folder}: {error.strerror}")


def free_path(folder: Path, filename: str) -> Path:
    """A name in `folder` that is not taken, as close to the client's as is safe; messages then name the right file."""
    base = filename.replace("\\", "/").rsplit("/", 1)[-1]
    base = "".join(c if c.isalnum() or c in "._-" else "_" for c in base).lstrip(".-")[-NAME_LENGTH:] or "picture"
    number, path = 1, folder / base
    while path.exists():
        number += 1
        path = folder / f"{number}-{base}"
    return path
