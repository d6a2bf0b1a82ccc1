"""Small deterministic ONNX models, so that tests, the demo and the benches download nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .onnx_proto import node, tensor, value, write

BATCH = "batch"


def identity(path: Path | str, shape: Sequence[int | str] = (16,), dtype: str = "float32", *, batch: bool = True,
             input_name: str = "INPUT0", output_name: str = "OUTPUT0") -> Path:
    """Write a model whose output is its input.

    `shape` is one row, without the batch axis; text names a free dimension. `dtype` is one of `models.bundle.DTYPES`
    ("bytes" makes a string tensor). With `batch` a free first axis `batch` is added.
    """
    whole: list[int | str] = [*([BATCH] if batch else []), *shape]
    return write(path, "identity", [node("Identity", [input_name], [output_name])],
                 [value(input_name, dtype, whole)], [value(output_name, dtype, whole)])


def add_sub(path: Path | str, length: int = 16, dtype: str = "int32", *, batch: bool = True) -> Path:
    """Write INPUT0, INPUT1 -> OUTPUT0 (sum), OUTPUT1 (difference), each (batch, length), as `simple` does."""
    whole: list[int | str] = [*([BATCH] if batch else []), length]
    nodes = [node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]), node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"])]
    return write(path, "add_sub", nodes, [value(n, dtype, whole) for n in ("INPUT0", "INPUT1")],
                 [value(n, dtype, whole) for n in ("OUTPUT0", "OUTPUT1")])


def conv_net(path: Path | str, size: int = 64, classes: int = 4, *, seed: int = 7) -> Path:
    """Write a small convolutional classifier with random weights of `seed`.

    `image` float32 (batch, 3, size, size), `size` a multiple of 4 -> `features` float32 (batch, 16, size/4, size/4)
    and `scores` float32 (batch, classes), which sum to 1 in each row.
    """
    if size < 4 or size % 4:
        raise ValueError(f"expected a size that is a multiple of 4, got {size} - at `size`")
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = [tensor("w1", weight(8, 3, 3, 3)), tensor("b1", weight(8)), tensor("w2", weight(16, 8, 3, 3)),
                 tensor("b2", weight(16)), tensor("w3", weight(classes, 16).T.copy()), tensor("b3", weight(classes))]
    down = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [node("Conv", ["image", "w1", "b1"], ["c1"], down), node("Relu", ["c1"], ["r1"]),
             node("Conv", ["r1", "w2", "b2"], ["c2"], down), node("Relu", ["c2"], ["features"]),
             node("GlobalAveragePool", ["features"], ["p"]), node("Flatten", ["p"], ["f"], {"axis": 1}),
             node("Gemm", ["f", "w3", "b3"], ["logits"]), node("Softmax", ["logits"], ["scores"], {"axis": 1})]
    return write(path, "conv_net", nodes, [value("image", "float32", [BATCH, 3, size, size])],
                 [value("features", "float32", [BATCH, 16, size // 4, size // 4]),
                  value("scores", "float32", [BATCH, classes])], constants)
