"""The points of many edges at once."""

from __future__ import annotations

import numpy as np

from ...kernels import street_line
from .network import Network

LINE = ("edge_tail", "edge_head", "node_x", "node_y", "shape_first", "shape_x", "shape_y")


def points_of(network: Network, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of edges from tail to head, one edge after another, float64 (points, 2) of x, y; and how many each has."""
    a = network.arrays
    first = np.asarray(a["shape_first"])
    begin = first[edges].astype(np.int64)
    counts = first[edges + 1] - begin + 2
    start = np.cumsum(counts) - counts
    total = int(counts.sum())
    xy = np.empty((total, 2))
    for column, inner, nodes in ((0, "shape_x", "node_x"), (1, "shape_y", "node_y")):
        if len(a[inner]):        # the ends of edges are no inner points: what is taken for them is written over
            place = np.repeat(begin - start - 1, counts) + np.arange(total)
            xy[:, column] = np.take(np.asarray(a[inner]), place, mode="clip")
        xy[start, column] = np.asarray(a[nodes])[np.asarray(a["edge_tail"])[edges]]
        xy[start + counts - 1, column] = np.asarray(a[nodes])[np.asarray(a["edge_head"])[edges]]
    return xy, counts


def line_of(network: Network, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of edges that follow each other, float64 (points, 2), where they meet once; and how many each has by itself.

    ValueError for an edge that is not whole on the map.
    """
    a = {name: np.asarray(network.arrays[name]) for name in LINE}
    edges = np.ascontiguousarray(edges, np.int32)
    first = a["shape_first"]
    counts = first[edges + 1] - first[edges] + 2
    out = np.empty((int(counts.sum()) - len(edges) + 1 if len(edges) else 0, 2))
    street_line.follow(edges, (a["edge_tail"], a["edge_head"]), (a["node_x"], a["node_y"]), first, (a["shape_x"], a["shape_y"]),
                       out=out)
    return out, counts
