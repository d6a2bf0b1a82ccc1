"""Routes through the server: steady questions in binary batches while edges close and open, on two cores."""

from __future__ import annotations

import http.client
import json
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...models.route.assemble import assemble
from ...models.route.network import Network, save, with_topology
from ...models.route.router import Router
from ..cities import pairs
from ..report import Options, Row
from ..servers import aisle
from .maps import made_city

QUERIES, UPDATES = 2000, 100        # a second
BATCH, CONNECTIONS = 20, 2
HELD = 300                          # closures at once; older ones are replaced by name
GOAL = "2,000 queries/s and 100 updates/s for 60 s: p99 < 10 ms, 0 stale, 0 wrong"


@dataclass
class Seen:
    """What the clients saw: latencies in s from the moment that was planned, and faults."""

    queries: list[float] = field(default_factory=list)
    updates: list[float] = field(default_factory=list)
    stale: int = 0
    failed: int = 0


def run(options: Options) -> Iterator[Row]:
    """Latencies, staleness and exactness of one steady load."""
    made = made_city(options)
    network = with_topology(assemble(made["x"], made["y"], made["tail"], made["head"], made["weights"],
                                     np.maximum(made["weights"] // 80, 1), frame="plane", kinds=("street",)))
    seconds = 4.0 if options.quick else 60.0
    asked = pairs(made, 20_000, True)
    with tempfile.TemporaryDirectory() as folder:
        save(network, Path(folder) / "city" / "1", "city")
        with aisle(Path(folder)) as server:
            seen, closed = steady(server.port, network, asked, seconds)
            wrong = differing(server.port, network, asked[-500:], closed)
    late = np.array(seen.queries) * 1e3
    p99 = float(np.percentile(late, 99))
    rate = len(late) * BATCH / seconds
    done = rate >= 0.98 * QUERIES and len(seen.updates) >= 0.98 * UPDATES * seconds
    note = (f"{network.nodes} nodes, {seconds:g} s, batches of {BATCH} over HTTP; {rate:.0f} queries/s and "
            f"{len(seen.updates) / seconds:.0f} updates/s; p50 {np.median(late):.2f} ms; updates p50 "
            f"{np.median(seen.updates) * 1e3:.2f}, p99 {np.percentile(seen.updates, 99) * 1e3:.2f} ms; {seen.failed} failed")
    yield Row("served/batch", "p99 of a batch", p99, "ms", goal=GOAL, note=note,
              met=None if options.quick else p99 < 10 and done and not (seen.stale or wrong or seen.failed))
    yield Row("served/stale", "answers over an edge closed before", float(seen.stale), "", goal="0", met=not seen.stale,
              note="each closure is followed at once by a question for the way along it")
    yield Row("served/wrong", "of 500 costs that differ at the end", float(wrong), "", goal="0", met=not wrong,
              note="from a router of this process with the same closures")


def steady(port: int, network: Network, asked: np.ndarray, seconds: float) -> tuple[Seen, dict[str, int]]:
    """Run the load; what was seen, and the closures that hold at the end."""
    seen, closed = Seen(), dict[str, int]()
    begin = time.perf_counter() + 0.2
    jobs: list[Callable[[], None]] = [lambda k=k: ask_all(port, asked, begin, seconds, k, seen)  # type: ignore[misc]
                                      for k in range(CONNECTIONS)]
    jobs.append(lambda: change_all(port, network, begin, seconds, seen, closed))
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen, closed


def paced(begin: float, rate: float, seconds: float) -> Iterator[float]:
    """The planned moments of an open loop; each is waited for, none is skipped."""
    for i in range(round(rate * seconds)):
        moment = begin + i / rate
        time.sleep(max(0.0, moment - time.perf_counter()))
        yield moment


def ask_all(port: int, asked: np.ndarray, begin: float, seconds: float, which: int, seen: Seen) -> None:
    """One connection's batches."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    rng = np.random.default_rng(which)
    for moment in paced(begin, QUERIES / BATCH / CONNECTIONS, seconds):
        batch(connection, asked[rng.integers(0, len(asked), BATCH)])
        seen.queries.append(time.perf_counter() - moment)


def batch(connection: http.client.HTTPConnection, rows: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """(version, costs, edges of all ways) of pairs of nodes."""
    connection.request("POST", "/v1/routes?pairs=nodes", rows.astype("<i4").tobytes())
    reply = connection.getresponse()
    body = reply.read()
    if reply.status != 200:
        raise RuntimeError(f"the server answered {reply.status}: {body[:200]!r}")
    version, count, total = struct.unpack_from("<qii", body)
    return version, np.frombuffer(body, "<u4", count, 16), np.frombuffer(body, "<i4", total, 20 + 8 * count)


def change_all(port: int, network: Network, begin: float, seconds: float, seen: Seen, closed: dict[str, int]) -> None:
    """Close edges one after another; after each acknowledgement ask for the way along it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    rng = np.random.default_rng(99)
    for i, moment in enumerate(paced(begin, UPDATES, seconds)):
        name, edge = f"c{i % HELD}", int(rng.integers(0, network.edges))
        told = {"type": "update", "changes": [{"name": name, "do": "close", "edges": [edge]}]}
        connection.request("POST", "/v1/routes", json.dumps(told))
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        seen.updates.append(time.perf_counter() - moment)
        if reply.status != 200:
            seen.failed += 1
            continue
        closed[name] = edge
        ends = np.array([[network.arrays["edge_tail"][edge], network.arrays["edge_head"][edge]]])
        version, _, edges = batch(connection, ends)
        seen.stale += edge in edges or version < answer["map_version"]


def differing(port: int, network: Network, asked: np.ndarray, closed: dict[str, int]) -> int:
    """How many costs differ from those of a router here with the same closures."""
    own = Router(network)
    own.close(closed.values())
    _, costs, _ = batch(http.client.HTTPConnection("127.0.0.1", port, timeout=60), asked)
    return sum(own.cost(int(a), int(b)) != int(cost) for (a, b), cost in zip(asked, costs, strict=True))
