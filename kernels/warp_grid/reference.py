"""The plain version of `warp_grid`, in NumPy and float64: the truth that every other variant is compared with."""

from __future__ import annotations

import numpy as np

CELL, MAX_PLACE, MAX_SHADE = 16, 32768.0, 4.0


def _between(nodes: np.ndarray, h: int, w: int) -> np.ndarray:
    """The nodes' values (gh, gw, ...) at every pixel, bilinear within each cell."""
    cy, cx = np.arange(h) // CELL, np.arange(w) // CELL
    fy = (np.arange(h) % CELL / CELL).reshape(-1, 1, *[1] * (nodes.ndim - 2))
    fx = (np.arange(w) % CELL / CELL).reshape(1, -1, *[1] * (nodes.ndim - 2))
    rows = nodes[cy] * (1 - fy) + nodes[cy + 1] * fy
    return rows[:, cx] * (1 - fx) + rows[:, cx + 1] * fx


def _sample(item: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`item` at the places, bilinear, transparent beyond its edge; float64 (h, w, 4)."""
    wide = np.pad(item.astype(np.float64), ((2, 2), (2, 2), (0, 0)))
    x, y = np.clip(x, -1, item.shape[1]) + 2, np.clip(y, -1, item.shape[0]) + 2
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, wide.shape[1] - 1), np.minimum(y0 + 1, wide.shape[0] - 1)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    upper = wide[y0, x0] * (1 - fx) + wide[y0, x1] * fx
    lower = wide[y1, x0] * (1 - fx) + wide[y1, x1] * fx
    return upper * (1 - fy) + lower * fy


def warp_grid(item: np.ndarray, grid: np.ndarray, visible: np.ndarray | None, out: np.ndarray) -> None:
    """See the package."""
    h, w = out.shape[:2]
    shade = grid[..., 2]
    good = (np.abs(grid[..., :2]) <= MAX_PLACE).all(axis=2) & (shade >= 0) & (shade <= MAX_SHADE)
    cells = good[:-1, :-1] & good[1:, :-1] & good[:-1, 1:] & good[1:, 1:]
    drawn = cells[np.arange(h)[:, None] // CELL, np.arange(w) // CELL]
    at = _between(np.where(good[..., None], grid, 0).astype(np.float64), h, w)
    seen = _sample(item, at[..., 0], at[..., 1])
    share = drawn.astype(np.float64) if visible is None else drawn * (visible / 255.0)
    alpha = seen[..., 3:]
    colour = np.minimum(seen[..., :3] * at[..., 2:], alpha)
    mixed = out * (1 - share[..., None] * alpha / 255) + share[..., None] * colour
    out[:] = np.clip(np.floor(mixed + 0.5), 0, 255).astype(np.uint8)
