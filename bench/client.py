"""A closed-loop HTTP client that costs little: raw sockets, one request in flight per connection."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import cast

import numpy as np


@dataclass(frozen=True)
class Load:
    """What a run of the client saw: latencies in seconds, in order of arrival, and the wall time."""

    latencies: np.ndarray
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """A latency percentile in milliseconds."""
        return float(np.percentile(self.latencies, percent)) * 1e3


def request_bytes(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """A whole POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer_size(head: bytes) -> int:
    """Length of the whole answer once its head is complete, else 0. Raises where the status is not 200."""
    end = head.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if b" 200 " not in head[:16]:
        raise RuntimeError(f"the server answered {head[:200]!r}")
    start = head.lower().find(b"content-length:", 0, end)
    return end + 4 + int(head[start + 15:head.find(b"\r\n", start)])


def one_connection(port: int, request: bytes, seconds: float) -> Load:
    """Concurrency 1 on a blocking socket."""
    latencies = []
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            sent = time.perf_counter()
            sock.sendall(request)
            data = sock.recv(262144)
            while not (size := answer_size(data)) or len(data) < size:
                more = sock.recv(262144)
                if not more:
                    raise RuntimeError(f"the server closed the connection after {data[:200]!r}")
                data += more
            latencies.append(time.perf_counter() - sent)
        return Load(np.array(latencies), time.perf_counter() - begin)


class Loop(asyncio.Protocol):
    """One connection of many: sends again as soon as the answer is whole."""

    def __init__(self, request: bytes, until: float, latencies: list[float], done: asyncio.Future[None]) -> None:
        self.request, self.until, self.latencies, self.done = request, until, latencies, done
        self.got, self.size, self.sent = b"", 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)   # uvloop's class is none of asyncio's
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.got = self.got + data if self.got else data
        try:
            size = answer_size(self.got)
        except RuntimeError as error:
            self.done.set_exception(error)
            return
        if not size or len(self.got) < size:
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        self.got = b""
        if now < self.until:
            self.sent = now
            self.transport.write(self.request)
        elif not self.done.done():
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the server closed the connection: {error}"))


async def many(port: int, request: bytes, seconds: float, connections: int) -> Load:
    """Several connections on one event loop."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    begin = time.perf_counter()
    waits = []
    for _ in range(connections):
        done = loop.create_future()
        await loop.create_connection(lambda done=done: Loop(request, begin + seconds, latencies, done),  # type: ignore[misc]
                                     "127.0.0.1", port)
        waits.append(done)
    await asyncio.gather(*waits)
    return Load(np.array(latencies), time.perf_counter() - begin)


def drive(port: int, request: bytes, seconds: float, connections: int) -> Load:
    """A closed loop with that many connections."""
    if connections == 1:
        return one_connection(port, request, seconds)
    import uvloop
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(many(port, request, seconds, connections))
