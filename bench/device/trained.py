"""Bodies of trained networks in DATA/backbones as FP32 ONNX files, whatever form they are stored in, for heads to be fitted on.

Quantised files are undone: weights become the floats they stand for, roundings of activations are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 224
OPSET = 17


@dataclass(frozen=True)
class Stored:
    """A file, the tensor behind which its own head begins, and how pictures are fed to it: v * scale + bias, of 0..255."""

    file: str
    features: str
    scale: tuple[float, float, float]
    bias: tuple[float, float, float]
    rgb: bool


HALF = (1 / 128,) * 3, (-1.0,) * 3
STORED = {
    "mobilenet v2": Stored("mobilenet_v2_1.0_224_qdq.onnx", "AveragePool", *HALF, True),
    "mobilenet v1": Stored("mobilenet_v1_1.0_224_embedding_qdq.onnx", "AveragePool", *HALF, True),
    "squeezenet": Stored("squeezenet_fp16.onnx", "Dropout", (1.0,) * 3, (-104.0, -117.0, -123.0), False),
}


def body(folder: Path, stored: Stored) -> tuple[list[Any], list[Any]]:
    """(nodes, weights) from `image` float32 (batch, 3, 224, 224) to `features` (batch, channels), pooled over places."""
    import onnx
    from onnx import helper, numpy_helper

    graph = onnx.load(folder / stored.file).graph
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    renamed = {next(entry.name for entry in graph.input if entry.name not in arrays): "image"}     # old files list weights too
    nodes: list[Any] = []
    for node in graph.node:
        given = [renamed.get(name, name) for name in node.input]
        if node.op_type == stored.features:
            nodes += [helper.make_node("GlobalAveragePool", given[:1], ["pooled"], "pool"),
                      helper.make_node("Flatten", ["pooled"], ["features"], "flatten")]
            break
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            arrays[node.output[0]] = floats(node, arrays)
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear", "Transpose"):      # the one transpose is of the input
            renamed[node.output[0]] = given[0]
        else:
            made = [renamed.setdefault(name, f"t{len(renamed)}") for name in node.output]
            kept = helper.make_node(node.op_type, given, made, f"{node.op_type}_{len(nodes)}")
            kept.attribute.extend(node.attribute)
            nodes.append(kept)
    used = {name for node in nodes for name in node.input if name in arrays}
    return nodes, [numpy_helper.from_array(np.array(arrays[name], np.float32), name) for name in sorted(used)]


def floats(node: Any, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """What a DequantizeLinear of stored weights gives, float32."""
    values, step = arrays[node.input[0]].astype(np.float64), arrays[node.input[1]].astype(np.float64)
    zero = arrays[node.input[2]].astype(np.float64) if len(node.input) > 2 and node.input[2] else np.zeros_like(step)
    if step.size > 1:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        step, zero = (a.reshape([-1 if i == axis else 1 for i in range(values.ndim)]) for a in (step, zero))
    return ((values - zero) * step).astype(np.float32)


def write(path: Path, nodes: Sequence[Any], weights: Sequence[Any], head: tuple[np.ndarray, np.ndarray] | None) -> Path:
    """The body alone, with output `features`, or with a head and output `scores`.

    `head` is (weights float32 (channels, classes), bias float32 (classes,)).
    """
    import onnx
    from onnx import helper, numpy_helper

    nodes, weights, out = list(nodes), list(weights), "features"
    if head is not None:
        out = "scores"
        weights += [numpy_helper.from_array(np.asarray(array, np.float32), name)
                    for array, name in zip(head, ("head_w", "head_b"), strict=True)]
        nodes.append(helper.make_node("Gemm", ["features", "head_w", "head_b"], ["scores"], "head"))
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(nodes, "trained", [helper.make_tensor_value_info("image", kind, ["batch", 3, SIZE, SIZE])],
                              [helper.make_tensor_value_info(out, kind, ["batch", head[0].shape[1] if head else "channels"])],
                              weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), path)
    return path
