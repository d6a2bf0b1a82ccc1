"""An item (garment, glasses, hat) is drawn into a picture: warped by a coarse grid, shaded, hidden where it should be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 3          # of 255, against the float64 reference: places are rounded to 1/256 px
CELL = 16              # px between the grid's nodes
MAX_SIDE = 1 << 14
MAX_PLACE = 32768.0    # a node beyond this (or NaN) draws nothing around it
MAX_SHADE = 4.0
_warp_grid = Op(__package__, "warp_grid")


def nodes(size: int) -> int:
    """How many nodes a side of `size` px needs: one every CELL px, and one at or beyond the last pixel's cell."""
    return (size + CELL - 1) // CELL + 1


def warp_grid(item: np.ndarray, grid: np.ndarray, *, out: np.ndarray, visible: np.ndarray | None = None) -> None:
    """Blend `item` over `out` in place.

    `item` uint8 (ih, iw, 4): colours in the order of `out`, premultiplied by the alpha that comes last; sides up to
    16384. `out` uint8 (h, w, 3). `grid` float32 (nodes(h), nodes(w), 3): node (j, i) lies at pixel (16 i, 16 j) of
    `out` and says which place (x, y) of the item is seen there, pixel centres at whole numbers, and the shade, 0..4,
    that multiplies its colour. Between nodes all three are bilinear. A node with NaN, a place beyond +-32768 or another
    shade draws nothing in the cells that touch it; so does a place beside the item, whose edge fades within one pixel.
    `visible` uint8 (h, w) multiplies the item by its value / 255 (None: all is seen). With s the shade, v the
    visibility and item values sampled bilinearly: out = out * (1 - v alpha) + v min(s colour, alpha).
    ValueError says what does not fit.
    """
    _check.array(out, "out", "uint8", ("h", "w", 3), writable=True)
    h, w = out.shape[:2]
    _check.array(item, "item", "uint8", ("ih", "iw", 4))
    _check.array(grid, "grid", "float32", (nodes(h), nodes(w), 3))
    if visible is not None:
        _check.array(visible, "visible", "uint8", (h, w))
    _check.apart(out, "out", item=item, grid=grid, visible=visible)
    if max(*item.shape[:2], h, w) > MAX_SIDE:
        raise ValueError(f"expected sides of at most {MAX_SIDE}, got {item.shape} into {out.shape} - at `item` and `out`")
    _warp_grid(item, grid, visible, out)


def _item(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    alpha = rng.choice(np.array([0, 255, 255, 128, 7], np.uint8), (h, w, 1))
    colour = rng.integers(0, 256, (h, w, 3)) * alpha // 255
    return np.concatenate([colour.astype(np.uint8), alpha], axis=2)


def _grid(rng: np.random.Generator, h: int, w: int, ih: int, iw: int, wild: float) -> np.ndarray:
    y, x = np.mgrid[:nodes(h), :nodes(w)].astype(np.float32) * CELL
    places = [x * (iw / w) * 1.1 - 0.05 * iw, y * (ih / h) * 1.1 - 0.05 * ih]
    shades = rng.uniform(0.5, 1.5, x.shape)
    return np.stack([p + rng.normal(0, wild, x.shape) for p in places] + [shades], axis=2).astype(np.float32)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Arguments (`out` among them: copy it) that every variant must agree on: small, odd, torn, beside, invalid."""
    sizes = [((1, 1), (1, 1)), ((1, 1), (5, 40)), ((2, 3), (16, 16)), ((9, 1), (17, 33)), ((40, 30), (50, 70)),
             ((64, 64), (48, 64)), ((300, 200), (100, 131))]
    for (ih, iw), (h, w) in sizes:
        for wild in (0.0, 3.0):
            grid = _grid(rng, h, w, ih, iw, wild)
            picture = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
            yield {"item": _item(rng, ih, iw), "grid": grid, "out": picture}
            yield {"item": _item(rng, ih, iw), "grid": grid, "out": picture.copy(),
                   "visible": rng.choice(np.array([0, 255, 90], np.uint8), (h, w))}
    grid = _grid(rng, 64, 80, 50, 50, 1.0)
    for n, bad in enumerate((np.nan, np.inf, -np.inf, 1e30, -1.0)):
        grid[n % 5, n, 2 if bad == -1.0 else n % 3] = bad
    yield {"item": _item(rng, 50, 50), "grid": grid, "out": rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)}
    white = np.full((8, 8, 4), 255, np.uint8)
    yield {"item": white, "grid": np.full((3, 3, 3), 2.0, np.float32), "out": np.zeros((32, 32, 3), np.uint8)}


__all__ = ["CELL", "MAX_PLACE", "MAX_SHADE", "MAX_SIDE", "TOLERANCE", "cases", "nodes", "warp_grid"]
