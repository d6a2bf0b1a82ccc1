"""Routes through the server: steady questions in batches while edges close and open, over HTTP and over the lane."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import uvloop

from ...models.route.assemble import assemble
from ...models.route.network import Network, save, with_topology
from ...models.route.router import Router
from ...runtime.client import AsyncClient
from ..cities import pairs
from ..report import Options, Row
from ..servers import child, cores, on_client_core
from .maps import made_city
from .steady import BATCH, CONNECTIONS, QUERIES, UPDATES, Http, Lane, Seen, Way, steady

GOAL = "2,000 queries/s and 100 updates/s for 60 s: p99 < 10 ms, 0 stale, 0 wrong"


def run(options: Options) -> Iterator[Row]:
    """Latencies, staleness and exactness of one steady load, by each way."""
    made = made_city(options)
    network = with_topology(assemble(made["x"], made["y"], made["tail"], made["head"], made["weights"],
                                     np.maximum(made["weights"] // 80, 1), frame="plane", kinds=("street",)))
    asked = pairs(made, 20_000, True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save(network, root / "models" / "city" / "1", "city")
        (root / "aisle.toml").write_text(f'[lane]\nsocket = "{root}/lane"\n')
        command = [sys.executable, "-m", "aisle.runtime", "serve", "--config", str(root / "aisle.toml"), "--models",
                   str(root / "models"), "--port", "0", "--log-level", "warning"]
        cores()       # before this process moves to the client's
        for way in ("HTTP", "lane"):
            with child(command, "/v2/health/ready") as server, on_client_core():
                address = f"127.0.0.1:{server.port}" if way == "HTTP" else str(root / "lane")
                seen, wrong = uvloop.run(asked_by(way, address, network, asked, 3.0 if options.quick else 60.0))
            yield from rows(way, network, seen, wrong, options)
            for kept in (root / "models" / ".aisle" / "routes").glob("*"):       # the next way begins without closures
                kept.unlink()


async def asked_by(way: str, address: str, network: Network, asked: np.ndarray, seconds: float) -> tuple[Seen, int]:
    """What was seen by one way, and how many of 500 costs differ at the end from those of a router of this process."""
    async with AsyncExitStack() as stack:
        ways: list[Way] = []
        for _ in range(CONNECTIONS + 1):
            if way == "lane":
                ways.append(Lane(await stack.enter_async_context(AsyncClient(address))))
                continue
            host, _, port = address.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            stack.callback(writer.close)
            ways.append(Http(reader, writer))
        for each in ways:
            await each.batch(asked[:BATCH])
        seen = await steady(ways, network, asked, seconds)
        own = Router(network)
        own.close(seen.closed.values())
        _, costs, _ = await ways[0].batch(asked[-500:])
        wrong = sum(own.cost(int(a), int(b)) != int(cost) for (a, b), cost in zip(asked[-500:], costs, strict=True))
    return seen, wrong


def rows(way: str, network: Network, seen: Seen, wrong: int, options: Options) -> Iterator[Row]:
    """What one way showed."""
    seconds = 3.0 if options.quick else 60.0
    late, updates = np.array(seen.queries) * 1e3, np.array(seen.updates) * 1e3
    p99, case = float(np.percentile(late, 99)), f"served/{way}"
    rate = len(late) * BATCH / seconds
    done = rate >= 0.98 * QUERIES and len(updates) >= 0.98 * UPDATES * seconds
    priority = "" if os.sched_getscheduler(0) == os.SCHED_OTHER else "; at real-time priority"
    note = (f"{network.nodes} nodes, {seconds:g} s, batches of {BATCH}; {rate:.0f} queries/s and {len(updates) / seconds:.0f} "
            f"updates/s; p50 {np.median(late):.2f} ms; updates on the disk p50 {np.median(updates):.2f}, p99 "
            f"{np.percentile(updates, 99):.2f} ms; {seen.failed} failed{priority}")
    yield Row(case, "p99 of a batch", p99, "ms", goal=GOAL, note=note,
              met=None if options.quick else p99 < 10 and done and not (seen.stale or wrong or seen.failed))
    yield Row(case, "answers over an edge closed before", float(seen.stale), "", goal="0", met=not seen.stale,
              note="each closure is followed at once by a question for the way along it")
    yield Row(case, "of 500 costs that differ at the end", float(wrong), "", goal="0", met=not wrong,
              note="from a router of this process with the same closures")
