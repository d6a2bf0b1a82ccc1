"""A way as a line: the points of its edges one after another, and a line as a short text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 0          # copies and whole numbers: every variant gives the same bits
GROUPS = 10            # bytes that one number takes at most, for values below LIMIT
LIMIT = 2.0**47
_follow = Op(__package__, "follow")
_encode = Op(__package__, "encode")


def follow(edges: np.ndarray, ends: tuple[np.ndarray, np.ndarray], node: tuple[np.ndarray, np.ndarray], first: np.ndarray,
           shape: tuple[np.ndarray, np.ndarray], *, out: np.ndarray) -> None:
    """The points of `edges` int32 (k,), of each its tail where it is the first, its inner points and its head.

    `ends` are tail and head of every edge, int32 (e,); `node` x and y of every node, float64 (n,); the inner points of edge i
    are first[i] : first[i + 1] (int32, e + 1) of `shape`, x and y, float64 (points,). `out` float64 (m, 2), m being 1 and of
    each edge its inner points and 1 (0 for no edges). Edges that do not touch are joined all the same. ValueError says what
    does not fit.
    """
    _check.array(edges, "edges", "int32", (None,))
    _check.array(ends[0], "ends", "int32", (None,))
    _check.array(ends[1], "ends", "int32", ends[0].shape)
    _check.array(first, "first", "int32", (len(ends[0]) + 1,))
    for name, (x, y) in (("node", node), ("shape", shape)):
        _check.array(x, name, "float64", (None,))
        _check.array(y, name, "float64", x.shape)
    _check.array(out, "out", "float64", (None, 2), writable=True)
    wrong: int = _follow(edges, *ends, *node, first, *shape, out)
    if wrong >= 0:
        got = f"room for {len(out)}" if wrong == len(edges) else f"edge {edges[wrong]} at place {wrong}"
        raise ValueError(f"expected edges from 0 to {len(ends[0]) - 1} whose nodes and points are there, and room for just "
                         f"those points, got {got} - at `edges` or `out`")


def encode(points: np.ndarray, scale: float, *, out: np.ndarray) -> int:
    """Google's encoded polyline of `points` float64 (n, 2) of x, y times `scale`, rounded half to even; y comes first.

    Into `out` uint8 (m,), m at least 2 * GROUPS * n; how many bytes it took, all of them ASCII. ValueError for what is not
    finite or, scaled, not below LIMIT.
    """
    _check.array(points, "points", "float64", (None, 2))
    _check.number(scale, "scale", 1e-9, 1e9)
    _check.array(out, "out", "uint8", (None,), writable=True)
    if len(out) < 2 * GROUPS * len(points):
        raise ValueError(f"expected room for {2 * GROUPS * len(points)} bytes, got {len(out)} - at `out`")
    count: int = _encode(points, float(scale), out)
    if count < 0:
        raise ValueError(f"expected finite numbers below {LIMIT / scale:g}, got {points[-1 - count].tolist()} - at point "
                         f"{-1 - count} of `points`")
    return count


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Maps and ways (arguments of `follow` without `out`): no edges, one, many, with and without inner points."""
    for nodes, edges, inner, length in ((1, 0, 0, 0), (2, 1, 0, 1), (2, 1, 5, 1), (9, 30, 3, 12), (50, 200, 0, 40),
                                        (50, 200, 9, 80)):
        count = rng.integers(0, inner + 1, edges)
        first = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
        yield {"edges": rng.integers(0, max(edges, 1), length, dtype=np.int32),
               "ends": tuple(rng.integers(0, nodes, edges, dtype=np.int32) for _ in "ab"),
               "node": tuple(rng.normal(0, 50, nodes) for _ in "xy"), "first": first,
               "shape": tuple(rng.normal(0, 50, int(first[-1])) for _ in "xy")}


__all__ = ["GROUPS", "LIMIT", "TOLERANCE", "cases", "encode", "follow"]
