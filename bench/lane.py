"""The local lane: a cheap model's round trip beside the bare engine, and a large tensor beside system shared memory."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..models.make.onnx_models import identity
from ..models.make.onnx_proto import node, tensor, value, write
from ..runtime.client import Client
from .report import Options, Row
from .servers import child, cores

SHAPE = (1, 3, 640, 640)
LARGE = {"identity": "large", "16 numbers out": "corner"}      # case -> model
TRITON = "tritonclient, system shared memory"
ENGINE = "bare session.run in the client"


def run(options: Options) -> Iterable[Row]:
    """Rounds of ours and theirs, interleaved; server and client on different cores. Figures are medians over rounds."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores()[1])
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            make_models(root / "models")
            (root / "aisle.toml").write_text(f'[lane]\nsocket = "{root}/lane"\n')
            command = [sys.executable, "-m", "aisle.runtime", "serve", "--config", str(root / "aisle.toml"), "--models",
                       str(root / "models"), "--port", "0", "--log-level", "warning"]
            with child(command, "/v2/health/ready") as server, Client(str(root / "lane"), slot_mb=12) as client:
                if options.wants("identity round trip"):
                    yield from round_trip(options, client, root / "models" / "identity" / "1" / "model.onnx")
                for case, model in LARGE.items():
                    if options.wants(f"3x640x640 FP32, {case}"):
                        yield from large(options, client, server.port, case, model)
    finally:
        os.sched_setaffinity(0, own)


def make_models(root: Path) -> None:
    """`identity` of 16 numbers; `large` gives a picture back, `corner` 16 numbers of it: both cost next to nothing."""
    for name in ("identity", *LARGE.values()):
        (root / name / "1").mkdir(parents=True)
    identity(root / "identity" / "1" / "model.onnx", (16,))
    identity(root / "large" / "1" / "model.onnx", SHAPE[1:])
    cut = [tensor("starts", np.zeros(3, np.int64)), tensor("ends", np.array([1, 1, 16], np.int64)),
           tensor("axes", np.array([1, 2, 3], np.int64))]
    write(root / "corner" / "1" / "model.onnx", "corner", [node("Slice", ["INPUT0", "starts", "ends", "axes"], ["OUTPUT0"])],
          [value("INPUT0", "float32", ["batch", *SHAPE[1:]])], [value("OUTPUT0", "float32", ["batch", 1, 1, 16])], cut)


def times(call: Callable[[], Any], count: int) -> np.ndarray:
    """Microseconds of each of `count` calls."""
    spent = np.empty(count)
    for i in range(count):
        begin = time.perf_counter_ns()
        call()
        spent[i] = time.perf_counter_ns() - begin
    return spent / 1e3


# ---- a cheap model

def round_trip(options: Options, client: Client, file: Path) -> Iterable[Row]:
    """p50 and p99 of 16 numbers there and back, by the prepared call and by the plain one."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    given = np.arange(16, dtype=np.float32)[None]
    call = client.prepare("identity", {"INPUT0": (1, 16)})

    def prepared() -> None:
        call.inputs["INPUT0"][:] = given
        call.run()

    ways: dict[str, Callable[[], Any]] = {
        ENGINE: lambda: session.run(None, {"INPUT0": given}), "prepared call": prepared,
        "plain infer": lambda: client.infer("identity", {"INPUT0": given})}
    rounds, count = (5, 1000) if options.quick else (15, 4000)
    seen: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for way in ways.values():
        times(way, 300)
    for _ in tqdm(range(rounds), desc="identity", disable=None):
        for name, way in ways.items():
            seen[name].append(times(way, count))
    call.close()
    bare = [float(np.percentile(t, 50)) for t in seen.pop(ENGINE)]
    for name, spent in seen.items():
        yield from trip_rows(name, spent, bare)


def trip_rows(name: str, spent: list[np.ndarray], bare: list[float]) -> Iterable[Row]:
    """The rows of one way of calling; the goals are the prepared call's."""
    goals = name == "prepared call"
    case = f"identity round trip, {name}"
    p50 = [float(np.percentile(t, 50)) for t in spent]
    above = statistics.median(a - b for a, b in zip(p50, bare, strict=True))
    yield Row(case, "p50", statistics.median(p50), "us", statistics.pstdev(p50), ENGINE, statistics.median(bare))
    yield Row(case, "p50 above the bare engine", above, "us", goal="<= 60 us above bare session.run" if goals else None,
              met=above <= 60 if goals else None)
    p99 = [float(np.percentile(t, 99)) for t in spent]
    ratio = statistics.median(a / b for a, b in zip(p99, p50, strict=True))
    yield Row(case, "p99", statistics.median(p99), "us", statistics.pstdev(p99), "its own p50", statistics.median(p50), ratio,
              "p99 <= 3 x p50" if goals else None, ratio <= 3 if goals else None)


