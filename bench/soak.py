"""Does memory stay where it was? Load, reload and 100 load/unload cycles, for half an hour."""

from __future__ import annotations

import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..models.inspect.teach import teach
from ..models.make import parts
from ..models.make.onnx_models import conv_net, identity
from .client import drive, request_bytes
from .footprint import memory_mb
from .overhead_requests import identity_request
from .report import Options, Row
from .servers import Running, aisle, on_client_core

CYCLES, SECONDS = 100, 1800.0
QUICK_CYCLES, QUICK_SECONDS = 10, 40.0
WARM = 0.15                 # the share of the run after which memory is first measured: caches fill, allocators settle
GOAL = 0.02
STATION, SHOWN = "plate", 6


def make_models(root: Path) -> None:
    """`identity` for load, `come_and_go` to load and unload, `renewed` that gets new versions, `plate` that inspects."""
    for name in ("identity", "come_and_go", "renewed"):
        (root / name / "1").mkdir(parents=True)
    identity(root / "identity" / "1" / "model.onnx", (16,), "float32")
    for name in ("come_and_go", "renewed"):
        conv_net(root / name / "1" / "model.onnx", 64)
    teach(STATION, [parts.good(seed) for seed in range(SHOWN)], out_dir=root, version="1")


def post(port: int, path: str, body: bytes = b"{}") -> None:
    """POST and read the answer; RuntimeError with its sentence where it is not 200."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{path}: {error.code} {json.load(error).get('error')}") from None


class Cycles:
    """What changes while the load goes on: one step loads, asks and unloads a model and, every tenth time, renews one."""

    def __init__(self, root: Path, port: int) -> None:
        self.root, self.port, self.done, self.version = root, port, 0, 1

    def step(self) -> None:
        """One cycle."""
        post(self.port, "/v2/repository/models/come_and_go/unload")
        post(self.port, "/v2/repository/models/come_and_go/load")
        if self.done % 10 == 9:
            self.version += 1
            folder = self.root / "renewed" / str(self.version)
            folder.mkdir()
            conv_net(folder / "model.onnx", 64, seed=self.version)
            post(self.port, "/v2/repository/models/renewed/load")
        self.done += 1


class Stream(threading.Thread):
    """Steady requests from a thread of their own until `stop`: tensors to one model, pictures to the inspector."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.stop, self.answered, self.failed = port, threading.Event(), 0, ""
        picture = cv2.imencode(".jpg", parts.good(99))[1].tobytes()
        self.picture = request_bytes(f"/v1/inspect/{STATION}", picture, {"Content-Type": "image/jpeg"})

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self.answered += len(drive(self.port, identity_request(), 1.0, 8).latencies)
                self.answered += len(drive(self.port, self.picture, 1.0, 2).latencies)
            except RuntimeError as error:
                self.failed = str(error)
                return


def run(options: Options) -> Iterable[Row]:
    """Resident memory over the run, and what was answered meanwhile."""
    cycles, seconds = (QUICK_CYCLES, QUICK_SECONDS) if options.quick else (CYCLES, SECONDS)
    with on_client_core(), tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_models(root)
        with aisle(root) as server:
            stream = Stream(server.port)
            stream.start()
            seen = soak(server, Cycles(root, server.port), cycles, seconds)
            stream.stop.set()
            stream.join(10)
    yield from rows(seen, stream, cycles, seconds, options)


def soak(server: Running, changes: Cycles, cycles: int, seconds: float) -> np.ndarray:
    """(n, 2): seconds since the start, and resident memory in MiB, once a cycle."""
    seen, begin = [], time.monotonic()
    for n in tqdm(range(cycles), desc="cycles", disable=None):
        changes.step()
        time.sleep(max(0.0, begin + (n + 1) * seconds / cycles - time.monotonic()))
        seen.append((time.monotonic() - begin, memory_mb(server.pid, "Rss")))
    return np.array(seen)


def rows(seen: np.ndarray, stream: Stream, cycles: int, seconds: float, options: Options) -> Iterable[Row]:
    """Growth from after the warm-up to the end, each the median of a tenth of the run."""
    tenth = max(1, len(seen) // 10)
    first = int(len(seen) * WARM)
    before, after = float(np.median(seen[first:first + tenth, 1])), float(np.median(seen[-tenth:, 1]))
    growth = after / before - 1
    fault = f"; {stream.failed}" if stream.failed else ""
    yield Row("soak", "growth of resident memory", growth, "", goal=f"under {GOAL:.0%} in 30 minutes with 100 cycles",
              met=None if options.quick else growth < GOAL and not stream.failed,
              note=f"{before:.1f} MiB after {WARM:.0%} of {seconds:g} s, {after:.1f} MiB at the end, at most "
                   f"{seen[:, 1].max():.1f} MiB; {cycles} cycles, {stream.answered} requests answered{fault}")
