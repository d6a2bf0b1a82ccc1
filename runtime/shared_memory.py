"""System shared memory that clients registered, used in a way that no client can kill the server with."""

from __future__ import annotations

import os
import stat
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import Busy, Failed, Invalid, NotFound

FOLDER = Path("/dev/shm")
RESERVED = "triton_python_backend_shm_region_"
MAX_REGIONS = 256     # each holds a descriptor, of which a process has 1024 by default


class Region:
    """A registered piece of a shared memory object.

    The object stays open, not mapped: touching a mapping that its owner has truncated is a SIGBUS, while `pread`
    and `pwrite` on the descriptor come back short. The descriptor closes with the last reference, so a region that is
    unregistered while a request uses it lives until that request has ended.
    """

    def __init__(self, name: str, key: str, offset: int, byte_size: int, descriptor: int) -> None:
        self.name = name
        self.key = key
        self.offset = offset
        self.byte_size = byte_size
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def span(self, offset: int, size: int) -> None:
        """Raise Invalid unless `size` bytes at `offset` lie inside the region."""
        if offset < 0 or offset >= self.byte_size:
            raise Invalid(f"Invalid offset for shared memory region: '{self.name}': expected 0 to "
                          f"{self.byte_size - 1}, got {offset}")
        if size < 0 or offset + size > self.byte_size:
            raise Invalid(f"Invalid offset + byte size for shared memory region: '{self.name}': expected at most "
                          f"{self.byte_size}, got {offset} + {size}")

    def read(self, offset: int, size: int) -> memoryview:
        """A copy of `size` bytes; Invalid where the region or the object behind it is smaller."""
        self.span(offset, size)
        copy = np.empty(size, np.uint8).data
        got = 0
        while got < size:
            n = os.preadv(self._descriptor, [copy[got:]], self.offset + offset + got)
            if not n:
                raise self._truncated(offset + size)
            got += n
        return copy

    def write(self, offset: int, data: memoryview | bytes) -> None:
        """Put `data` there; Invalid where the object has become smaller, Failed where no memory is left."""
        view = memoryview(data).cast("B") if len(data) else memoryview(b"")
        if os.fstat(self._descriptor).st_size < self.offset + offset + len(view):
            raise self._truncated(offset + len(view))
        at = self.offset + offset
        try:
            while view:
                n = os.pwrite(self._descriptor, view, at)
                view, at = view[n:], at + n
        except OSError as error:
            raise Failed(f"cannot write to shared memory region '{self.name}': {error.strerror}") from None

    def _truncated(self, wanted: int) -> Invalid:
        size = os.fstat(self._descriptor).st_size
        return Invalid(f"the object '{self.key}' behind shared memory region '{self.name}' was truncated: expected at "
                       f"least {self.offset + wanted} bytes, got {size}; register the region again")


@dataclass(frozen=True)
class Owner:
    """Who registered a region: a label that the client chose, or else the connection it came on."""

    label: str
    connection: Hashable
    alive: Callable[[], bool]


class Regions:
    """All registered regions, by name; at most MAX_REGIONS."""

    def __init__(self, folder: Path = FOLDER, limit: int = MAX_REGIONS) -> None:
        self.folder = folder
        self.limit = limit
        self._regions: dict[str, tuple[Region, Owner]] = {}

    def get(self, name: str) -> Region:
        """The region of that name, or NotFound."""
        if name not in self._regions:
            raise NotFound(f"Unable to find shared memory region: '{name}'")
        return self._regions[name][0]

    def status(self, name: str | None = None) -> list[dict[str, str | int]]:
        """OIP's status items of one region or of all."""
        if name is not None and name not in self._regions:
            raise NotFound(f"Unable to find system shared memory region: '{name}'")
        regions = [self._regions[name][0]] if name is not None else [r for r, _ in self._regions.values()]
        return [{"name": r.name, "key": r.key, "offset": r.offset, "byte_size": r.byte_size} for r in regions]

    def register(self, name: str, key: str, offset: int, byte_size: int, owner: Owner) -> None:
        """Open the object `key` and keep `byte_size` bytes at `offset` of it under `name`."""
        if name in self._regions:
            raise Invalid(f"shared memory region '{name}' already in manager")
        if len(self._regions) >= self.limit:
            raise Busy(f"{self.limit} shared memory regions are registered, the most that are kept; unregister some")
        if offset < 0 or byte_size <= 0:
            raise Invalid(f"failed to register shared memory region '{name}': invalid args: expected offset >= 0 and "
                          f"byte_size > 0, got {offset} and {byte_size}")
        descriptor = self._open(key)
        region = Region(name, key, offset, byte_size, descriptor)     # from here on it closes by itself
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise Invalid(f"Unable to open shared memory region: '{key}': it is not a regular file")
        if offset + byte_size > facts.st_size:
            raise Invalid(f"failed to register shared memory region '{name}': invalid args: {offset} + {byte_size} "
                          f"bytes are more than the object '{key}' has ({facts.st_size})")
        self._regions[name] = (region, owner)

    def _open(self, key: str) -> int:
        plain = key.lstrip("/")
        if not plain or plain in (".", "..") or "/" in plain or "\0" in plain or len(plain) > 255:
            raise Invalid(f"Unable to open shared memory region: {key!r}: expected one name without further slashes")
        if plain.startswith(RESERVED):
            raise Invalid(f"Unable to open shared memory region: '{key}': names with '{RESERVED}' are reserved")
        try:
            # O_NONBLOCK: a pipe of that name must not hold the server up.
            return os.open(self.folder / plain, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, UnicodeEncodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "the name is not Unicode"
            raise Invalid(f"Unable to open shared memory region: {key!r}: {reason}") from None

    def unregister(self, name: str) -> None:
        """Forget a region; an unknown name is not an error."""
        self._regions.pop(name, None)

    def unregister_all(self, owner: Owner) -> None:
        """Forget the regions of this label, or without one those of this connection and of closed connections.

        Regions that another live client registered stay: one load generator must not unmap another's tensors.
        """
        for name, (_, other) in list(self._regions.items()):
            same = other.connection == owner.connection or not other.alive()
            if other.label == owner.label and (owner.label or same):
                del self._regions[name]
