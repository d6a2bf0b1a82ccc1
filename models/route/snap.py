"""The nearest street to a point: a grid of buckets over the pieces of all edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels import nearest_piece
from .network import INF, Network

EARTH_M = 6_371_008.8


@dataclass(frozen=True)
class Snap:
    """A place on the network: on `edge`, `fraction` (0 to 1) of its length from its tail, at x, y.

    `distance_m` is how far the asked point was; `side` where it lies as one goes along `edge`: "left", "right" or "on".
    """

    edge: int
    fraction: float
    x: float
    y: float
    distance_m: float
    side: str


class Snapper:
    """Answers `nearest` on one network. Coordinates are scaled to metres around the middle of the map."""

    def __init__(self, network: Network) -> None:
        self.network = network
        a = network.arrays
        self.scale: list[float] = scale(network).tolist()
        open_ = np.asarray(a["edge_cost"]) < INF
        twin = np.asarray(a["edge_twin"])
        chosen = open_ & ((twin < 0) | (twin > np.arange(len(twin))) | ~open_[twin])
        self._cut(np.flatnonzero(chosen))
        self._index: nearest_piece.Index = nearest_piece.index(self.ax, self.ay, self.bx, self.by)

    def _cut(self, edges: np.ndarray) -> None:
        """Straight pieces of the edges: ends, edge, and length of the edge before and in all."""
        a = self.network.arrays
        first = np.asarray(a["shape_first"], np.int64)
        count = (first[1:] - first[:-1])[edges] + 2
        start = np.cumsum(count) - count
        xy = np.empty((int(count.sum()), 2))
        inner = np.ones(len(xy), bool)
        for where, ends in ((start, a["edge_tail"]), (start + count - 1, a["edge_head"])):
            node = np.asarray(ends)[edges]
            xy[where] = np.stack([np.asarray(a["node_x"])[node], np.asarray(a["node_y"])[node]], 1)
            inner[where] = False
        within = np.flatnonzero(inner)
        owner = np.repeat(np.arange(len(edges)), count)
        offset = within - start[owner[within]] - 1 + first[edges[owner[within]]]
        xy[within] = np.stack([np.asarray(a["shape_x"])[offset], np.asarray(a["shape_y"])[offset]], 1)
        xy *= self.scale
        last = np.zeros(len(xy), bool)
        last[start + count - 1] = True
        piece = np.flatnonzero(~last)
        self.ax, self.ay = xy[piece].T.copy()
        self.bx, self.by = (xy[piece + 1] - xy[piece]).T.copy()
        length = np.hypot(self.bx, self.by)
        slot = owner[piece]
        total = np.bincount(slot, length, len(edges))
        run = np.cumsum(length) - length
        begin = run[np.searchsorted(slot, np.arange(len(edges)))] if len(edges) else run
        self.edge, self.before, self.total = edges[slot], run - begin[slot], total[slot]
        self.length = length

    def nearest(self, x: float, y: float, limit_m: float) -> Snap | None:
        """The nearest place within `limit_m` of a point in the map's frame, or None; ties take the lower edge."""
        px, py = x * self.scale[0], y * self.scale[1]
        piece, t, away = self._index.nearest(px, py, limit_m)
        return self._snap((away, piece, t), px, py) if piece >= 0 else None

    def _snap(self, best: tuple[float, int, float], px: float, py: float) -> Snap:
        away, piece, t = best
        ax, ay, bx, by = (float(v[piece]) for v in (self.ax, self.ay, self.bx, self.by))
        x, y = ax + t * bx, ay + t * by
        side = "on" if away < 0.01 else "left" if bx * (py - ay) - by * (px - ax) > 0 else "right"
        whole = float(self.total[piece])
        fraction = (float(self.before[piece]) + t * float(self.length[piece])) / whole if whole > 0 else 0.0
        return Snap(int(self.edge[piece]), min(fraction, 1.0), x / self.scale[0], y / self.scale[1], away, side)


def scale(network: Network) -> np.ndarray:
    """Metres in one unit of x and of y."""
    if network.frame == "plane" or not network.nodes:
        return np.ones(2)
    degree = EARTH_M * np.pi / 180
    middle = (float(network.arrays["node_y"].min()) + float(network.arrays["node_y"].max())) / 2
    return np.array([degree * np.cos(np.radians(middle)), degree])
