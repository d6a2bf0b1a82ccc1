"""The plain version of `nearest_piece`: every piece is looked at."""

from __future__ import annotations

import numpy as np


class Index:
    """See the package; the buckets are not used."""

    def __init__(self, ax: np.ndarray, ay: np.ndarray, bx: np.ndarray, by: np.ndarray, first: np.ndarray, pieces: np.ndarray,
                 x0: float, y0: float, step: float, columns: int, rows: int) -> None:
        self._pieces = ax, ay, bx, by
        if first is None:
            return
        fits = len(first) == rows * columns + 1 and first[0] == 0 and first[-1] == len(pieces) and (np.diff(first) >= 0).all()
        if not fits or (len(pieces) and (pieces.min() < 0 or pieces.max() >= len(ax))):
            raise ValueError("Index was called with buckets that do not hold together; call kernels.nearest_piece.index")

    def nearest(self, x: float, y: float, limit: float) -> tuple[int, float, float]:
        ax, ay, bx, by = self._pieces
        if not len(ax) or not (np.isfinite(x) and np.isfinite(y)):
            return -1, 0.0, limit
        dx, dy, square = x - ax, y - ay, bx * bx + by * by
        t = np.clip((dx * bx + dy * by) / np.where(square > 0, square, 1.0), 0.0, 1.0)
        ex, ey = dx - t * bx, dy - t * by
        with np.errstate(over="ignore"):
            away = ex * ex + ey * ey
        k = int(np.argmin(away))
        if not away[k] <= limit * limit:
            return -1, 0.0, limit
        return k, float(t[k]), float(np.sqrt(away[k]))

    def nearest_all(self, x: np.ndarray, y: np.ndarray, limit: float, piece: np.ndarray, t: np.ndarray) -> None:
        if not len(x) == len(y) == len(piece) == len(t):
            raise ValueError(f"expected {len(x)} of x, y, piece and t, got {len(y)}, {len(piece)} and {len(t)}")
        for i, (px, py) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
            piece[i], t[i], _ = self.nearest(px, py, limit)
