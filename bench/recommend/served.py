"""A recommendation from end to end: over HTTP on loopback, above the time of an empty request to the same server."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..report import Options, Row
from ..servers import aisle, cores, on_client_core
from .made import shop

HISTORY, COUNT = 50, 10
GOAL = "p50 < 1.5 ms above the HTTP floor"
RULES = {"per_brand": 2, "diversity": 0.3, "margin_weight": 0.1}
FILTERS = {"price": {"most": 200}, "not": {"categories": ["Department 3"]}}


def run(options: Options) -> Iterator[Row]:
    """Latencies of one client, the floor in turns; and an update beside it."""
    n, rounds = (20_000, 150) if options.quick else (100_000, 2000)
    with tempfile.TemporaryDirectory() as folder:
        shop(Path(folder), n)
        cores()       # before this process moves to the client's
        with aisle(Path(folder) / "models") as server, on_client_core():
            yield from rows(http.client.HTTPConnection("127.0.0.1", server.port), n, rounds, options)


def rows(connection: http.client.HTTPConnection, n: int, rounds: int, options: Options) -> Iterator[Row]:
    """What one connection sees."""
    rng = np.random.default_rng(1)
    seen: dict[str, list[float]] = {"floor": [], "posted": [], "ours": []}
    stages: dict[str, list[float]] = {}
    short = json.dumps({"ids": []})
    for turn in range(rounds + 50):
        body = json.dumps({"events": [{"item": f"item-{i}", "kind": "view"} for i in rng.integers(0, n, HISTORY)],
                           "count": COUNT, "rules": RULES, "filters": FILTERS})
        times = {"floor": ask(connection, "GET", "/v2/health/live"), "posted": ask(connection, "POST", "/v1/catalogue", short),
                 "ours": ask(connection, "POST", "/v1/recommend", body)}
        if turn < 50:
            continue           # the first ones teach the server that the model is cheap
        for name, (took, _) in times.items():
            seen[name].append(took)
        told = json.loads(times["ours"][1])
        assert len(told["items"]) == COUNT and all(item["reason"]["sentence"] for item in told["items"])
        for name, took in told["timings_ms"].items():
            stages.setdefault(name, []).append(took)
    floor, ours = statistics.median(seen["floor"]), statistics.median(seen["ours"])
    parts = ", ".join(f"{name} {statistics.median(took):.2f}" for name, took in stages.items())
    case = f"served/{n // 1000}k items"
    about = f"history of {HISTORY}, {COUNT} items, caps, diversity, margin, filters, reasons"
    busy = f"; load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores"
    yield Row(case, "p50 above the floor", ours - floor, "ms", None, "GET /v2/health/live", floor, None, GOAL,
              None if options.quick else ours - floor < 1.5, f"{about}; medians of the stages in ms: {parts}{busy}")
    yield Row(case, "p50", ours, "ms", note="the whole request as the client sees it")
    yield Row(case, "p99", float(np.percentile(seen["ours"], 99)), "ms", None, "GET /v2/health/live",
              float(np.percentile(seen["floor"], 99)), note=f"of {rounds} requests")
    yield from updates(connection, n, 20 if options.quick else 200)


def updates(connection: http.client.HTTPConnection, n: int, rounds: int) -> Iterator[Row]:
    """A change of price and stock, on the disk and seen by the question after it."""
    times, stale = [], 0
    for turn in range(rounds):
        changes = [{"do": "price", "id": f"item-{turn}", "price": 1.25}, {"do": "stock", "id": f"item-{turn}", "stock": 7}]
        times.append(ask(connection, "POST", "/v1/catalogue", json.dumps({"changes": changes}))[0])
        read = json.loads(ask(connection, "POST", "/v1/catalogue", json.dumps({"ids": [f"item-{turn}"]}))[1])
        stale += read["items"][f"item-{turn}"]["price"] != 1.25
    about = f"two changes, on the disk when it is answered; {stale} not seen after it; p99 {np.percentile(times, 99):.2f} ms"
    yield Row(f"served/{n // 1000}k items", "p50 of an update", statistics.median(times), "ms", None, None, None, None,
              "visible to the next query", not stale, about)


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> tuple[float, bytes]:
    """(ms, the body) of one request."""
    begin = time.perf_counter()
    connection.request(method, path, body)
    reply = connection.getresponse()
    data = reply.read()
    took = (time.perf_counter() - begin) * 1e3
    assert reply.status == 200, data
    return took, data
