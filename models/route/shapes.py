"""The points of many edges at once."""

from __future__ import annotations

import numpy as np

from .network import Network


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


def joined(xy: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The points of edges that follow each other, the first point of each left out: it is the last one of the edge before."""
    keep = np.ones(len(xy), bool)
    keep[np.cumsum(counts) - counts] = False
    return np.asarray(xy[keep])
