"""Which inputs of a model may be read where somebody else can still change them.

A client of the lane owns its memory and may change it while a model runs. Arithmetic on what changes gives a wrong number;
an operator that looks twice, to count and then to write, or that takes a number as a place, would leave its memory. So an
input may be lent only where every operator that reads it is known to do neither.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path

from .onnx_file import fields_of

# Operators that take their first input as plain numbers, one pass of arithmetic each.
FIRST = frozenset((
    "Abs", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Conv", "Exp", "Floor", "Gelu", "GlobalAveragePool",
    "GlobalMaxPool", "InstanceNormalization", "LayerNormalization", "LeakyRelu", "LpNormalization", "MaxPool", "Neg", "Pad",
    "QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Resize", "Sigmoid", "Slice", "Softmax",
    "Sqrt", "Tanh", "Transpose"))
ANY = frozenset(("Add", "Concat", "Div", "Gemm", "MatMul", "Max", "Min", "Mul", "Sub", "Sum"))
# Their result may lie in the same memory: what reads that must be as harmless.
SAME = frozenset(("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
GRAPH, NODE = 7, 1                       # fields of ModelProto and GraphProto
INPUT, OUTPUT, OP, ATTRIBUTE, DOMAIN = 1, 2, 4, 5, 7
GRAPH_ATTRIBUTES = (6, 11)               # fields of AttributeProto that hold subgraphs
Node = tuple[str, list[str], list[str]]  # operator, inputs, outputs


def lendable(path: Path, names: Iterable[str]) -> list[str]:
    """Those of the graph inputs `names` that may be lent, sorted; none where the graph has subgraphs. The file was checked."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        nodes = _nodes(data)
    return [] if nodes is None else sorted(name for name in names if _harmless(name, nodes))


def _harmless(name: str, nodes: list[Node]) -> bool:
    """Whether all that reads `name`, or what may be the same memory, is known arithmetic. Nodes come in order of use."""
    same = {name}
    for op, inputs, outputs in nodes:
        at = [i for i, given in enumerate(inputs) if given in same]
        if not at:
            continue
        if op in SAME and at == [0]:
            same.update(outputs)
        elif not (op in ANY or (op in FIRST and at == [0])):
            return False
    return True


def _nodes(data: mmap.mmap) -> list[Node] | None:
    """The nodes of the main graph; None where one holds a subgraph, which may read anything."""
    found: list[Node] = []
    for number, wire, low, high in fields_of(data, 0, len(data)):
        if (number, wire) != (GRAPH, 2):
            continue
        for inner, kind, first, last in fields_of(data, low, high):
            if (inner, kind) == (NODE, 2):
                node = _node(data, first, last)
                if node is None:
                    return None
                found.append(node)
    return found


def _node(data: mmap.mmap, start: int, end: int) -> Node | None:
    op, inputs, outputs = "", list[str](), list[str]()
    for number, wire, low, high in fields_of(data, start, end):
        if wire != 2:
            continue
        if number == ATTRIBUTE:
            if any(inner in GRAPH_ATTRIBUTES for inner, *_ in fields_of(data, low, high)):
                return None
        elif number == DOMAIN and data[low:high] not in (b"", b"ai.onnx"):
            op = "foreign"
        elif number == OP and op != "foreign":
            op = data[low:high].decode("utf-8", "replace")
        elif number in (INPUT, OUTPUT):
            (inputs if number == INPUT else outputs).append(data[low:high].decode("utf-8", "replace"))
    return op, inputs, outputs
