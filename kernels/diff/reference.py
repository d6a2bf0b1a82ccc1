"""The plain versions of `diff` and `find_shift`, in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Reduce = Callable[..., np.ndarray]


def window(picture: np.ndarray, reach: int, reduce: Reduce, beyond: int) -> np.ndarray:
    """`reduce` (np.min and the like, by axis) over the square of side 2 reach + 1; `beyond` stands outside."""
    for axis in (0, 1):
        edge = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        wide = np.pad(picture, edge, constant_values=beyond)
        views = np.lib.stride_tricks.sliding_window_view(wide, 2 * reach + 1, axis)
        picture = reduce(views, axis=-1)
    return picture


def diff(golden: np.ndarray, test: np.ndarray, mask: np.ndarray | None, band: int, reach: int, opening: int, down: int,
         right: int, out: np.ndarray) -> None:
    """See the package."""
    h, w = golden.shape
    out[:] = 0
    here = np.s_[max(0, -down):max(0, min(h, h - down)), max(0, -right):max(0, min(w, w - right))]
    there = np.s_[max(0, down):max(0, min(h, h + down)), max(0, right):max(0, min(w, w + right))]
    golden_low, test_low = (window(p, reach, np.min, 255)[s].astype(int) for p, s in ((golden, here), (test, there)))
    golden_high, test_high = (window(p, reach, np.max, 0)[s].astype(int) for p, s in ((golden, here), (test, there)))
    g, t = golden[here].astype(int), test[there].astype(int)
    darker = (golden_low - t > band) | (g - test_high > band)
    lighter = (t - golden_high > band) | (test_low - g > band)
    out[here] = darker + 2 * lighter
    if mask is not None:
        out[mask == 0] = 0
    if opening:
        eroded = window(out, opening, np.bitwise_and.reduce, 255)
        out[:] = window(eroded, opening, np.bitwise_or.reduce, 0)


def find_shift(golden: np.ndarray, reach: int, test: np.ndarray) -> tuple[int, int]:
    """See the package."""
    h, w = golden.shape
    middle = golden[reach:h - reach, reach:w - reach].astype(np.int64)
    steps = range(-reach, reach + 1)
    sums = {(dy, dx): int(np.abs(test[reach + dy:h - reach + dy, reach + dx:w - reach + dx] - middle).sum())
            for dy in steps for dx in steps}
    return min(sums, key=lambda s: (sums[s], abs(s[0]) + abs(s[1]), s))
