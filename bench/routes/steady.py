"""A steady load on a served map, by one event loop: batches of questions, and closures whose effect is looked at at once."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ...models.route.network import Network
from ...runtime.client import AsyncClient
from ...runtime.errors import AisleError

QUERIES, UPDATES = 2000, 100        # a second
BATCH, CONNECTIONS = 20, 2
HELD = 300                          # closures at once; older ones are replaced by name
Answer = tuple[int, np.ndarray, np.ndarray]      # version, costs in ms, the edges of all ways


class Way(Protocol):
    """How the server is asked."""

    async def batch(self, rows: np.ndarray) -> Answer:
        """The ways of pairs of nodes, int32 (n, 2)."""

    async def close_edge(self, name: str, edge: int) -> int:
        """Close an edge under a name; the version that is acknowledged."""


class Http:
    """One connection, by the binary batch form; closures are JSON."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, path: str, body: bytes) -> bytes:
        """The body of a good answer; RuntimeError for any other."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        reply = await self._reader.readuntil(b"\r\n\r\n")
        length = int(reply.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        answer = await self._reader.readexactly(length)
        if not reply.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {reply[:15]!r}: {answer[:200]!r}")
        return answer

    async def batch(self, rows: np.ndarray) -> Answer:
        """One POST of numbers."""
        body = await self.ask("/v1/routes?pairs=nodes", rows.astype("<i4").tobytes())
        version, count, total = struct.unpack_from("<qii", body)
        return version, np.frombuffer(body, "<u4", count, 16), np.frombuffer(body, "<i4", total, 20 + 8 * count)

    async def close_edge(self, name: str, edge: int) -> int:
        """One POST of JSON."""
        told = {"type": "update", "changes": [{"name": name, "do": "close", "edges": [edge]}]}
        return int(json.loads(await self.ask("/v1/routes", json.dumps(told).encode()))["map_version"])


class Lane:
    """One client of the lane."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def batch(self, rows: np.ndarray) -> Answer:
        """One call."""
        found = await self._client.infer("city", {"NODES": rows.astype(np.int32)})
        return int(found["VERSION"][0]), found["COST_MS"], found["EDGES"]

    async def close_edge(self, name: str, edge: int) -> int:
        """One call."""
        change = np.array([name.encode()], object)
        found = await self._client.infer("city", {"CLOSE": np.array([edge], np.int32), "CHANGE": change})
        return int(found["VERSION"][0])


@dataclass
class Seen:
    """What the clients saw: latencies in s from the moment that was planned, and faults."""

    queries: list[float] = field(default_factory=list)
    updates: list[float] = field(default_factory=list)
    stale: int = 0
    failed: int = 0
    closed: dict[str, int] = field(default_factory=dict)


async def steady(ways: list[Way], network: Network, asked: np.ndarray, seconds: float) -> Seen:
    """Run the load over CONNECTIONS ways for questions and one more for closures; what was seen."""
    seen = Seen()
    begin = time.perf_counter() + 0.2
    await asyncio.gather(*(ask_all(way, asked, begin, seconds, k, seen) for k, way in enumerate(ways[:CONNECTIONS])),
                         change_all(ways[CONNECTIONS], network, begin, seconds, seen))
    return seen


async def paced(begin: float, rate: float, seconds: float) -> AsyncIterator[float]:
    """The planned moments of an open loop; each is waited for, none is skipped."""
    for i in range(round(rate * seconds)):
        moment = begin + i / rate
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        yield moment


async def ask_all(way: Way, asked: np.ndarray, begin: float, seconds: float, which: int, seen: Seen) -> None:
    """One connection's batches, its moments between those of the others."""
    rng = np.random.default_rng(which)
    rate = QUERIES / BATCH / CONNECTIONS
    async for moment in paced(begin + which / rate / CONNECTIONS, rate, seconds):
        await way.batch(asked[rng.integers(0, len(asked), BATCH)])
        seen.queries.append(time.perf_counter() - moment)


async def change_all(way: Way, network: Network, begin: float, seconds: float, seen: Seen) -> None:
    """Close edges one after another; after each acknowledgement ask for the way along it."""
    rng = np.random.default_rng(99)
    i = 0
    async for moment in paced(begin + 0.0025, UPDATES, seconds):
        name, edge = f"c{i % HELD}", int(rng.integers(0, network.edges))
        i += 1
        try:
            acknowledged = await way.close_edge(name, edge)
        except (RuntimeError, AisleError):
            seen.failed += 1
            continue
        seen.updates.append(time.perf_counter() - moment)
        seen.closed[name] = edge
        ends = np.array([[network.arrays["edge_tail"][edge], network.arrays["edge_head"][edge]]])
        version, _, edges = await way.batch(ends)
        seen.stale += edge in edges or version < acknowledged
