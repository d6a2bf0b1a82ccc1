"""Overload: open-loop arrivals beyond the capacity, every request with a deadline; who still answers in time?"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..models.make.onnx_models import identity
from ..models.make.onnx_proto import node, tensor, value, write
from .client import drive, request_bytes
from .footprint import pss_mb
from .load_curve import curves
from .load_curve import picture as drawn
from .open_loop import Seen, drive_open
from .report import ROOT, Options, Row
from .servers import Running, aisle, child, on_client_core, page_server

SIZE, CHANNELS, LAYERS = 32, 128, 4       # some milliseconds on one core, as the models of a station take
LOADS = (1.5, 3.0)
PEER = "home-made aiohttp + ONNX Runtime"
HOME_MADE = page_server("""
import sys, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
""", "/infer", """image = np.frombuffer(await request.read(), np.float32).reshape(1, 3, int(sys.argv[2]), -1)
    return web.Response(body=session.run(["scores"], {"image": image})[0].tobytes())""")


def heavy_net(path: Path) -> None:
    """Write a network of some convolutions with random weights: `image` float32 (batch, 3, 32, 32) -> `scores` (batch, 4)."""
    rng = np.random.default_rng(7)
    widths = [3, *[CHANNELS] * LAYERS]
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes, constants, last = [], [], "image"
    for i, (narrow, wide) in enumerate(pairwise(widths)):
        weight = rng.standard_normal((wide, narrow, 3, 3)).astype(np.float32) / np.float32(np.sqrt(9 * narrow))
        constants += [tensor(f"w{i}", weight), tensor(f"b{i}", np.zeros(wide, np.float32))]
        nodes += [node("Conv", [last, f"w{i}", f"b{i}"], [f"c{i}"], same), node("Relu", [f"c{i}"], [f"r{i}"])]
        last = f"r{i}"
    constants += [tensor("w", rng.standard_normal((CHANNELS, 4)).astype(np.float32)), tensor("b", np.zeros(4, np.float32))]
    nodes += [node("GlobalAveragePool", [last], ["p"]), node("Flatten", ["p"], ["f"], {"axis": 1}),
              node("Gemm", ["f", "w", "b"], ["scores"])]
    write(path, "heavy", nodes, [value("image", "float32", ["batch", 3, SIZE, SIZE])],
          [value("scores", "float32", ["batch", 4])], constants)


def picture_bytes() -> bytes:
    """One picture, float32 (1, 3, SIZE, SIZE)."""
    return np.random.default_rng(1).standard_normal((1, 3, SIZE, SIZE), np.float32).tobytes()


def infer_request(deadline_ms: float | None = None) -> bytes:
    """A binary OIP request for the scores of one picture."""
    image = picture_bytes()
    header = {"inputs": [{"name": "image", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32",
                          "parameters": {"binary_data_size": len(image)}}],
              "outputs": [{"name": "scores", "parameters": {"binary_data": True}}]}
    text = json.dumps(header, separators=(",", ":")).encode()
    extra = {"Aisle-Deadline-Ms": f"{deadline_ms:.3f}"} if deadline_ms else {}
    return request_bytes("/v2/models/net/infer", text + image,
                         {"Inference-Header-Content-Length": str(len(text)), **extra})


def peer_request() -> bytes:
    """The same picture as the home-made server takes it."""
    return request_bytes("/infer", picture_bytes())


def run(options: Options) -> Iterable[Row]:
    """Capacity first, then the loads, ours and the peer's in turn."""
    with on_client_core(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net" / "1" / "model.onnx"
        path.parent.mkdir(parents=True)
        heavy_net(path)
        with aisle(Path(folder)) as ours:
            with child([sys.executable, "-c", HOME_MADE, str(path), str(SIZE)], None) as peer:
                yield from compare(options, ours, peer)
            if options.wants("curve"):
                yield from curve(options, ours, path, Path(folder) / "files")


def curve(options: Options, ours: Running, net: Path, files: Path) -> Iterable[Row]:
    """The sweep beside other runtimes; a full run draws it to docs/load.svg."""
    files.mkdir()
    (files / "net.onnx").write_bytes(net.read_bytes())
    identity(files / "identity.onnx", (16,), "float32")
    service = 1 / drive(ours.port, infer_request(), 1.0, 1).rate
    deadline = max(0.020, 20 * service)
    found, rows = curves(options, (ours.port, infer_request(), infer_request(deadline * 1e3)), files, deadline, picture_bytes())
    yield from rows
    if not options.quick:
        (ROOT / "docs" / "load.svg").write_text(drawn(found, deadline))


def compare(options: Options, ours: Running, peer: Running) -> Iterable[Row]:
    """The rows of every load."""
    seconds, warm = (4.0, 1.0) if options.quick else (30.0, 3.0)
    service = 1 / drive(ours.port, infer_request(), warm, 1).rate
    capacity = drive(ours.port, infer_request(), warm, 16).rate
    peer_capacity = drive(peer.port, peer_request(), warm, 16).rate
    deadline = max(0.020, 20 * service)
    yield Row("capacity", "closed loop of 16", capacity, "requests/s", peer=PEER, peer_value=peer_capacity,
              ratio=capacity / peer_capacity,
              note=f"one request alone {service * 1e3:.2f} ms, deadline {deadline * 1e3:.1f} ms")
    for load in tqdm(LOADS, desc="loads", disable=None):
        case = f"overload {load:.0%}"
        if not options.wants(case):
            continue
        before = pss_mb(ours.pid)
        mine = drive_open(ours.port, infer_request(deadline * 1e3), load * capacity, seconds)
        after = pss_mb(ours.pid)
        theirs = drive_open(peer.port, peer_request(), load * peer_capacity, seconds)
        yield from rows_of(case, mine, theirs, capacity, peer_capacity, deadline, 8 / capacity)
        yield Row(case, "memory growth", after - before, "MiB", goal="flat (< 16 MiB)", met=after - before < 16)


def rows_of(case: str, mine: Seen, theirs: Seen, capacity: float, peer_capacity: float, deadline: float,
            batch: float) -> Iterable[Row]:
    """The figures of one load; `batch` is the seconds of a full batch."""
    share, other = mine.goodput(deadline) / capacity, theirs.goodput(deadline) / peer_capacity
    yield Row(case, "goodput over capacity", share, "", peer=PEER, peer_value=other, ratio=share / max(other, 1e-9),
              goal="answers in time >= 90 % of capacity", met=share >= 0.9,
              note=f"of {len(mine.offered)} requests {np.mean(mine.status == 200):.0%} answered, "
                   f"{np.mean(mine.status == 503):.0%} refused, {np.mean(mine.status == 504):.0%} expired; the client sent "
                   f"{mine.lag * 1e3:.2f} ms late at p99")
    worst = float(mine.late(deadline).max(initial=0))
    yield Row(case, "worst answer beyond its deadline", worst * 1e3, "ms", goal="at most one batch",
              met=worst <= batch, note=f"a batch of 8 takes {batch * 1e3:.1f} ms; time counts from when the request was due, "
                                       "so the client's own lateness is in it")
    refused = mine.refusals()
    if len(refused):
        value = float(np.percentile(refused, 99))
        yield Row(case, "p99 of a refusal", value * 1e3, "ms", goal="under 5 ms", met=value < 0.005)
    answered = mine.took[mine.status == 200]
    if len(answered):
        other99 = float(np.nanpercentile(theirs.took, 99)) if np.isfinite(theirs.took).any() else float("nan")
        value = float(np.percentile(answered, 99))
        yield Row(case, "p99 of answers", value * 1e3, "ms", peer=PEER, peer_value=other99 * 1e3, ratio=value / other99)
