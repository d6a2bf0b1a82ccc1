"""A real network behind the server, against the same network in a bare loop on the same core: who serves it for least?"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..models.make import nets
from . import peers
from .client import drive, request_bytes
from .overhead_requests import classify_request, identity_request, net_request
from .report import Options, Row
from .servers import Running, cores

LOOP = "bare ONNX Runtime loop"
CONNECTIONS = 4
# case -> (least share of the loop's rate, most CPU ms a request on top of the loop's, or None)
GOALS: Mapping[str, tuple[float, float | None]] = {"net": (0.93, 0.35), "image": (0.92, None)}
CLOCK = os.sysconf("SC_CLK_TCK")


def jpeg() -> bytes:
    """A drawn picture of 640 x 480 as a camera would send it."""
    square = nets.texture("checks", 3, 640)
    return cv2.imencode(".jpg", square[:480], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


class Loop:
    """The bare loop, in a process on the server's core."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def drive(self, name: str, seconds: float) -> tuple[float, float]:
        """(calls a second, CPU seconds a call)."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{name} {seconds}\n")
        self._process.stdin.flush()
        rate, cpu = self._process.stdout.readline().split()
        return float(rate), float(cpu)


@contextlib.contextmanager
def bare_loop(models: Path) -> Iterator[Loop]:
    """Start the loop over a folder with identity.onnx and net.onnx."""
    picture = models / "picture.jpg"
    picture.write_bytes(jpeg())
    process = subprocess.Popen([sys.executable, str(peers.SERVERS / "bare_loop.py"), str(picture)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, env=os.environ | {"PEER_MODELS": str(models)},
                               preexec_fn=lambda: os.sched_setaffinity(0, cores()[0]))
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield Loop(process)
    finally:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, to a hundredth of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK


def against_loop(options: Options, ours: Running, loop: Loop) -> Iterable[Row]:
    """Our rate and CPU time beside the loop's, in turns."""
    requests = {"net": net_request(), "image": classify_request(jpeg())}
    rounds, seconds = (3, 0.8) if options.quick else (7, 3.0)
    for case, request in requests.items():
        if not options.wants(case):
            continue
        drive(ours.port, request, 0.5, CONNECTIONS)
        shares, extra, rates = [], [], []
        for _ in tqdm(range(rounds), desc=case, disable=None):
            rate, cpu = loop.drive(case, seconds)
            before = cpu_seconds(ours.pid)
            load = drive(ours.port, request, seconds, CONNECTIONS)
            extra.append(((cpu_seconds(ours.pid) - before) / len(load.latencies) - cpu) * 1e3)
            shares.append(load.rate / rate)
            rates.append((load.rate, rate))
        yield from rows_of(case, shares, extra, rates)


def rows_of(case: str, shares: list[float], extra: list[float], rates: list[tuple[float, float]]) -> Iterable[Row]:
    """The figures of one kind of request."""
    least, most = GOALS[case]
    share, more = statistics.median(shares), statistics.median(extra)
    mine, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    yield Row(case, f"throughput c={CONNECTIONS}", mine, "requests/s", statistics.pstdev([a for a, _ in rates]), LOOP, theirs,
              share, f">= {least} of the loop", share >= least, note=WHAT[case])
    yield Row(case, "CPU per request over the loop's", more, "ms", statistics.pstdev(extra), LOOP,
              goal=None if most is None else f"<= {most} ms", met=None if most is None else more <= most)


WHAT = {"net": "a MobileNetV2-like network with random weights, FP32, a tensor of 602,112 bytes in and 1,280 values out",
        "image": "a JPEG of 640 x 480 in, the five best out; the loop decodes and resizes with OpenCV"}


def against_peers(options: Options, ours: Running, models: Path) -> Iterable[Row]:
    """Every peer beside ours: the same model files, in turns; the peer's request is the least that it takes."""
    body = {"identity": np.arange(16, dtype=np.float32).tobytes(), "net": bytes(602_112), "image": jpeg()}
    mine = {"identity": identity_request(), "net": net_request(), "image": classify_request(body["image"])}
    for key, peer in peers.PEERS.items():
        if not options.wants(key):
            continue
        missing = peers.prepare(key, options.quick)
        if missing:
            yield Row(key, "throughput", None, peer=peer.name, note=missing)
            continue
        try:
            with peers.running(key, models) as server:
                for case, connections in (("identity", 1), ("identity", 16), ("net", CONNECTIONS), ("image", CONNECTIONS)):
                    theirs = request_bytes(f"/{case}", body[case], {"Content-Type": "application/octet-stream"})
                    yield from beside(options, key, case, connections, (ours.port, mine[case]),
                                      (server.port, theirs))
        except RuntimeError as error:
            yield Row(key, "throughput", None, peer=peer.name, note=str(error))


def beside(options: Options, key: str, case: str, connections: int, ours: tuple[int, bytes],
           theirs: tuple[int, bytes]) -> Iterable[Row]:
    """Rows of one peer and one kind of request."""
    rounds, seconds = (2, 0.6) if options.quick else (5, 1.5)
    loads = [[drive(port, request, seconds, connections) for port, request in (ours, theirs)] for _ in range(rounds)]
    for metric, unit in (("throughput", "requests/s"), ("p99", "ms")):
        pairs = [[load.rate if metric == "throughput" else load.percentile_ms(99) for load in pair] for pair in loads]
        ratio = statistics.median(a / b for a, b in pairs)
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        goal = "below every peer's" if metric == "p99" and connections == 16 else None
        yield Row(f"{key} {case} c={connections}", metric, mine, unit, None, peers.PEERS[key].name, other, ratio, goal,
                  None if goal is None else ratio < 1)
