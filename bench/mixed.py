"""Two jobs on one core: route questions with a short deadline while inspection runs as fast as it can."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from ..models.inspect.teach import teach
from ..models.make import parts
from ..models.route.assemble import assemble
from ..models.route.network import save, with_topology
from .cities import city, pairs
from .client import Load, drive, request_bytes
from .open_loop import Seen, drive_open
from .report import Options, Row
from .servers import Running, child, cores, on_client_core

NODES, QUESTIONS, BATCH = 40_000, 200.0, 8       # route questions a second, pairs in each
DEADLINE_MS = 20.0
INSPECTORS = 4                                    # connections that keep inspection busy
RESERVE = '[queue]\nreserve = ["routes=0.3"]\n'


def make_models(root: Path) -> bytes:
    """A taught part and a made city; the body of a question for some ways in it: pairs of nodes, int32."""
    teach("plate", [parts.good(seed) for seed in range(8)], out_dir=root, version="1")
    made = city(NODES)
    network = with_topology(assemble(made["x"], made["y"], made["tail"], made["head"], made["weights"],
                                     np.maximum(made["weights"] // 80, 1), frame="plane", kinds=("street",)))
    save(network, root / "city" / "1", "city")
    return pairs(made, BATCH, True).astype("<i4").tobytes()


class Busy(threading.Thread):
    """Keeps inspection busy with as many pictures as it takes."""

    def __init__(self, port: int, seconds: float) -> None:
        super().__init__(daemon=True)
        picture = cv2.imencode(".jpg", parts.good(99))[1].tobytes()
        self._request = request_bytes("/v1/inspect/plate", picture, {"Content-Type": "image/jpeg"})
        self._port, self._seconds = port, seconds
        self.load: Load | None = None

    def run(self) -> None:
        self.load = drive(self._port, self._request, self._seconds, INSPECTORS)


def run(options: Options) -> Iterable[Row]:
    """Route questions alone, then beside inspection at saturation, on one core."""
    seconds = 5.0 if options.quick else 30.0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "models").mkdir()
        body = make_models(root / "models")
        (root / "aisle.toml").write_text(RESERVE)
        command = [sys.executable, "-m", "aisle.runtime", "serve", "--config", str(root / "aisle.toml"), "--models",
                   str(root / "models"), "--port", "0", "--log-level", "warning"]
        cores()       # before this process moves to the client's
        with child(command, "/v2/health/ready") as server, on_client_core():
            yield from compare(server, body, seconds, options)


def compare(server: Running, body: bytes, seconds: float, options: Options) -> Iterable[Row]:
    """Both loads alone, then together."""
    question = request_bytes("/v1/routes/city?pairs=nodes", body, {"Aisle-Deadline-Ms": f"{DEADLINE_MS:g}"})
    alone = drive_open(server.port, question, QUESTIONS, seconds / 3, connections=32)
    first = Busy(server.port, seconds / 3)
    first.start()
    first.join()
    busy = Busy(server.port, seconds + 1)
    busy.start()
    together = drive_open(server.port, question, QUESTIONS, seconds, connections=32)
    busy.join()
    assert first.load is not None and busy.load is not None
    yield from route_rows(together, alone, options)
    yield Row("inspect", "throughput beside routes", busy.load.rate, "pictures/s", peer="inspection alone",
              peer_value=first.load.rate, ratio=busy.load.rate / first.load.rate,
              note=f"{INSPECTORS} connections that always ask; the server has one core for both jobs")


def route_rows(seen: Seen, alone: Seen, options: Options) -> Iterable[Row]:
    """How route questions fared beside inspection."""
    answered, quiet = seen.took[seen.status == 200] * 1e3, alone.took[alone.status == 200] * 1e3
    p99, other = (float(np.percentile(took, 99)) if len(took) else float("nan") for took in (answered, quiet))
    share = len(answered) / len(seen.offered)
    yield Row("routes", "p99 beside inspection at saturation", p99, "ms", peer="routes alone", peer_value=other,
              ratio=p99 / other, goal=f"p99 < {DEADLINE_MS:g} ms",
              met=None if options.quick else p99 < DEADLINE_MS and share > 0.99,
              note=f"{QUESTIONS:g} questions a second of {BATCH} ways each, deadline {DEADLINE_MS:g} ms; p50 "
                   f"{np.median(answered):.2f} ms; {share:.2%} answered, {np.mean(seen.status == 503):.2%} refused, "
                   f"{np.mean(seen.status == 504):.2%} expired; the client sent {seen.lag * 1e3:.2f} ms late at p99")
