"""Nodes, edges and forbidden turns become a network: every way into it, from streets, floors or lists, ends here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .expand import expanded
from .network import ARRAYS, Network


def assemble(x: np.ndarray, y: np.ndarray, tail: np.ndarray, head: np.ndarray, cost: np.ndarray, length: np.ndarray, *,
             twin: np.ndarray | None = None, way: np.ndarray | None = None, kind: np.ndarray | None = None,
             name: np.ndarray | None = None, shapes: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
             forbidden: Iterable[Sequence[int]] = (), **meta: Any) -> Network:
    """A network (without topology) of nodes at x, y and directed edges; lengths and units as `Network` says.

    `twin`, if not given, is found among the edges that join the same nodes. `forbidden` are edges, two or more, that must
    not follow each other in this order. `meta` goes into the network as it is (frame, names, kinds, profile, ...).
    """
    edges = len(tail)
    states, arcs = expanded(len(x), tail, head, forbidden)
    zeros = np.zeros(edges + 1, np.int32)
    first, shape_x, shape_y = shapes if shapes is not None else (zeros, np.empty(0), np.empty(0))
    arrays = {
        "node_x": np.asarray(x, np.float64), "node_y": np.asarray(y, np.float64),
        "edge_tail": tail, "edge_head": head, "edge_cost": cost, "edge_length": length,
        "edge_twin": _twins(tail, head, way) if twin is None else twin,
        "edge_way": np.arange(edges) if way is None else way,
        "edge_kind": np.zeros(edges) if kind is None else kind,
        "edge_name": np.full(edges, -1) if name is None else name,
        "shape_first": first, "shape_x": np.asarray(shape_x, np.float64), "shape_y": np.asarray(shape_y, np.float64),
        "arc_tail": arcs[0], "arc_head": arcs[1], "arc_edge": arcs[2], "state_node": states,
    }
    whole = {name: np.ascontiguousarray(value, ARRAYS[name][0]) for name, value in arrays.items()}
    meta.setdefault("kinds", ("edge",))
    return Network(whole, **meta)


def _twins(tail: np.ndarray, head: np.ndarray, way: np.ndarray | None) -> np.ndarray:
    """For each edge the one the other way between the same nodes (and of the same way), or -1."""
    twin = np.full(len(tail), -1, np.int32)
    waiting: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    ways = np.zeros(len(tail), np.int64) if way is None else way
    for edge, (a, b, w) in enumerate(zip(tail.tolist(), head.tolist(), ways.tolist(), strict=True)):
        back = waiting.get((b, a, w))
        if back and a != b:
            twin[edge] = back.pop(0)
            twin[twin[edge]] = edge
        else:
            waiting[a, b, w].append(edge)
    return twin
