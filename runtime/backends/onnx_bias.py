"""Sets the biases of a quantised network so that each layer answers as FP32 in the mean.

Rounding is not fair to a channel: its weights are rounded once, all to one side as it happens, and every picture is off by
about the same. The layers after it are fed what is off and add their own. So layers are set in their order, each fed by
those before as they are set: all at once would take the same error out again and again. It costs nothing at run time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .onnx_ranges import Feed, bytes_session, mean

SET = ("Conv", "ConvTranspose", "Gemm")     # layers with a bias for each channel, which is axis 1


def biased(graph: Any) -> None:
    """Give every layer of SET a bias of its own: zeros where it has none, a copy where two share one."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in graph.initializer}
    taken: set[str] = set()
    for node in graph.node:
        if node.op_type not in SET or len(node.input) < 2 or node.input[1] not in stored:
            continue
        name = node.input[2] if len(node.input) > 2 else ""
        if name and (name not in stored or name not in taken):
            taken.add(name)
            continue
        values = numpy_helper.to_array(stored[name]) if name else np.zeros(channels(node, stored[node.input[1]]), np.float32)
        own = f"{node.name}_own_bias"
        graph.initializer.append(numpy_helper.from_array(np.array(values), own))
        del node.input[2:]
        node.input.append(own)


def channels(node: Any, weights: Any) -> int:
    """How many channels a layer puts out."""
    given = {a.name: a.i for a in node.attribute}
    if node.op_type == "ConvTranspose":
        return int(weights.dims[1] * given.get("group", 1))
    if node.op_type == "Gemm":
        return int(weights.dims[0 if given.get("transB") else 1])
    return int(weights.dims[0])


@dataclass(frozen=True)
class Piece:
    """Nodes in order of running, and the layer that ends them."""

    nodes: list[Any]
    layer: Any


def settle(path: Path, feeds: Sequence[Feed], wanted: Mapping[str, np.ndarray]) -> None:
    """Change the biases of the network at `path`: of each layer of `wanted` the mean output on `feeds` becomes the one given.

    `wanted` has float64 (channels,) by the layer's name. Only one piece of the network runs at a time, on all feeds.
    """
    import onnx

    model = onnx.load(path)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    dequantised = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    cut = list(pieces(model.graph, wanted))
    last = {name: k for k, piece in enumerate(cut) for node in piece.nodes for name in reads(node)}
    live: list[dict[str, np.ndarray]] = [dict(feed) for feed in feeds]
    for k, piece in enumerate(cut):
        seen = run(model, piece, stored, live, {name for name, use in last.items() if use > k})
        shift = shifted(piece.layer, wanted[piece.layer.name] - seen, stored, dequantised)
        for tensors in live:
            out = tensors[piece.layer.output[0]]
            out += shift.astype(np.float32).reshape(-1, *[1] * (out.ndim - 2))
            for name in [name for name in tensors if last.get(name, -1) <= k]:
                del tensors[name]
    onnx.save(model, path)


def pieces(graph: Any, wanted: Mapping[str, np.ndarray]) -> Iterator[Piece]:
    """The graph in order of running, cut behind every layer of `wanted`; what comes after the last is left out."""
    known = {t.name for t in graph.initializer} | {entry.name for entry in graph.input} | {""}
    left, nodes = list(graph.node), []
    while left:
        waiting = []
        for node in left:
            if not known.issuperset(reads(node)):
                waiting.append(node)
                continue
            known.update(node.output)
            nodes.append(node)
            if node.name in wanted:
                yield Piece(nodes, node)
                nodes = []
        if len(waiting) == len(left):
            raise ValueError(f"the nodes {[node.name for node in left][:5]} wait for one another")
        left = waiting


def reads(node: Any) -> set[str]:
    """The tensors that a node takes, those inside of its branches and loops included."""
    inner = [n for a in node.attribute for g in (a.g, *a.graphs) for n in g.node]
    made = {name for n in inner for name in n.output}
    bodies = [g for a in node.attribute for g in (a.g, *a.graphs)]
    made |= {entry.name for g in bodies for entry in (*g.input, *g.initializer)}
    return (set(node.input) | {name for n in inner for name in reads(n)} - made) - {""}


def run(model: Any, piece: Piece, stored: Mapping[str, Any], live: list[dict[str, np.ndarray]], later: set[str]) -> np.ndarray:
    """Add to `live` what the piece makes and is used `later`, its layer's output always; the mean of that by channel."""
    from onnx import helper

    made = {name for node in piece.nodes for name in node.output if name}
    used = set().union(*(reads(node) for node in piece.nodes))
    taken = sorted(used - made - stored.keys())
    out = piece.layer.output[0]
    kept = [out, *sorted((made & later) - {out})]
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(live[0][name].dtype), None) for name in taken]
    graph = helper.make_graph(piece.nodes, "piece", inputs, [helper.make_empty_tensor_value_info(name) for name in kept],
                              [stored[name] for name in sorted(used & stored.keys())])
    session = bytes_session(helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
                            .SerializeToString())
    total: Any = 0.0
    for tensors in live:
        tensors.update(zip(kept, session.run(kept, {name: tensors[name] for name in taken}), strict=True))
        total = total + mean(tensors[out])
    return np.asarray(total / len(live))


def shifted(layer: Any, shift: np.ndarray, stored: Mapping[str, Any], dequantised: Mapping[str, Any]) -> np.ndarray:
    """Add `shift` to a layer's bias, in whole steps where that is quantised; what was really added."""
    from onnx import numpy_helper

    name = layer.input[2]
    if name in stored:
        tensor, step = stored[name], None
    else:
        source = dequantised[name]
        tensor, step = stored[source.input[0]], numpy_helper.to_array(stored[source.input[1]]).astype(np.float64)
    values = numpy_helper.to_array(tensor)
    added = shift if step is None else np.rint(shift / step)
    tensor.CopyFrom(numpy_helper.from_array((values + added).astype(values.dtype), tensor.name))
    return added if step is None else added * step