# ---- a large tensor

def large(options: Options, client: Client, port: int, case: str, model: str) -> Iterable[Row]:
    """A picture copied into shared memory, asked, the answer as an array: by the lane, and by tritonclient."""
    case = f"3x640x640 FP32, {case}"
    picture = np.random.default_rng(1).random(SHAPE, np.float32)
    call = client.prepare(model, {"INPUT0": SHAPE})

    def lane() -> np.ndarray:
        call.inputs["INPUT0"][:] = picture
        return call.run()["OUTPUT0"]

    try:
        with triton(port, model, picture) as peer:
            np.testing.assert_array_equal(lane().ravel()[:16], peer().ravel()[:16])
            rounds, count = (5, 15) if options.quick else (15, 40)
            ours, theirs = [], []
            for _ in tqdm(range(rounds), desc=case, disable=None):
                ours.append(float(np.median(times(lane, count))) / 1e3)
                theirs.append(float(np.median(times(peer, count))) / 1e3)
    except ImportError as error:
        yield Row(case, "p50", None, "ms", peer=TRITON, goal="<= 1/3 of the peer's time",
                  note=f"the peer is not installed here: {error}; pip install 'tritonclient[http]'")
        return
    finally:
        call.close()
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    yield Row(case, "p50", statistics.median(ours), "ms", statistics.pstdev(ours), TRITON, statistics.median(theirs), ratio,
              "<= 1/3 of the peer's time", ratio <= 1 / 3, "with the copy into shared memory on both sides")


@contextlib.contextmanager
def triton(port: int, model: str, picture: np.ndarray) -> Iterator[Callable[[], np.ndarray]]:
    """The stock client with a registered region for the picture, and one for what comes back."""
    import tritonclient.http as http
    from tritonclient.utils import shared_memory

    size = picture.nbytes
    names = [f"aisle-bench-{os.getpid()}-{model}-{way}" for way in ("in", "out")]
    regions = [shared_memory.create_shared_memory_region(name, f"/{name}", size) for name in names]
    client = http.InferenceServerClient(f"127.0.0.1:{port}")
    try:
        for name in names:
            client.register_system_shared_memory(name, f"/{name}", size)
        given = http.InferInput("INPUT0", list(picture.shape), "FP32")
        given.set_shared_memory(names[0], size)
        back = http.InferRequestedOutput("OUTPUT0")
        back.set_shared_memory(names[1], size)

        def ask() -> np.ndarray:
            shared_memory.set_shared_memory_region(regions[0], [picture])
            shape = client.infer(model, [given], outputs=[back]).get_output("OUTPUT0")["shape"]
            found: np.ndarray = shared_memory.get_contents_as_numpy(regions[1], np.float32, shape)
            return found

        yield ask
    finally:
        for name, region in zip(names, regions, strict=True):
            client.unregister_system_shared_memory(name)
            shared_memory.destroy_shared_memory_region(region)
        client.close()
