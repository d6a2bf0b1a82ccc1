"""The nearest street to a point: a grid of buckets over the pieces of all edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...kernels import nearest_piece
from .network import INF, Network
from .shapes import points_of


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
        self.scale: list[float] = network.scale.tolist()
        kept = {name: np.asarray(value) for name, value in network.snap.items()} or pieces_of(network)
        check_pieces(kept, network.edges)
        self.ax, self.ay, self.bx, self.by = (kept[k] for k in ("ax", "ay", "bx", "by"))
        self.edge, self.before, self.total, self.length = (kept[k] for k in ("edge", "before", "total", "length"))
        self._index: nearest_piece.Index = nearest_piece.index(self.ax, self.ay, self.bx, self.by, kept)

    def nearest(self, x: float, y: float, limit_m: float) -> Snap | None:
        """The nearest place within `limit_m` of a point in the map's frame, or None; ties take the lower edge."""
        px, py = x * self.scale[0], y * self.scale[1]
        piece, t, away = self._index.nearest(px, py, limit_m)
        return self._snap((away, piece, t), px, py) if piece >= 0 else None

    def nearest_all(self, x: np.ndarray, y: np.ndarray, limit_m: float) -> tuple[np.ndarray, np.ndarray]:
        """(edge int64, fraction float64) of many points, all in one call; edge -1 where nothing is within the limit."""
        piece, t = np.empty(len(x), np.int32), np.empty(len(x))
        self._index.nearest_all(x * self.scale[0], y * self.scale[1], limit_m, piece, t)
        there = np.flatnonzero(piece >= 0)
        found, edge, fraction = piece[there], np.full(len(x), -1, np.int64), np.zeros(len(x))
        whole = self.total[found]
        edge[there] = self.edge[found]
        along = (self.before[found] + t[there] * self.length[found]) / np.where(whole > 0, whole, 1.0)
        fraction[there] = np.clip(np.where(whole > 0, along, 0.0), 0.0, 1.0)
        return edge, fraction

    def _snap(self, best: tuple[float, int, float], px: float, py: float) -> Snap:
        away, piece, t = best
        ax, ay, bx, by = (float(v[piece]) for v in (self.ax, self.ay, self.bx, self.by))
        x, y = ax + t * bx, ay + t * by
        side = "on" if away < 0.01 else "left" if bx * (py - ay) - by * (px - ax) > 0 else "right"
        whole = float(self.total[piece])
        fraction = (float(self.before[piece]) + t * float(self.length[piece])) / whole if whole > 0 else 0.0
        return Snap(int(self.edge[piece]), min(fraction, 1.0), x / self.scale[0], y / self.scale[1], away, side)


PIECES = {"ax": "float64", "ay": "float64", "bx": "float64", "by": "float64", "edge": "int32", "before": "float64",
          "total": "float64", "length": "float64"}


def pieces_of(network: Network) -> dict[str, np.ndarray]:
    """Straight pieces of the open edges, one direction each, and their buckets: what a `Snapper` needs, for the bundle.

    In metres: ax, ay and bx, by (see `nearest_piece.buckets`), the length; of the edge its number, its length before the
    piece, and its length in all.
    """
    a = network.arrays
    open_ = np.asarray(a["edge_cost"]) < INF
    twin = np.asarray(a["edge_twin"])
    edges = np.flatnonzero(open_ & ((twin < 0) | (twin > np.arange(len(twin))) | ~open_[twin]))
    xy, count = points_of(network, edges)
    xy *= network.scale
    start = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(edges)), count)
    last = np.zeros(len(xy), bool)
    last[start + count - 1] = True
    piece = np.flatnonzero(~last)
    (ax, ay), (bx, by) = xy[piece].T.copy(), (xy[piece + 1] - xy[piece]).T.copy()
    length, slot = np.hypot(bx, by), owner[piece]
    total = np.bincount(slot, length, len(edges))
    run = np.cumsum(length) - length
    begin = run[np.searchsorted(slot, np.arange(len(edges)))] if len(edges) else run
    return {"ax": ax, "ay": ay, "bx": bx, "by": by, "edge": edges[slot].astype(np.int32), "before": run - begin[slot],
            "total": total[slot], "length": length, **nearest_piece.buckets(ax, ay, bx, by)}


def check_pieces(kept: Mapping[str, np.ndarray], edges: int) -> None:
    """ValueError unless kept pieces have their dtypes and one length, and belong to edges that are there."""
    count = len(kept["ax"]) if "ax" in kept else 0
    for name, dtype in PIECES.items():
        if name not in kept or kept[name].dtype != dtype or kept[name].shape != (count,):
            raise ValueError(f"expected {dtype} ({count},) - at `snap_{name}`; the map is damaged: copy or build it again")
    if count and not 0 <= int(kept["edge"].min()) <= int(kept["edge"].max()) < edges:
        raise ValueError(f"expected edges from 0 to {edges - 1} - at `snap_edge`; the map is damaged: copy or build it again")
