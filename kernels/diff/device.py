"""Launches the CUDA versions of `diff` and `find_shift`."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

ROWS = 32          # a block of the shift search


def diff(golden: DeviceArray, test: DeviceArray, mask: DeviceArray | None, band: int, reach: int, opening: int, down: int,
         right: int, out: DeviceArray) -> None:
    """See the package."""
    h, w = golden.shape
    _cuda.launch(__package__, "diff_marks", (w, h), "PPPPiiiiii", golden, test, mask, out, h, w, band, reach, down, right,
                 block=(32, 8, 1))
    if opening:
        eroded = DeviceArray((h, w), np.uint8)
        _cuda.launch(__package__, "diff_morph", (w, h), "PPiiii", out, eroded, h, w, opening, 1)
        _cuda.launch(__package__, "diff_morph", (w, h), "PPiiii", eroded, out, h, w, opening, 0)


def find_shift(golden: DeviceArray, reach: int, test: DeviceArray) -> tuple[int, int]:
    """See the package; the sums come back and the best of them is found here."""
    h, w = golden.shape
    side = 2 * reach + 1
    sums = DeviceArray.of(np.zeros(side * side, np.uint64))
    parts = -(-(h - 2 * reach) // ROWS)
    _cuda.launch(__package__, "diff_sums", (parts * 256, side * side), "PPiiiiP", golden, test, h, w, reach, ROWS, sums,
                 block=(256, 1, 1))
    steps = [(k // side - reach, k % side - reach) for k in range(side * side)]
    found = sums.host().tolist()
    return min(steps, key=lambda s: (found[steps.index(s)], abs(s[0]) + abs(s[1]), s))
