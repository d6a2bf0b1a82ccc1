"""The nearest of many straight pieces to a point: which street a robot stands on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 0          # the same sums in the same order: every variant gives the same bits
_index = Op(__package__, "Index")


class Index(Protocol):
    """Pieces sorted into square buckets."""

    def nearest(self, x: float, y: float, limit: float) -> tuple[int, float, float]:
        """The nearest piece within `limit` (ties: the lower), where on it (0 to 1), how far; (-1, 0, limit) if none."""

    def nearest_all(self, x: np.ndarray, y: np.ndarray, limit: float, piece: np.ndarray, t: np.ndarray) -> None:
        """`nearest` of many points, float64 (n): the pieces into `piece` int32 (n), where on them into `t` float64 (n)."""


def buckets(ax: np.ndarray, ay: np.ndarray, bx: np.ndarray, by: np.ndarray, per_bucket: int = 4) -> dict[str, np.ndarray]:
    """Pieces from (ax, ay) to (ax + bx, ay + by), float64 (pieces,) each, finite, in metres, sorted into buckets.

    `first` int32 (buckets + 1), `pieces` int32, `grid` float64 (5): x and y of the corner, side of a bucket, columns, rows. A
    bucket holds about `per_bucket` pieces; a piece stands in every bucket that its box touches. ValueError says what does not
    fit. To be kept beside the pieces: `index` needs it.
    """
    _pieces(ax, ay, bx, by)
    _check.number(per_bucket, "per_bucket", 1, 1000)
    low = np.stack([np.minimum(ax, ax + bx), np.minimum(ay, ay + by)])
    high = np.stack([np.maximum(ax, ax + bx), np.maximum(ay, ay + by)])
    origin = low.min(axis=1) if len(ax) else np.zeros(2)
    size = high.max(axis=1) - origin if len(ax) else np.zeros(2)
    # A map may be a line: at most 4000 buckets on a side, at least one.
    area = max(float(size[0]), 1.0) * max(float(size[1]), 1.0)
    step = max(float(np.sqrt(area * per_bucket / max(len(ax), 1))), float(size.max()) / 4000, 1e-6)
    columns, rows = (np.floor(size / step).astype(int) + 1).tolist()
    lo, hi = (((v - origin[:, None]) / step).astype(np.int64) for v in (low, high))
    wide = hi - lo + 1
    count = wide[0] * wide[1]
    piece = np.repeat(np.arange(len(ax)), count)
    k = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    bucket = (lo[1][piece] + k // wide[0][piece]) * columns + lo[0][piece] + k % wide[0][piece]
    order = np.argsort(bucket, kind="stable")
    first = np.searchsorted(bucket[order], np.arange(columns * rows + 1)).astype(np.int32)
    return {"first": first, "pieces": piece[order].astype(np.int32), "grid": np.array([*origin, step, columns, rows])}


def index(ax: np.ndarray, ay: np.ndarray, bx: np.ndarray, by: np.ndarray, kept: Mapping[str, np.ndarray] | None = None) -> Any:
    """An `Index` over pieces, by what `buckets` made of them (which it makes if there is nothing kept).

    ValueError if they do not belong together.
    """
    if kept is None:
        kept = buckets(ax, ay, bx, by)
    else:
        _pieces(ax, ay, bx, by)
        _check.array(kept["first"], "first", "int32", (None,))
        _check.array(kept["pieces"], "pieces", "int32", (None,))
        _check.array(kept["grid"], "grid", "float64", (5,))
        if not (np.isfinite(kept["grid"]).all() and np.abs(kept["grid"][3:]).max() < 1e6):
            raise ValueError(f"expected corner, side, columns and rows, got {kept['grid'].tolist()} - at `grid`")
    x0, y0, step, columns, rows = kept["grid"].tolist()
    return _index(ax, ay, bx, by, kept["first"], kept["pieces"], x0, y0, step, int(columns), int(rows))


def _pieces(ax: np.ndarray, ay: np.ndarray, bx: np.ndarray, by: np.ndarray) -> None:
    _check.array(ax, "ax", "float64", (None,))
    for name, value in (("ay", ay), ("bx", bx), ("by", by)):
        _check.array(value, name, "float64", ax.shape)
    if not all(np.isfinite(v).all() for v in (ax, ay, bx, by)):
        raise ValueError("expected finite numbers, got NaN or infinity - at `ax`, `ay`, `bx` or `by`")


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Pieces that every variant must agree on: none, points, one long line, a town, far from the origin."""
    def pieces(count: int, size: float, long: float) -> dict:
        return {"ax": rng.uniform(0, size, count), "ay": rng.uniform(0, size, count),
                "bx": rng.uniform(-long, long, count), "by": rng.uniform(-long, long, count)}
    yield pieces(0, 1, 1)
    yield pieces(1, 1, 0)
    yield pieces(7, 0, 100)
    yield pieces(200, 1000, 30)
    yield pieces(60, 1e7, 5)
    yield {"ax": np.arange(50.0), "ay": np.zeros(50), "bx": np.ones(50), "by": np.zeros(50)}


__all__ = ["TOLERANCE", "Index", "buckets", "cases", "index"]
