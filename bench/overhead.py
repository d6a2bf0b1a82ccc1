"""What the server adds to a model that does nothing, against a bare aiohttp echo of the same bytes."""

from __future__ import annotations

import json
import statistics
import tempfile
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..models.make.onnx_models import identity
from .client import Load, drive, request_bytes
from .report import Options, Row
from .servers import aisle, echo, on_client_core

PEER = "aiohttp + uvloop echo"


def identity_request(values: int) -> tuple[bytes, bytes]:
    """(body, its JSON part) of a binary OIP request with that many float32."""
    header = {"inputs": [{"name": "INPUT0", "shape": [1, values], "datatype": "FP32",
                          "parameters": {"binary_data_size": 4 * values}}],
              "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]}
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + np.arange(values, dtype=np.float32).tobytes(), text


def run(options: Options) -> Iterable[Row]:
    """Latency at 1 connection and throughput at 16, interleaved with the peer on the same core."""
    with on_client_core(), tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "identity" / "1").mkdir(parents=True)
        identity(root / "identity" / "1" / "model.onnx", (16,), "float32")
        with aisle(root) as ours, echo() as peer:
            yield from compare(options, ours.port, peer.port)
            yield published(ours.port)


def compare(options: Options, ours: int, peer: int) -> Iterable[Row]:
    """Rounds of ours, peer, ours, peer ...; the figures are medians over the rounds."""
    body, text = identity_request(16)
    headers = {"Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream"}
    requests = {ours: request_bytes("/v2/models/identity/infer", body, headers),
                peer: request_bytes("/echo", body, headers)}
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
    goal = "throughput >= 50 % of the echo" if connections == 16 else None
    yield Row(case, "throughput", statistics.median(mine), "requests/s", statistics.pstdev(mine), PEER,
              statistics.median(theirs), ratio, goal, None if goal is None else ratio >= 0.5)


def published(port: int) -> Row:
    """The overhead that the server itself publishes in its statistics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/identity/stats") as answer:
        stats = json.load(answer)["model_stats"][0]
    return Row("identity", "overhead per request as published in statistics", stats["aisle_overhead_ns"] / 1e3, "us",
               note="mean of success minus queue, fill, run and read, over every request of this bench")
