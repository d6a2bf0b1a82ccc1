"""An open-loop HTTP client: requests leave when a Poisson clock says so, however slow the answers are."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import cast

import numpy as np

DRAIN_S = 15.0        # how long the client waits for answers after the last request


@dataclass
class Seen:
    """What came back: when each request was to leave (s from the start), what it took (s, nan: never), its status."""

    offered: np.ndarray
    took: np.ndarray
    status: np.ndarray
    seconds: float
    lag: float = 0.0                       # p99 of how late the client itself sent, s

    def goodput(self, deadline: float) -> float:
        """Answers with status 200 within the deadline, per second."""
        return float(np.sum((self.status == 200) & (self.took <= deadline))) / self.seconds

    def late(self, deadline: float) -> np.ndarray:
        """By how much answers with status 200 missed the deadline, s."""
        over: np.ndarray = self.took[(self.status == 200) & (self.took > deadline)] - deadline
        return over

    def refusals(self) -> np.ndarray:
        """What it took to hear a 503, s."""
        told: np.ndarray = self.took[self.status == 503]
        return told


@dataclass
class Plan:
    """Requests still to be sent and the connections that are free."""

    port: int
    request: bytes
    free: deque[Line] = field(default_factory=deque)
    backlog: deque[int] = field(default_factory=deque)


class Line(asyncio.Protocol):
    """One connection; carries one request at a time."""

    def __init__(self, plan: Plan, seen: Seen, sent: np.ndarray) -> None:
        self.plan, self.seen, self.sent = plan, seen, sent
        self.got, self.at = b"", -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def send(self, at: int) -> None:
        """Send request number `at`."""
        self.at = at
        self.transport.write(self.plan.request)

    def data_received(self, data: bytes) -> None:
        self.got += data
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return
        start = self.got.lower().find(b"content-length:", 0, end)
        size = end + 4 + int(self.got[start + 15:self.got.find(b"\r\n", start)])
        if len(self.got) < size:
            return
        self.seen.took[self.at] = time.perf_counter() - self.sent[self.at]
        self.seen.status[self.at] = int(self.got[9:12])
        self.got, self.at = b"", -1
        if self.plan.backlog:
            self.send(self.plan.backlog.popleft())
        else:
            self.plan.free.append(self)


async def offer(port: int, request: bytes, rate: float, seconds: float, *, connections: int, seed: int) -> Seen:
    """Poisson arrivals at `rate` a second over `connections` connections; time counts from when a request was due."""
    rng = np.random.default_rng(seed)
    due = np.cumsum(rng.exponential(1 / rate, int(rate * seconds * 1.2) + 10))
    due = due[due < seconds]
    seen = Seen(due, np.full(len(due), np.nan), np.zeros(len(due), int), seconds)
    plan, sent = Plan(port, request), np.zeros(len(due))
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        _, line = await loop.create_connection(lambda: Line(plan, seen, sent), "127.0.0.1", port)
        plan.free.append(line)
    begin, lags = time.perf_counter(), []
    for at, moment in enumerate(due):
        while (left := begin + moment - time.perf_counter()) > 0:    # noqa: ASYNC110 - the clock is the event
            await asyncio.sleep(left if left > 0.002 else 0)
        sent[at] = begin + moment          # a client that is late itself must not flatter the server
        lags.append(time.perf_counter() - begin - moment)
        if plan.free:
            plan.free.popleft().send(at)
        else:
            plan.backlog.append(at)
    until = time.perf_counter() + DRAIN_S
    while np.isnan(seen.took).any() and time.perf_counter() < until:    # noqa: ASYNC110 - a poll costs the server nothing
        await asyncio.sleep(0.01)
    for line in [*plan.free]:
        line.transport.close()
    seen.lag = float(np.percentile(lags, 99)) if lags else 0.0
    return seen


def drive_open(port: int, request: bytes, rate: float, seconds: float, *, connections: int = 256, seed: int = 1) -> Seen:
    """`offer` on an event loop of its own."""
    import uvloop
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(offer(port, request, rate, seconds, connections=connections, seed=seed))
