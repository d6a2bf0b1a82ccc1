"""One client of the lane: its socket, its memory, what it asked for; all of it goes when it goes."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ...errors import AisleError, Failed, Invalid
from ...lane_wire import HELLO, HELLO_BYTES, MAGIC, MAX_MESSAGE, OK, PROTOCOL, pack_answer, pack_error
from .memory import Budget, Memory, check_layout, close_all, receive, refuse_descriptors
from .talk import FAULT, Host, Talk

log = logging.getLogger("aisle.lane")

HELLO_S = 5.0             # a connection that has not shared its memory by then is closed


class Bounds(Protocol):
    """The limits of the configuration."""

    @property
    def max_slots(self) -> int: ...

    @property
    def max_client_mb(self) -> int: ...


class Connection:
    """Reads one message a turn of the loop, so that no client keeps others waiting; answers as calls end.

    Everything runs on the event loop but mapping memory, copying much, and filling and reading rows.
    """

    def __init__(self, sock: socket.socket, host: Host, bounds: Bounds, budget: Budget,
                 gone: Callable[[Connection], None]) -> None:
        self.sock = sock
        self.host = host
        self.bounds = bounds
        self.budget = budget
        self.talk: Talk | None = None             # once the memory is here
        self.unsent: deque[bytes] = deque()
        self.open = True
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._greet)
        self._patience = self._loop.call_later(HELLO_S, self.close)

    def close(self) -> None:
        """Give everything back: calls that wait lose their place, memory goes with the last call that runs."""
        if not self.open:
            return
        self.open = False
        self._patience.cancel()
        self._loop.remove_reader(self.sock)
        self._loop.remove_writer(self.sock)
        self.sock.close()
        self.unsent.clear()
        if self.talk is not None:
            self.talk.close()
            self.talk = None
        self._gone(self)

    # ---- the first message

    def _greet(self) -> None:
        """HELLO and the memory's descriptor; anything else ends the connection."""
        try:
            data, descriptors = receive(self.sock, MAX_MESSAGE + 1)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._loop.remove_reader(self.sock)
        self._patience.cancel()
        if not data and not descriptors:
            self.close()
            return
        # Never cancelled: a thread of the pool uses the descriptors, so they stay open until it has ended.
        self._attaching = self._loop.create_task(self._attach(data, descriptors))

    async def _attach(self, data: bytes, descriptors: list[int]) -> None:
        try:
            memory = await self._map(data, descriptors)
        except AisleError as error:
            self._send(pack_error(0, error))
            self.close()
            return
        except Exception:
            log.exception("a client's memory could not be taken")
            self._send(pack_error(0, Failed(FAULT)))
            self.close()
            return
        finally:
            await self._let_go(descriptors)
        if self.open:
            refuse_descriptors(self.sock)
            self.talk = Talk(memory, self.host, self._send)
            self._send(pack_answer(0, OK, extra=PROTOCOL, value=os.getpid()))
        if self.open:                         # it may have gone without waiting for that answer
            self._loop.add_reader(self.sock, self._readable)

    async def _let_go(self, descriptors: list[int]) -> None:
        """Close what came, on the pool: the last close of somebody's socket may linger for as long as they chose."""
        if descriptors:
            try:
                await self.host.pool.run(close_all, descriptors)
            except AisleError:                # the pool is full, or closing
                close_all(descriptors)

    async def _map(self, data: bytes, descriptors: list[int]) -> Memory:
        if len(data) != HELLO_BYTES.size:
            raise Invalid(f"the first message has {len(data)} bytes; expected HELLO, {HELLO_BYTES.size} bytes")
        kind, protocol, magic, slot_bytes, slots, _ = HELLO_BYTES.unpack(data)
        if (kind, protocol, magic) != (HELLO, PROTOCOL, MAGIC):
            raise Invalid(f"expected HELLO of protocol {PROTOCOL}, got kind {kind}, protocol {protocol}, mark {magic:#x}")
        if len(descriptors) != 1:
            raise Invalid(f"expected one descriptor with HELLO, the memory's, got {len(descriptors)}")
        check_layout(slot_bytes, slots, self.bounds.max_slots, self.bounds.max_client_mb << 20)
        size = slot_bytes * slots
        self.budget.take(size)
        try:
            memory = await self.host.pool.run(Memory, descriptors[0], slot_bytes, slots)
        except BaseException:
            self.budget.give(size)
            raise
        memory.when_unmapped(self.budget.give, size)
        return memory

    # ---- every other message

    def _readable(self) -> None:
        started = time.perf_counter_ns()
        try:
            data = self.sock.recv(MAX_MESSAGE + 1)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or self.talk is None:
            self.close()
            return
        answer = self.talk.handle(data, started)
        if answer is not None:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        """At once, or behind what waits; a client that does not read is not read from."""
        if not self.open:
            return
        try:
            if not self.unsent:
                self.sock.send(answer)
                return
        except BlockingIOError:
            self._loop.add_writer(self.sock, self._flush)
            self._loop.remove_reader(self.sock)
        except OSError:
            self.close()
            return
        self.unsent.append(answer)

    def _flush(self) -> None:
        try:
            while self.unsent:
                self.sock.send(self.unsent[0])
                self.unsent.popleft()
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._loop.remove_writer(self.sock)
        self._loop.add_reader(self.sock, self._readable)
