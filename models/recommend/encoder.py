"""The encoder of a visitor's history: its weights, the same sum in NumPy, and as an ONNX file in FP32 or INT8."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..make.onnx_proto import model, node, tensor, value

FAR = np.float32(-1e9)      # weight of an event that is not there, before the softmax
INPUT, OUTPUT = "history", "taste"


@dataclass(frozen=True)
class Weights:
    """One block of attention and one of two layers, all float32, with d values an event, h in the middle, length events.

    `place` (length, d), the newest event last. Layer norms `*_scale`, `*_shift` (d,). `query`, `key`, `value`, `out` (d, d)
    with `*_bias` (d,), `up` (d, h), `up_bias` (h,), `down` (h, d), `down_bias` (d,): inputs by outputs. An event counts
    `gain` times its vector; `heads` divide d.
    """

    place: np.ndarray
    first_scale: np.ndarray
    first_shift: np.ndarray
    query: np.ndarray
    query_bias: np.ndarray
    key: np.ndarray
    key_bias: np.ndarray
    value: np.ndarray
    value_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    second_scale: np.ndarray
    second_shift: np.ndarray
    up: np.ndarray
    up_bias: np.ndarray
    down: np.ndarray
    down_bias: np.ndarray
    last_scale: np.ndarray
    last_shift: np.ndarray
    gain: float = 1.0
    heads: int = 1

    @property
    def length(self) -> int:
        """Events a history has at most."""
        return len(self.place)

    @property
    def depth(self) -> int:
        """Values of an event and of a taste."""
        return int(self.place.shape[1])


def encode(weights: Weights, history: np.ndarray) -> np.ndarray:
    """What the ONNX file computes, in NumPy: float32 (batch, length, d) -> (batch, d). Rows of zeros are no events."""
    w = weights
    batch, length, d = history.shape
    there = np.abs(history).max(axis=2) > 0
    x = history * np.float32(w.gain) + w.place
    y = _norm(x, w.first_scale, w.first_shift)
    query = (y[:, -1:] @ w.query + w.query_bias).reshape(batch, 1, w.heads, -1)
    key = (y @ w.key + w.key_bias).reshape(batch, length, w.heads, -1)
    value = (y @ w.value + w.value_bias).reshape(batch, length, w.heads, -1)
    close = np.einsum("bqhc,blhc->bhql", query, key) / np.float32(np.sqrt(d // w.heads))
    close = close + np.where(there, np.float32(0), FAR)[:, None, None, :]
    close = np.exp(close - close.max(axis=-1, keepdims=True))
    close /= close.sum(axis=-1, keepdims=True)
    z = x[:, -1] + np.einsum("bhql,blhc->bqhc", close, value).reshape(batch, d) @ w.out + w.out_bias
    y = _norm(z, w.second_scale, w.second_shift)
    z = z + np.maximum(y @ w.up + w.up_bias, 0) @ w.down + w.down_bias
    return _norm(z, w.last_scale, w.last_shift).astype(np.float32)


def _norm(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    off = x - x.mean(axis=-1, keepdims=True)
    return off / np.sqrt(np.square(off).mean(axis=-1, keepdims=True) + np.float32(1e-5)) * scale + shift


# ---- as an ONNX file

def onnx(weights: Weights, precision: str = "fp32") -> bytes:
    """The encoder as an ONNX model: `history` float32 (batch, length, d) -> `taste` float32 (batch, d).

    "int8": the matrices are int8 with a scale for each output, what goes into them is quantised as it comes
    (DynamicQuantizeLinear); sums, norms and the softmax stay float32.
    """
    graph = _Graph(precision == "int8")
    w, d = weights, weights.depth
    there = graph.op("Greater", graph.op("ReduceMax", graph.op("Abs", INPUT), axes=[2]), graph.put(np.float32(0)))
    away = graph.op("Where", there, graph.put(np.float32(0)), graph.put(FAR))               # (batch, length, 1)
    x = graph.op("Add", graph.op("Mul", INPUT, graph.put(np.float32(w.gain))), graph.put(w.place))
    y = graph.norm(x, w.first_scale, w.first_shift)
    newest = graph.put(np.array(w.length - 1, np.int64))
    found = _attention(graph, w, y, graph.op("Gather", y, newest, axis=1), away)
    z = graph.op("Add", graph.op("Gather", x, newest, axis=1), found)
    y = graph.norm(z, w.second_scale, w.second_shift)
    y = graph.dense(graph.op("Relu", graph.dense(y, w.up, w.up_bias)), w.down, w.down_bias)
    graph.norm(graph.op("Add", z, y), w.last_scale, w.last_shift, OUTPUT)
    return model("encoder", graph.nodes, [value(INPUT, "float32", ["batch", w.length, d])],
                 [value(OUTPUT, "float32", ["batch", d])], graph.constants)


def _attention(graph: _Graph, w: Weights, y: str, last: str, away: str) -> str:
    """What the newest event takes from all: (batch, d), of y (batch, length, d) and its last row.

    With one query a head, no event needs a key or a value of its own: q (y K + k) = (q K') y + a constant that the softmax
    does not see, and the weights, whose sum is 1, may go through V after the events were added up.
    """
    d, heads = w.depth, w.heads
    by_head = np.float32(1 / np.sqrt(d // heads)) * w.key.reshape(d, heads, -1).transpose(1, 2, 0)    # (heads, d / heads, d)
    # query, then all heads' keys, as one matrix: (d, heads * d)
    both = np.concatenate([q @ k for q, k in zip(np.split(w.query, heads, 1), by_head, strict=True)], 1)
    bias = np.concatenate([q @ k for q, k in zip(np.split(w.query_bias, heads), by_head, strict=True)])
    shape = graph.put(np.array([0, heads, d], np.int64))
    asked = graph.op("Reshape", graph.dense(last, both, bias), shape)                                 # (batch, heads, d)
    close = graph.op("MatMul", y, graph.op("Transpose", asked, perm=[0, 2, 1]))                       # (batch, length, heads)
    close = graph.op("Softmax", graph.op("Add", close, away), axis=1)
    taken = graph.op("MatMul", graph.op("Transpose", close, perm=[0, 2, 1]), y)                       # (batch, heads, d)
    out = np.concatenate([v @ o for v, o in zip(np.split(w.value, heads, 1), np.split(w.out, heads), strict=True)])
    flat = graph.op("Reshape", taken, graph.put(np.array([0, heads * d], np.int64)))
    return graph.dense(flat, out, w.value_bias @ w.out + w.out_bias)


class _Graph:
    """The nodes and constants of a graph while it is written; every method returns the name of its result."""

    def __init__(self, whole: bool) -> None:
        self.whole, self.nodes, self.constants = whole, [], []  # type: bool, list[bytes], list[bytes]

    def put(self, array: np.ndarray | np.generic) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(tensor(name, np.asarray(array)))
        return name

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: int | list[int]) -> str:
        name = name or f"n{len(self.nodes)}"
        self.nodes.append(node(kind, inputs, [name], attributes))
        return name

    def norm(self, x: str, scale: np.ndarray, shift: np.ndarray, name: str = "") -> str:
        return self.op("LayerNormalization", x, self.put(scale), self.put(shift), name=name, axis=-1)

    def dense(self, x: str, matrix: np.ndarray, bias: np.ndarray) -> str:
        """x @ matrix + bias."""
        if not self.whole:
            return self.op("Add", self.op("MatMul", x, self.put(np.ascontiguousarray(matrix))), self.put(bias))
        scale = np.abs(matrix).max(axis=0) / np.float32(127)
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        codes = self.put(np.rint(matrix / scale).astype(np.int8))
        names = tuple(f"n{len(self.nodes)}{part}" for part in "qsz")
        self.nodes.append(node("DynamicQuantizeLinear", [x], names))
        product = self.op("Cast", self.op("MatMulInteger", names[0], codes, names[2]), to=1)
        factor = self.op("Mul", names[1], self.put(scale))
        return self.op("Add", self.op("Mul", product, factor), self.put(bias))
