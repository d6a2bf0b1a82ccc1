"""The local lane: a cheap model's round trip beside the bare engine, and a large tensor beside system shared memory."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
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
LARGE_GOAL = "<= 1/3 of the peer's time"
RING = 3     # places that pictures take turns in: writing again what the other core has just read costs up to three times more
TRITON = "tritonclient, system shared memory"
ENGINE = "bare session.run in the client"
ECHO = "bare socket echo"
ECHO_PROGRAM = """
import socket, sys
sock = socket.socket(fileno=int(sys.argv[1]))
while data := sock.recv(16384):
    sock.send(data)
"""


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
    """p50 and p99 of 16 numbers there and back, by the prepared call and by the plain one; and of a bare echo."""
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
    seen: dict[str, list[np.ndarray]] = {name: [] for name in (*ways, ECHO)}
    with echo() as ways[ECHO]:
        for way in ways.values():
            times(way, 300)
        for _ in tqdm(range(rounds), desc="identity", disable=None):
            for name, way in ways.items():
                seen[name].append(times(way, count))
    call.close()
    bare = [float(np.percentile(t, 50)) for t in seen.pop(ENGINE)]
    for name, spent in seen.items():
        yield from trip_rows(name, spent, bare)


@contextlib.contextmanager
def echo() -> Iterator[Callable[[], Any]]:
    """The least that any lane could cost: a message of a call's size there and back, both sides asleep in between."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number, message = theirs.fileno(), bytes(136)
    process = subprocess.Popen([sys.executable, "-c", ECHO_PROGRAM, str(number)], pass_fds=[number],
                               preexec_fn=lambda: os.sched_setaffinity(0, cores()[0]))
    theirs.close()

    def ask() -> bytes:
        ours.send(message)
        return ours.recv(16384)

    try:
        yield ask
    finally:
        ours.close()
        process.wait(10)


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

class Ways:
    """A picture copied into one of RING places of shared memory, and asked from there; `copy` and `ask` are timed apart."""

    def __init__(self, copy: Callable[[int], Any], ask: Callable[[int], np.ndarray]) -> None:
        self.copy = copy
        self.ask = ask
        self.copies: list[float] = []
        self.asks: list[float] = []

    @property
    def both(self) -> list[float]:
        """Copy and ask together, round by round."""
        return [copy + ask for copy, ask in zip(self.copies, self.asks, strict=True)]

    def round(self, count: int) -> None:
        """Keep the medians of `count` pictures, in ms."""
        spent = np.empty((count, 3))
        for i in range(count):
            spent[i, 0] = time.perf_counter_ns()
            self.copy(i % RING)
            spent[i, 1] = time.perf_counter_ns()
            self.ask(i % RING)
            spent[i, 2] = time.perf_counter_ns()
        copy, ask = np.median(np.diff(spent, axis=1), axis=0) / 1e6
        self.copies.append(float(copy))
        self.asks.append(float(ask))


def large(options: Options, client: Client, port: int, case: str, model: str) -> Iterable[Row]:
    """A picture asked by the lane and by tritonclient: with the copy into shared memory, and lying there already."""
    case = f"3x640x640 FP32, {case}"
    picture = np.random.default_rng(1).random(SHAPE, np.float32)
    calls = [client.prepare(model, {"INPUT0": SHAPE}) for _ in range(RING)]
    ours = Ways(lambda i: calls[i].inputs["INPUT0"].__setitem__(slice(None), picture), lambda i: calls[i].run()["OUTPUT0"])
    try:
        with triton(port, model, picture) as theirs:
            for way in (ours, theirs):
                way.copy(0)
                np.testing.assert_array_equal(way.ask(0).ravel()[:16], picture.ravel()[:16])
            for _ in tqdm(range(5 if options.quick else 15), desc=case, disable=None):
                for way in (ours, theirs):
                    way.round(15 if options.quick else 40)
    except ImportError as error:
        yield Row(case, "p50 with the copy-in", None, "ms", peer=TRITON, goal=LARGE_GOAL,
                  note=f"the peer is not installed here: {error}; pip install 'tritonclient[http]'")
        return
    finally:
        for call in calls:
            call.close()
    yield large_row(case, "p50 with the copy-in", ours.both, theirs.both, LARGE_GOAL)
    yield large_row(case, "p50 of what lies there already", ours.asks, theirs.asks)


def large_row(case: str, metric: str, ours: list[float], theirs: list[float], goal: str | None = None) -> Row:
    """One figure beside the peer's."""
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    return Row(case, metric, statistics.median(ours), "ms", statistics.pstdev(ours), TRITON, statistics.median(theirs), ratio,
               goal, None if goal is None else ratio <= 1 / 3)


@contextlib.contextmanager
def triton(port: int, model: str, picture: np.ndarray) -> Iterator[Ways]:
    """The stock client with registered regions for pictures, and for what comes back."""
    import tritonclient.http as http
    from tritonclient.utils import shared_memory

    client, size = http.InferenceServerClient(f"127.0.0.1:{port}"), picture.nbytes
    names = [f"aisle-bench-{os.getpid()}-{model}-{i}" for i in range(2 * RING)]     # in and out by turns
    regions = [shared_memory.create_shared_memory_region(name, f"/{name}", size) for name in names]
    tensors = []
    try:
        for name in names:
            client.register_system_shared_memory(name, f"/{name}", size)
        for i in range(RING):
            tensors.append((http.InferInput("INPUT0", list(picture.shape), "FP32"), http.InferRequestedOutput("OUTPUT0")))
            tensors[i][0].set_shared_memory(names[2 * i], size)
            tensors[i][1].set_shared_memory(names[2 * i + 1], size)

        def ask(i: int) -> np.ndarray:
            shape = client.infer(model, [tensors[i][0]], outputs=[tensors[i][1]]).get_output("OUTPUT0")["shape"]
            found: np.ndarray = shared_memory.get_contents_as_numpy(regions[2 * i + 1], np.float32, shape)
            return found

        yield Ways(lambda i: shared_memory.set_shared_memory_region(regions[2 * i], [picture]), ask)
    finally:
        for name, region in zip(names, regions, strict=True):
            client.unregister_system_shared_memory(name)
            shared_memory.destroy_shared_memory_region(region)
        client.close()
