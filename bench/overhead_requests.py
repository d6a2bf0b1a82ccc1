"""What the overhead bench asks our server: the same tensors and pictures as its peers get, in our protocols."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..models.bundle import Bundle, TensorSpec
from ..models.inspect.publish import publish
from ..models.make import nets
from ..models.make.onnx_models import identity
from .client import request_bytes

SIDE = 224
CLASSES = 1280                    # values that the network gives


def oip(model: str, name: str, shape: tuple[int, ...], data: bytes, output: str) -> bytes:
    """A binary OIP request with one float32 tensor in and one out."""
    header = {"inputs": [{"name": name, "shape": list(shape), "datatype": "FP32",
                          "parameters": {"binary_data_size": len(data)}}],
              "outputs": [{"name": output, "parameters": {"binary_data": True}}]}
    text = json.dumps(header, separators=(",", ":")).encode()
    return request_bytes(f"/v2/models/{model}/infer", text + data, {
        "Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream"})


def identity_request() -> bytes:
    """16 float32, which come back."""
    return oip("identity", "INPUT0", (1, 16), np.arange(16, dtype=np.float32).tobytes(), "OUTPUT0")


def net_request() -> bytes:
    """A tensor of 602,112 bytes for the network."""
    return oip("net", "image", (1, 3, SIDE, SIDE), bytes(4 * 3 * SIDE * SIDE), "features")


def classify_request(jpeg: bytes) -> bytes:
    """A picture whose five best classes are asked."""
    return request_bytes("/v1/classify/shown", jpeg, {"Content-Type": "image/jpeg"})


def make_models(root: Path, files: Path) -> None:
    """Write the peers' identity.onnx and net.onnx to `files`, and the same as models for our server to `root`.

    `identity` and `net` take tensors; `shown` is the network as a classifier of pictures.
    """
    files.mkdir(parents=True)
    identity(files / "identity.onnx", (16,), "float32")
    network = nets.features(files / "net.onnx", "mobile", SIDE)
    for name in ("identity", "net"):
        (root / name / "1").mkdir(parents=True)
        (root / name / "1" / "model.onnx").write_bytes((files / f"{name}.onnx").read_bytes())

    def write(folder: Path) -> tuple[str, ...]:
        (folder / "model.onnx").write_bytes(network.read_bytes())
        return ("model.onnx",)
    picture = {"input": "image", "height": SIDE, "width": SIDE, "scale": [1 / 58] * 3, "bias": [-2.0] * 3}
    publish(Bundle("shown", "1", "classifier", root, (TensorSpec("image", "float32", (3, SIDE, SIDE)),),
                   (TensorSpec("features", "float32", (CLASSES,)),), {("onnx", "fp32"): "model.onnx"}, max_batch=8,
                   params={"picture": picture}, licence="made by models/make/nets.py"), write, root)
