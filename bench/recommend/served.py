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
FLOOR, ASKED = ("GET", "/v2/health/live"), ("POST", "/v1/recommend")
RULES = {"per_brand": 2, "diversity": 0.3, "margin_weight": 0.1}
FILTERS = {"price": {"most": 200}, "not": {"categories": ["Department 3"]}}


def run(options: Options) -> Iterator[Row]:
    """Latencies of one client, the floor in turns; and an update beside it."""
    n, rounds = (20_000, 150) if options.quick else (100_000, 2000)
    with tempfile.TemporaryDirectory() as folder:
        shop(Path(folder), n)
        cores()       # before this process moves to the client's
        with aisle(Path(folder) / "models") as server, on_client_core():
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            yield from rows(connection, n, rounds, options)
            yield processor(connection, n, rounds // 4, server.pid)
            yield from updates(connection, n, 20 if options.quick else 200)


def question(rng: np.random.Generator, n: int) -> str:
    """A visit of HISTORY events, and the rules of a shop."""
    events = [{"item": f"item-{i}", "kind": "view"} for i in rng.integers(0, n, HISTORY)]
    return json.dumps({"events": events, "count": COUNT, "rules": RULES, "filters": FILTERS})


def rows(connection: http.client.HTTPConnection, n: int, rounds: int, options: Options) -> Iterator[Row]:
    """What one connection sees, the floor in turns with ours."""
    rng = np.random.default_rng(1)
    seen: dict[str, list[float]] = {"floor": [], "ours": []}
    stages: dict[str, list[float]] = {}
    for turn in range(rounds + 50):
        times = {"floor": ask(connection, *FLOOR), "ours": ask(connection, *ASKED, question(rng, n))}
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


def processor(connection: http.client.HTTPConnection, n: int, rounds: int, pid: int) -> Row:
    """What the server computes for one request: other processes that want the core do not count, their use of caches does."""
    rng, spent = np.random.default_rng(2), {"floor": 0.0, "ours": 0.0}
    bodies = [question(rng, n) for _ in range(rounds)]
    for start in range(0, rounds, 25):
        begin = spent_ms(pid)
        for _ in bodies[start:start + 25]:
            ask(connection, *FLOOR)
        middle = spent_ms(pid)
        for body in bodies[start:start + 25]:
            ask(connection, *ASKED, body)
        spent["floor"] += middle - begin
        spent["ours"] += spent_ms(pid) - middle
    floor, ours = spent["floor"] / rounds, spent["ours"] / rounds
    return Row(f"served/{n // 1000}k items", "processor time above the floor", ours - floor, "ms", None, "GET /v2/health/live",
               floor, None, None, None, f"mean of {rounds} requests, all threads of the server")


def spent_ms(pid: int) -> float:
    """Processor time of all threads of a process."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


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
