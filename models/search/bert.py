"""Writes the ONNX graph of a BERT sentence encoder from its weights, in FP32 or INT8, and runs the same in NumPy."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..bundle import BundleError
from ..make import onnx_proto as proto

PRECISIONS = ("int8", "fp32")
LARGEST_CODE = 63          # of INT8 weights: pairs of products then fit into 16 bits on CPUs without VNNI, too
FAR = -10_000.0            # added to the score of what is only filling
Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Shape:
    """What is read from config.json."""

    layers: int
    heads: int
    width: int
    epsilon: float


def read_shape(config: bytes) -> Shape:
    """Of the bytes of a config.json. BundleError where it is no BERT."""
    try:
        told = json.loads(config)
        good = told["model_type"] == "bert" and told.get("hidden_act") == "gelu"
        made = Shape(int(told["num_hidden_layers"]), int(told["num_attention_heads"]), int(told["hidden_size"]),
                     float(told["layer_norm_eps"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"config.json cannot be used: {error}") from None
    if not good:
        raise BundleError(f"expected a BERT with the activation gelu, got model_type {told['model_type']!r} with "
                          f"{told.get('hidden_act')!r}")
    return made


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """The float32 arrays of a safetensors file by name. BundleError for a damaged one."""
    try:
        size = struct.unpack("<Q", data[:8])[0]
        head = json.loads(data[8:8 + size])
        made = {}
        for name, entry in head.items():
            if name != "__metadata__" and entry["dtype"] == "F32":
                begin, end = (8 + size + at for at in entry["data_offsets"])
                made[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise BundleError(f"the safetensors file is damaged: {error}") from None
    return made


class Graph:
    """Collects nodes and constants; each method gives the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []
        self._count = 0

    def constant(self, array: np.ndarray) -> str:
        """A constant."""
        self._count += 1
        self.constants.append(proto.tensor(f"c{self._count}", array))
        return f"c{self._count}"

    def add(self, op: str, *inputs: str, count: int = 1, to: str = "", **attributes: int | float | str | Sequence[int]) -> str:
        """A node; the first of its outputs, the others have .1, .2 behind their name."""
        self._count += 1
        name = to or f"n{self._count}"
        if op == "Cast":
            attributes = {"to": proto.ELEMENT["float32"]}
        self.nodes.append(proto.node(op, inputs, [name, *(f"{name}.{i}" for i in range(1, count))], attributes))
        return name

    def linear(self, x: str, weight: np.ndarray, bias: np.ndarray, int8: bool) -> str:
        """x @ weight + bias; weight (in, out). INT8: weights by column, x by its range of the moment."""
        if not int8:
            return self.add("Add", self.add("MatMul", x, self.constant(weight)), self.constant(bias))
        scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / LARGEST_CODE
        codes = np.rint(weight / scale).astype(np.int8)
        q = self.add("DynamicQuantizeLinear", x, count=3)
        whole = self.add("MatMulInteger", q, self.constant(codes), f"{q}.2", self.constant(np.zeros((), np.int8)))
        scales = self.add("Mul", f"{q}.1", self.constant(scale.astype(np.float32)))
        return self.add("Add", self.add("Mul", self.add("Cast", whole), scales), self.constant(bias))

    def norm(self, x: str, weights: Weights, name: str, epsilon: float) -> str:
        """Layer normalisation of the last axis."""
        scale, bias = self.constant(weights[f"{name}.weight"]), self.constant(weights[f"{name}.bias"])
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)

    def number(self, value: float) -> str:
        """A float as a constant."""
        return self.constant(np.array(value, np.float32))


