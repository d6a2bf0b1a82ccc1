"""Writes ONNX files byte by byte, so that making a test model needs no package beyond NumPy."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

# Numbers of onnx.proto3, fixed for good by the format.
ELEMENT = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bytes": 8, "bool": 9,
    "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "bfloat16": 16,
}
IR_VERSION, OPSET = 8, 17
Shape = Sequence[int | str]   # text is the name of a free dimension


def _varint(number: int) -> bytes:
    number &= 0xFFFFFFFFFFFFFFFF   # negative numbers are written as 64-bit two's complement
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _int(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def value(name: str, dtype: str, shape: Shape) -> bytes:
    """An input or output of the graph (ValueInfoProto)."""
    dims = b"".join(_bytes(1, _int(1, d) if isinstance(d, int) else _bytes(2, d)) for d in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, ELEMENT[dtype]) + _bytes(2, dims)))


def tensor(name: str, array: np.ndarray) -> bytes:
    """A constant (TensorProto) with its values in raw little-endian bytes."""
    dims = b"".join(_int(1, d) for d in array.shape)
    raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return dims + _int(2, ELEMENT[array.dtype.name]) + _bytes(8, name) + _bytes(9, raw)


def _attribute(name: str, item: int | float | str | Sequence[int]) -> bytes:
    if isinstance(item, int):
        return _bytes(1, name) + _int(3, item) + _int(20, 2)
    if isinstance(item, float):
        return _bytes(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", item) + _int(20, 1)
    if isinstance(item, str):
        return _bytes(1, name) + _bytes(4, item) + _int(20, 3)
    return _bytes(1, name) + b"".join(_int(8, i) for i in item) + _int(20, 7)


def node(op: str, inputs: Sequence[str], outputs: Sequence[str],
         attributes: Mapping[str, int | float | str | Sequence[int]] | None = None) -> bytes:
    """One operator (NodeProto); attributes are numbers, texts or lists of whole numbers."""
    listed = b"".join(_bytes(5, _attribute(k, v)) for k, v in (attributes or {}).items())
    return (b"".join(_bytes(1, i) for i in inputs) + b"".join(_bytes(2, o) for o in outputs)
            + _bytes(3, outputs[0]) + _bytes(4, op) + listed)


def model(name: str, nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes],
          constants: Sequence[bytes] = ()) -> bytes:
    """A whole model (ModelProto)."""
    graph = (b"".join(_bytes(1, n) for n in nodes) + _bytes(2, name) + b"".join(_bytes(5, c) for c in constants)
             + b"".join(_bytes(11, i) for i in inputs) + b"".join(_bytes(12, o) for o in outputs))
    return _int(1, IR_VERSION) + _bytes(2, "aisle") + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, OPSET))


def write(path: Path | str, name: str, nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes],
          constants: Sequence[bytes] = ()) -> Path:
    """Write a whole model and return its path; the folder is made where it lacks."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model(name, nodes, inputs, outputs, constants))
    return path
