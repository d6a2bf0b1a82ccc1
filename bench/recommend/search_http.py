"""Search from end to end: over HTTP on loopback, above the time of an empty request to the same server; and a start."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from ...models.recommend.encoder import onnx
from ...models.recommend.format import save
from ...models.shop.make import make_shop
from ..report import Options, Row
from ..servers import Running, aisle, cores, on_client_core
from .made import fitted, weights
from .search import many
from .served import FLOOR, ask, spent_ms

GOAL, P50_MS, P99_MS = "p50 < 5 ms, p99 < 20 ms, without an encoder", 5.0, 20.0
EVENTS = 10
ASKED: dict[str, tuple[str, ...]] = {
    "an English phrase": ("non-slip shoes for a walk in the rain", "warm waterproof jacket for hiking", "green tea",
                          "quiet electric toothbrush", "a small lamp to read in bed", "500 ml bottle that does not leak"),
    "a Chinese phrase": ("防滑、适合雨天散步的鞋", "保暖的羽绒服", "轻便的双肩包", "适合送给妈妈的礼物", "无线降噪耳机",
                         "半升的保温杯"),
    "typing mistakes": ("watreproof jackett", "hikng bootss", "wirless headphnes", "chocolatte with nutss",
                        "umbrela for windd", "toothbrsh"),
    "a negation": ("shoes but not leather", "chocolate without nuts", "不要皮的鞋", "tea without caffeine",
                   "jacket, nothing red", "无糖的饼干"),
    "words of every second product": ("soft light large", "black small warm", "daily home gift", "大 小 轻 软",
                                      "travel city summer", "日常 家用 礼物"),
}


def run(options: Options) -> Iterator[Row]:
    """Latencies of one client by kind of question, and what a start takes."""
    n, rounds = (10_000, 60) if options.quick else (100_000, 600)
    with tempfile.TemporaryDirectory() as folder:
        goods, rng = many(n), np.random.default_rng(0)
        save(fitted(rng, [item.id for item in goods]), {"fp32": onnx(weights(rng))}, Path(folder) / "fit", "fit")
        make_shop(goods, Path(folder) / "models" / "corner", "corner", fit=Path(folder) / "fit", currency="CNY")
        cores()       # before this process moves to the client's
        for name in ("first start", "start after that"):
            with aisle(Path(folder) / "models") as server, on_client_core():
                connection = http.client.HTTPConnection("127.0.0.1", server.port)
                yield from started(connection, server, n, name)
                if name == "first start":
                    continue
                for kind, phrases in ASKED.items():
                    yield from rows(connection, n, rounds, kind, [{"q": q} for q in phrases])
                yield from rows(connection, n, rounds, "an English phrase, with taste", [
                    {"q": q, "events": [{"item": str(i)} for i in rng.integers(0, n, EVENTS)]}
                    for q in ASKED["an English phrase"]])
                yield from updates(connection, n, 20 if options.quick else 200)


def started(connection: http.client.HTTPConnection, server: Running, n: int, name: str) -> Iterator[Row]:
    """From the start of the process to its first answer."""
    begin = time.perf_counter()
    ask(connection, "GET", "/v1/search?q=shoes")
    yield Row(f"search_http/{n // 1000}k items", f"{name}, until it answers", server.ready_s + time.perf_counter() - begin, "s",
              note=f"processor time of the server {spent_ms(server.pid) / 1e3:.1f} s; model and catalogue read, indexed, "
                   "the first question answered")


def rows(connection: http.client.HTTPConnection, n: int, rounds: int, kind: str,
         bodies: list[dict[str, object]]) -> Iterator[Row]:
    """What one connection sees, the floor in turns with ours."""
    floor, ours, spent = [], [], []
    for body in islice(cycle([json.dumps(body) for body in bodies]), rounds + 2 * len(bodies)):
        floor.append(ask(connection, *FLOOR)[0])
        took, reply = ask(connection, "POST", "/v1/search", body)
        told = json.loads(reply)
        assert told["items"], body
        ours.append(took)
        spent.append(sum(took for stage, took in told["timings_ms"].items() if stage != "total"))
    floor, ours, spent = (times[2 * len(bodies):] for times in (floor, ours, spent))
    case, below = f"search_http/{n // 1000}k items, {kind}", statistics.median(floor)
    p50, p99 = statistics.median(ours) - below, float(np.percentile(ours, 99)) - below
    busy = f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores"
    yield Row(case, "p50 above the floor", p50, "ms", None, "GET /v2/health/live", below, None, GOAL, p50 < P50_MS,
              f"{len(bodies)} phrases in turns, {rounds} requests; median inside the server "
              f"{statistics.median(spent):.2f} ms; {busy}")
    yield Row(case, "p99 above the floor", p99, "ms", None, "GET /v2/health/live", below, None, GOAL, p99 < P99_MS,
              f"of {rounds} requests")


def updates(connection: http.client.HTTPConnection, n: int, rounds: int) -> Iterator[Row]:
    """A new title of one product, on the disk, and found by it at once."""
    times, lost = [], 0
    for turn in range(rounds):
        item = {"id": f"{turn}", "title": f"newname{chr(97 + turn % 26)}{chr(97 + turn // 26)} shoes", "price": 10.0}
        times.append(ask(connection, "POST", "/v1/catalogue", json.dumps({"changes": [{"do": "add", "item": item}]}))[0])
        found = json.loads(ask(connection, "POST", "/v1/search", json.dumps({"q": item["title"]}))[1])
        lost += found["items"][0]["id"] != item["id"]
    yield Row(f"search_http/{n // 1000}k items", "p50 of an update", statistics.median(times), "ms",
              float(np.percentile(times, 99)), note=f"one product put, on the disk when it is answered; {lost} of {rounds} not "
              "found first by their new title in the next question; the spread is the p99")