def merged(weights: Weights, at: str, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """Query, key and value as one matrix (d, 3 d) and bias; the query's scale is in it."""
    names = [f"{at}.attention.self.{part}" for part in ("query", "key", "value")]
    matrix = np.concatenate([weights[f"{name}.weight"].T for name in names], 1)
    bias = np.concatenate([weights[f"{name}.bias"] for name in names])
    width = len(bias) // 3
    matrix, bias = matrix.copy(), bias.copy()
    matrix[:, :width] /= math.sqrt(width // heads)
    bias[:width] /= math.sqrt(width // heads)
    return matrix, bias


def onnx_bytes(weights: Weights, shape: Shape, precision: str) -> bytes:
    """input_ids and attention_mask int64 (n, s) -> vector float32 (n, width): the mean of the last layer, of length 1."""
    g, int8 = Graph(), precision == "int8"
    zeros = g.constant(np.zeros(1, np.int64))
    length = g.add("Gather", g.add("Shape", "input_ids"), g.constant(np.ones(1, np.int64)))
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    x = g.add("Add", embedded(g, weights["embeddings.word_embeddings.weight"], int8),
        g.add("Slice", g.constant(places), zeros, length))
    x = g.norm(x, weights, "embeddings.LayerNorm", shape.epsilon)
    mask = g.add("Cast", "attention_mask")
    away = g.add("Mul", g.add("Sub", g.number(1.0), g.add("Unsqueeze", mask, g.constant(np.array([1, 2], np.int64)))),
        g.number(FAR))
    for layer in range(shape.layers):
        x = block(g, x, away, weights, f"encoder.layer.{layer}", shape, int8)
    along, one = g.constant(np.array([1], np.int64)), g.add("Unsqueeze", mask, g.constant(np.array([2], np.int64)))
    total = g.add("ReduceSum", g.add("Mul", x, one), along, keepdims=0)
    mean = g.add("Div", total, g.add("Max", g.add("ReduceSum", one, along, keepdims=0), g.number(1e-9)))
    size = g.add("ReduceL2", mean, axes=[1], keepdims=1)
    g.add("Div", mean, g.add("Max", size, g.number(1e-12)), to="vector")
    free: list[int | str] = ["n", "s"]
    return proto.model("encoder", g.nodes, [proto.value(name, "int64", free) for name in ("input_ids", "attention_mask")],
                       [proto.value("vector", "float32", ["n", shape.width])], g.constants)


def embedded(g: Graph, table: np.ndarray, int8: bool) -> str:
    """The rows of the words; INT8: codes and a scale for each row."""
    if not int8:
        return g.add("Gather", g.constant(table), "input_ids")
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127
    codes = g.add("Cast", g.add("Gather", g.constant(np.rint(table / scale).astype(np.int8)), "input_ids"))
    return g.add("Mul", codes, g.add("Gather", g.constant(scale.astype(np.float32)), "input_ids"))


def block(g: Graph, x: str, away: str, weights: Weights, at: str, shape: Shape, int8: bool) -> str:
    """One layer: attention, then two linear maps with a GELU between, each with its way around."""
    split = g.constant(np.array([0, 0, shape.heads, shape.width // shape.heads], np.int64))
    qkv = g.add("Split", g.linear(x, *merged(weights, at, shape.heads), int8), count=3, axis=2)
    q, k, v = (g.add("Transpose", g.add("Reshape", part, split), perm=perm)
               for part, perm in ((qkv, [0, 2, 1, 3]), (f"{qkv}.1", [0, 2, 3, 1]), (f"{qkv}.2", [0, 2, 1, 3])))
    scores = g.add("Softmax", g.add("Add", g.add("MatMul", q, k), away), axis=-1)
    joined = g.add("Reshape", g.add("Transpose", g.add("MatMul", scores, v), perm=[0, 2, 1, 3]),
                   g.constant(np.array([0, 0, shape.width], np.int64)))

    def linear(x: str, name: str) -> str:
        return g.linear(x, np.ascontiguousarray(weights[f"{at}.{name}.weight"].T), weights[f"{at}.{name}.bias"], int8)
    x = g.norm(g.add("Add", linear(joined, "attention.output.dense"), x), weights, f"{at}.attention.output.LayerNorm",
        shape.epsilon)
    h = linear(x, "intermediate.dense")
    erf = g.add("Add", g.add("Erf", g.add("Div", h, g.number(math.sqrt(2)))), g.number(1.0))
    h = g.add("Mul", g.add("Mul", h, erf), g.number(0.5))
    return g.norm(g.add("Add", linear(h, "output.dense"), x), weights, f"{at}.output.LayerNorm", shape.epsilon)


# ---- the same in NumPy: the truth that the graph is compared with

def plain_vectors(weights: Weights, shape: Shape, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The vectors of numbered texts, float32 (n, width)."""
    places = weights["embeddings.position_embeddings.weight"][:ids.shape[1]]
    x = weights["embeddings.word_embeddings.weight"][ids] + places + weights["embeddings.token_type_embeddings.weight"][0]
    x = plain_norm(x, weights, "embeddings.LayerNorm", shape.epsilon)
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"

        def linear(x: np.ndarray, name: str, at: str = at) -> np.ndarray:
            made: np.ndarray = x @ weights[f"{at}.{name}.weight"].T + weights[f"{at}.{name}.bias"]
            return made
        q, k, v = (linear(x, f"attention.self.{part}").reshape(*ids.shape, shape.heads, -1).transpose(0, 2, 1, 3)
                   for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(shape.width // shape.heads)
        scores = np.where(mask[:, None, None, :] > 0, scores, -np.inf)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        joined = (scores / scores.sum(axis=-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(*ids.shape, -1)
        x = plain_norm(linear(joined, "attention.output.dense") + x, weights, f"{at}.attention.output.LayerNorm", shape.epsilon)
        h = linear(x, "intermediate.dense")
        h = h * 0.5 * (1 + np.vectorize(math.erf, otypes=[np.float32])(h / math.sqrt(2)))
        x = plain_norm(linear(h, "output.dense") + x, weights, f"{at}.output.LayerNorm", shape.epsilon)
    mean = (x * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    made: np.ndarray = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
    return made


def plain_norm(x: np.ndarray, weights: Weights, name: str, epsilon: float) -> np.ndarray:
    """Layer normalisation."""
    x = x - x.mean(axis=-1, keepdims=True)
    made: np.ndarray = x / np.sqrt((x * x).mean(axis=-1,
        keepdims=True) + epsilon) * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return made

