"""The nearest street to a point: a grid of buckets over the pieces of all edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .network import INF, Network

EARTH_M = 6_371_008.8
TARGET = 4             # pieces a bucket, about


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
        self.scale = scale(network)
        open_ = np.asarray(a["edge_cost"]) < INF
        twin = np.asarray(a["edge_twin"])
        chosen = open_ & ((twin < 0) | (twin > np.arange(len(twin))) | ~open_[twin])
        self._cut(np.flatnonzero(chosen))
        self._fill()

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

    def _fill(self) -> None:
        """Every piece into each bucket that its box touches."""
        low = np.minimum(np.stack([self.ax, self.ay]), np.stack([self.ax + self.bx, self.ay + self.by]))
        high = np.maximum(np.stack([self.ax, self.ay]), np.stack([self.ax + self.bx, self.ay + self.by]))
        self.origin = low.min(axis=1) if low.size else np.zeros(2)
        size = (high.max(axis=1) - self.origin) if low.size else np.ones(2)
        self.step = max(float(np.sqrt(max(size[0], 1) * max(size[1], 1) / max(len(self.ax) / TARGET, 1))), 1e-6,
                        float(size.max()) / 4000)
        self.columns, self.rows = (np.floor(size / self.step).astype(int) + 1).tolist()
        lo = ((low - self.origin[:, None]) / self.step).astype(np.int64)
        hi = ((high - self.origin[:, None]) / self.step).astype(np.int64)
        wide = hi - lo + 1
        count = wide[0] * wide[1]
        piece = np.repeat(np.arange(len(count)), count)
        k = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
        bucket = (lo[1][piece] + k // wide[0][piece]) * self.columns + lo[0][piece] + k % wide[0][piece]
        order = np.argsort(bucket, kind="stable")
        self.pieces = piece[order]
        self.first = np.searchsorted(bucket[order], np.arange(self.columns * self.rows + 1))

    def nearest(self, x: float, y: float, limit_m: float) -> Snap | None:
        """The nearest place within `limit_m` of a point in the map's frame, or None; ties take the lower edge."""
        if not len(self.ax):
            return None
        px, py = x * self.scale[0], y * self.scale[1]
        column, row = int((px - self.origin[0]) // self.step), int((py - self.origin[1]) // self.step)
        outside = max(-column, column - self.columns + 1, -row, row - self.rows + 1, 0)
        best, ring = (limit_m, -1, 0.0), outside
        # A ring r away holds nothing nearer than (r - 1) buckets.
        while (ring - 1) * self.step <= best[0] and ring <= outside + max(self.columns, self.rows):
            found = self._ring(column, row, ring)
            if len(found):
                best = min(best, self._closest(found, px, py), key=lambda b: b[0])
            ring += 1
        return self._snap(best, px, py) if best[1] >= 0 else None

    def _ring(self, column: int, row: int, ring: int) -> np.ndarray:
        left, right = max(column - ring, 0), min(column + ring, self.columns - 1)
        lists = []
        for r in range(max(row - ring, 0), min(row + ring, self.rows - 1) + 1):
            base = r * self.columns
            if abs(r - row) == ring:
                spans = [(left, right)] if left <= right else []
            else:
                spans = [(c, c) for c in {column - ring, column + ring} if 0 <= c < self.columns]
            lists += [self.pieces[self.first[base + a]:self.first[base + b + 1]] for a, b in spans]
        return np.concatenate(lists) if lists else np.empty(0, np.int64)

    def _closest(self, found: np.ndarray, px: float, py: float) -> tuple[float, int, float]:
        dx, dy, bx, by = px - self.ax[found], py - self.ay[found], self.bx[found], self.by[found]
        square = bx * bx + by * by
        t = np.clip((dx * bx + dy * by) / np.where(square > 0, square, 1), 0, 1)
        away = np.hypot(dx - t * bx, dy - t * by)
        k = int(np.argmin(away))
        return float(away[k]), int(found[k]), float(t[k])

    def _snap(self, best: tuple[float, int, float], px: float, py: float) -> Snap:
        away, piece, t = best
        x, y = self.ax[piece] + t * self.bx[piece], self.ay[piece] + t * self.by[piece]
        cross = self.bx[piece] * (py - self.ay[piece]) - self.by[piece] * (px - self.ax[piece])
        side = "on" if away < 0.01 else "left" if cross > 0 else "right"
        whole = self.total[piece]
        fraction = float((self.before[piece] + t * self.length[piece]) / whole) if whole > 0 else 0.0
        return Snap(int(self.edge[piece]), min(fraction, 1.0), float(x / self.scale[0]), float(y / self.scale[1]), away, side)


def scale(network: Network) -> np.ndarray:
    """Metres in one unit of x and of y."""
    if network.frame == "plane" or not network.nodes:
        return np.ones(2)
    degree = EARTH_M * np.pi / 180
    middle = (float(network.arrays["node_y"].min()) + float(network.arrays["node_y"].max())) / 2
    return np.array([degree * np.cos(np.radians(middle)), degree])
