"""Large bodies go from the socket straight into their own memory, which is used again.

A plain protocol gets every piece as a new bytes object, which is then copied to where it belongs; for a tensor of 600 kB
those copies and the new pages cost more than the request does otherwise (docs/serving.md).
"""

from __future__ import annotations

import asyncio
import sys
from typing import Protocol

from ...errors import Busy

KEPT, KEPT_BYTES = 16, 32 << 20     # bodies kept for others of their size
HEAD = 1 << 14                      # bytes read at once where a head is expected
SMALL = 1 << 16                     # below this, memory is had sooner than found
OWN_REFERENCES = 3                  # to a body in `give`: the caller's variable, its own, and the one it asks with


class Bodies:
    """The bytes of all requests that arrive or are being answered, at most `limit` of them; the event loop's alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._free: list[bytearray] = []
        self._free_bytes = 0

    def room(self, size: int) -> bool:
        """Whether `size` bytes more may come; one request always may."""
        return not self.held or self.held + size <= self.limit

    def hold(self, size: int) -> None:
        """Count `size` bytes more. Busy where that is too much."""
        if not self.room(size):
            raise Busy(f"the requests that are arriving and being answered hold {self.held >> 20} MiB and the limit is "
                       f"{self.limit >> 20} MiB (server.max_bodies_mb)")
        self.held += size

    def take(self, size: int) -> bytearray:
        """`size` bytes of whatever content, counted; `give` them back."""
        self.held += size
        if size >= SMALL:
            for at, body in enumerate(self._free):
                if len(body) == size:
                    self._free_bytes -= size
                    return self._free.pop(at)
        return bytearray(size)

    def give(self, body: bytearray) -> None:
        """Take back what `take` gave. It is used again unless more than the caller's one variable refers to it."""
        self.held -= len(body)
        if not SMALL <= len(body) <= KEPT_BYTES or sys.getrefcount(body) > OWN_REFERENCES:
            return
        self._free.append(body)
        self._free_bytes += len(body)
        while len(self._free) > KEPT or self._free_bytes > KEPT_BYTES:
            self._free_bytes -= len(self._free.pop(0))


class Reader(Protocol):
    """What a Receiver reads for: a connection."""

    def data_received(self, data: bytes) -> None: ...
    def body_done(self, body: bytearray) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Receiver(asyncio.BufferedProtocol):
    """Stands in for a connection from its first large body on: bodies are read in place, heads in small pieces.

    Who sent one large body sends others, and a plain read would copy the first quarter of a megabyte of each. The
    connection calls `leave` where it wants to read plainly again.
    """

    def __init__(self, connection: Reader, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self._head = memoryview(bytearray(HEAD))
        self._view: memoryview | None = None
        self._body = bytearray()
        self._stands_in = False
        self.filled = 0

    def begin(self, body: bytearray, filled: int) -> None:
        """Read the rest of `body`, of which `filled` bytes are there."""
        self._body, self._view, self.filled = body, memoryview(body), filled
        if not self._stands_in:
            self._stands_in = True
            self._read_by(self)

    def leave(self) -> None:
        """The connection reads for itself again."""
        if self._stands_in:
            self._stands_in = False
            self._read_by(self._connection)    # type: ignore[arg-type]

    def _read_by(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.pause_reading()        # a loop chooses how it reads when reading starts
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    @property
    def wanted(self) -> int:
        """Bytes of the body that arrives; 0 between bodies."""
        return len(self._body)

    def drop(self) -> None:
        """Forget the body. Loops keep references to this object, and the memory must be free to be used again."""
        self._body, self._view = bytearray(), None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._head if self._view is None else self._view[self.filled:]

    def buffer_updated(self, nbytes: int) -> None:
        if self._view is None:
            self._connection.data_received(bytes(self._head[:nbytes]))
            return
        self.filled += nbytes
        if self.filled == len(self._body):
            body = self._body
            self.drop()
            self._connection.body_done(body)

    def eof_received(self) -> bool | None:
        return self._connection.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
