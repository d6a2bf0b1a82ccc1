"""What the server adds to a model that does nothing, against a bare aiohttp echo of the same bytes."""

from __future__ import annotations

import json
import statistics
import tempfile
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from .client import Load, drive, request_bytes
from .overhead_models import against_loop, against_peers, bare_loop
from .overhead_requests import identity_request, make_models
from .report import Options, Row
from .servers import aisle, echo, on_client_core

PEER = "aiohttp + uvloop echo"


def run(options: Options) -> Iterable[Row]:
    """The model that does nothing beside the echo, a real network beside a bare loop, and other runtimes beside both."""
    with on_client_core(), tempfile.TemporaryDirectory() as folder:
        root, files = Path(folder) / "models", Path(folder) / "files"
        make_models(root, files)
        with aisle(root) as ours:
            with echo() as peer:
                yield from compare(options, ours.port, peer.port)
            yield published(ours.port)
            with bare_loop(files) as loop:
                yield from against_loop(options, ours, loop)
            yield from against_peers(options, ours, files)


def compare(options: Options, ours: int, peer: int) -> Iterable[Row]:
    """Rounds of ours, peer, ours, peer ...; the figures are medians over the rounds."""
    asked = identity_request()
    requests = {ours: asked, peer: request_bytes("/echo", asked.partition(b"\r\n\r\n")[2])}
    rounds, seconds = (3, 0.6) if options.quick else (9, 2.0)
    for connections in (1, 16):
        if not options.wants(f"identity c={connections}"):
            continue
        loads: dict[int, list[Load]] = {ours: [], peer: []}
        for port in requests:
            drive(port, requests[port], 0.3, connections)
        for _ in tqdm(range(rounds), desc=f"c={connections}", disable=None):
            for port, request in requests.items():
                loads[port].append(drive(port, request, seconds, connections))
        yield from rows_of(connections, loads[ours], loads[peer])


def rows_of(connections: int, ours: list[Load], peer: list[Load]) -> Iterable[Row]:
    """The figures of one concurrency."""
    case = f"identity c={connections}"
    for percent, metric in ((50, "p50"), (99, "p99")):
        mine = [load.percentile_ms(percent) for load in ours]
        theirs = [load.percentile_ms(percent) for load in peer]
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
        goal = "p50 <= 1.6 x the echo" if (connections, percent) == (1, 50) else None
        yield Row(case, metric, statistics.median(mine), "ms", statistics.pstdev(mine), PEER,
                  statistics.median(theirs), ratio, goal, None if goal is None else ratio <= 1.6)
    mine, theirs = [load.rate for load in ours], [load.rate for load in peer]
    ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
    goal = "throughput >= 0.65 of the echo" if connections == 16 else None
    yield Row(case, "throughput", statistics.median(mine), "requests/s", statistics.pstdev(mine), PEER,
              statistics.median(theirs), ratio, goal, None if goal is None else ratio >= 0.65)


def published(port: int) -> Row:
    """The overhead that the server itself publishes in its statistics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/identity/stats") as answer:
        stats = json.load(answer)["model_stats"][0]
    return Row("identity", "overhead per request as published in statistics", stats["aisle_overhead_ns"] / 1e3, "us",
               note="mean of success minus queue, fill, run and read, over every request of this bench")
