"""A real server process over a folder of tiny models, for every test that talks to one over a socket."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aisle.models.bundle import Bundle, QueuePolicy, TensorSpec
from aisle.models.bundle_file import write_bundle_toml
from aisle.models.make import onnx_models
from aisle.models.make.onnx_proto import node, value, write

SEQUENCE_CONFIG = """
name: "sequence"
max_batch_size: 8
sequence_batching { control_input [
  { name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
  { name: "END" control [ { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 10 ] } ] },
  { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT32 } ] }
] }
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
parameters [ { key: "made_by" value: { string_value: "test" } } ]
"""
FREE_CONFIG = """
name: "free"
max_batch_size: 0
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1, 2 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1, 2 ] } ]
"""
LABEL_CONFIG = """
name: "labelled"
max_batch_size: 4
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "labels.txt" } ]
"""


@dataclass(frozen=True)
class Answer:
    """What the server sent back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of an error answer; fails where the answer is not one."""
        assert self.status >= 400 and self.headers["Content-Type"] == "application/json", (self.status, self.body)
        return str(self.json["error"])


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    host: str
    port: int
    models: Path

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None,
            connection: http.client.HTTPConnection | None = None) -> Answer:
        """One request; a dict or list is sent as JSON. Without `connection` on one of its own."""
        own = connection or self.connect()
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        own.request(method, path, data, headers or {})
        reply = own.getresponse()
        answer = Answer(reply.status, reply.headers, reply.read())
        if connection is None:
            own.close()
        return answer

    def wait_ready(self) -> None:
        for _ in range(1200):
            if self.ask("GET", "/v2/health/ready").status == 200:
                return
            time.sleep(0.05)
        raise AssertionError(self.ask("GET", "/healthz").body)


def null_bundle(root: Path, name: str, dtype: str, shape: tuple[int | None, ...], *, max_batch: int = 0,
                queue: QueuePolicy | None = None, optional: bool = False, **params: Any) -> None:
    """A bundle whose output is its input, without any engine."""
    folder = root / name / "1"
    folder.mkdir(parents=True)
    bundle = Bundle(name, "1", "model", folder, (TensorSpec("INPUT0", dtype, shape, optional),),
                    (TensorSpec("OUTPUT0", dtype, shape),), {("null", "fp32"): "model.null"}, max_batch, params,
                    queue=queue or QueuePolicy())
    (folder / "model.null").write_bytes(b"")
    write_bundle_toml(bundle, folder)


def make_models(root: Path) -> None:
    """Every kind of tensor and of batching that the protocol tests need."""
    def place(name: str) -> Path:
        folder = root / name / "1"
        folder.mkdir(parents=True)
        return folder / "model.onnx"

    onnx_models.identity(place("identity"))
    onnx_models.add_sub(place("simple"))
    onnx_models.conv_net(place("conv"))
    onnx_models.identity(place("text"), (4,), "bytes")
    onnx_models.identity(place("free"), ("n", 2), batch=False)
    for dtype in ("bool", "uint8", "uint64", "int8", "int64", "float16", "float64"):
        onnx_models.identity(place(f"identity_{dtype}"), (4,), dtype)
    null_bundle(root, "bf16", "bfloat16", (4,), max_batch=8)
    (root / "free" / "config.pbtxt").write_text(FREE_CONFIG)
    null_bundle(root, "one_text", "bytes", (1,))
    null_bundle(root, "scalar", "int32", ())
    null_bundle(root, "slow", "int32", (1,), max_batch=1, queue=QueuePolicy(max_requests=2), sleep_ms=300)
    null_bundle(root, "failing", "int32", (1,), max_batch=1, fail_every=1)
    onnx_models.identity(place("labelled"), (4,))
    (root / "labelled" / "config.pbtxt").write_text(LABEL_CONFIG)
    (root / "labelled" / "1" / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    (root / "labelled" / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    controls = ["INPUT", "START", "END", "CORRID"]
    write(place("sequence"), "sequence",
          [node("Add", ["INPUT", "START"], ["a"]), node("Add", ["a", "END"], ["b"]),
           node("Add", ["b", "CORRID"], ["OUTPUT"])],
          [value(n, "int32", ["batch", 1]) for n in controls], [value("OUTPUT", "int32", ["batch", 1])])
    (root / "sequence" / "config.pbtxt").write_text(SEQUENCE_CONFIG)


def start(models: Path, *arguments: str, ready: bool = True, **environment: str) -> Served:
    """A server process over that folder, on a free port; ready when this returns unless `ready` is false."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aisle.runtime", "serve", "--models", str(models), "--port", "0", *arguments],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})
    assert process.stdout is not None
    line = process.stdout.readline()
    address = next(word for word in line.split() if word.startswith("http://"))
    host, port = address.removeprefix("http://").rsplit(":", 1)
    served = Served(process, host, int(port), models)
    if ready:
        served.wait_ready()
    return served


@pytest.fixture(scope="session")
def null_model() -> Callable[..., None]:
    """Writes a bundle whose output is its input; see `null_bundle`."""
    return null_bundle


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Served]]:
    """Starts servers; each must still live at the end and stop cleanly."""
    running: list[Served] = []

    def launch_one(models: Path, *arguments: str, **how: Any) -> Served:
        running.append(start(models, *arguments, **how))
        return running[-1]

    yield launch_one
    for one in running:
        if one.process.poll() is None:
            one.process.terminate()
            assert one.process.wait(30) == 0


@pytest.fixture(scope="session")
def server(launch: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory) -> Served:
    """One server over the tiny models for the whole run; tests leave it as they found it."""
    models = tmp_path_factory.mktemp("tiny-models")
    make_models(models)
    return launch(models)
