"""Which edges an area touches."""

from __future__ import annotations

import numpy as np

from .network import Network
from .shapes import points_of


def touching(network: Network, corners: np.ndarray) -> np.ndarray:
    """Edges (int32) with a point inside the polygon `corners` float64 (k, 2) of x, y, or crossing its border.

    Even-odd rule; ValueError for fewer than three corners or corners that are not finite.
    """
    if corners.ndim != 2 or corners.shape[0] < 3 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise ValueError(f"expected at least three finite corners of an area, got {corners.tolist()}")
    ax, ay, bx, by, edge = _pieces(network)
    low, high = corners.min(axis=0), corners.max(axis=0)
    near = (np.maximum(ax, bx) >= low[0]) & (np.minimum(ax, bx) <= high[0])
    near &= (np.maximum(ay, by) >= low[1]) & (np.minimum(ay, by) <= high[1])
    ax, ay, bx, by, edge = (v[near] for v in (ax, ay, bx, by, edge))
    hit = _within(corners, ax, ay) | _within(corners, bx, by)
    for (cx, cy), (dx, dy) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        hit |= _cross(ax, ay, bx, by, cx, cy, dx, dy)
    return np.unique(edge[hit]).astype(np.int32)


def _pieces(network: Network) -> tuple[np.ndarray, ...]:
    """Straight pieces of all edges: ends and edge."""
    xy, count = points_of(network, np.arange(network.edges))
    last = np.zeros(len(xy), bool)
    last[np.cumsum(count) - 1] = True
    piece = np.flatnonzero(~last)
    return (*xy[piece].T, *xy[piece + 1].T, np.repeat(np.arange(len(count)), count)[piece])


def _within(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    inside = np.zeros(len(x), bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside


def _cross(ax: np.ndarray, ay: np.ndarray, bx: np.ndarray, by: np.ndarray, cx: float, cy: float, dx: float, dy: float,
           ) -> np.ndarray:
    """Whether each piece a-b crosses c-d."""
    def turn(px: np.ndarray, py: np.ndarray, qx: np.ndarray, qy: np.ndarray, rx: np.ndarray, ry: np.ndarray) -> np.ndarray:
        return (qx - px) * (ry - py) - (qy - py) * (rx - px)
    c, d = (np.full(len(ax), cx), np.full(len(ax), cy)), (np.full(len(ax), dx), np.full(len(ax), dy))
    return ((turn(*c, *d, ax, ay) * turn(*c, *d, bx, by) <= 0) & (turn(ax, ay, bx, by, *c) * turn(ax, ay, bx, by, *d) <= 0)
            & ((ax != bx) | (ay != by)))
