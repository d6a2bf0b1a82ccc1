"""Launches the CUDA versions of the heatmap operations; what `fast.cu` calls the state is laid out here."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

MOST = 1 << 30                                   # cells: beyond it an index leaves 32 bits
BINS = 2048
DIGITS = ((21, 11), (10, 11), (0, 10))           # shift and bits of each pass over a cell's 32-bit order, the upper first
THREADS = (256, 1, 1)
SHARES = 256 * 256                               # threads that share a pass which adds up: 256 blocks at most
STRETCH = 32                                     # cells of a row that one thread adds to their regions


def smooth(map: DeviceArray, out: DeviceArray) -> None:
    """See the package."""
    h, w = map.shape
    _cuda.launch(__package__, "smooth", (h * w,), "PiiP", map, h, w, out)


def overlay(image: DeviceArray, map: DeviceArray, low: float, high: float, out: DeviceArray) -> None:
    """See the package."""
    h, w = image.shape[:2]
    _cuda.launch(__package__, "overlay", (h * w,), "PiiPiiffP", image, h, w, map, *map.shape, low, high, out)


def _state(count: int) -> DeviceArray:
    """What a call's kernels hand on: the digits found, places left, cells no number, regions, labels; then bins of zeros."""
    values = np.zeros(4 + BINS, np.uint32)
    values[1] = count
    return DeviceArray.of(values)


def _top(map: DeviceArray, count: int, state: DeviceArray) -> DeviceArray:
    """float64 (1,): the mean of the `count` highest cells, found digit by digit of the lowest of them."""
    n = map.shape[0] * map.shape[1]
    shares = min(n, SHARES)
    partial, score = DeviceArray((-(-shares // 256),), np.float64), DeviceArray((1,), np.float64)
    for shift, bits in DIGITS:
        _cuda.launch(__package__, "top_count", (shares,), "PiiiP", map, n, shift, bits, state, block=THREADS)
        _cuda.launch(__package__, "top_pick", (256,), "iP", bits, state, block=THREADS)
    _cuda.launch(__package__, "top_sum", (shares,), "PiPP", map, n, state, partial, block=THREADS)
    _cuda.launch(__package__, "top_end", (1,), "PiiPP", partial, partial.shape[0], count, state, score)
    return score


def top_mean(map: DeviceArray, count: int) -> float:
    """See the package."""
    cells = _cells(map)
    count = min(count, cells)
    return float(_top(map, count, _state(count)).host()[0])


def _cells(map: DeviceArray) -> int:
    cells = map.shape[0] * map.shape[1]
    if cells > MOST:
        raise ValueError(f"expected at most {MOST} cells, got {map.shape} - at `map`")
    return cells


def _regions(map: DeviceArray, threshold: float, state: DeviceArray, out: DeviceArray) -> None:
    """Labels become the lowest cell of their region, then its number; a row of six for each, and the highest are written."""
    h, w = map.shape
    n, most = h * w, -(-h // 2) * -(-w // 2)     # regions that fit: none touches another, corners included
    labels, found, keys = DeviceArray((n,), np.int32), DeviceArray((most, 6), np.uint32), DeviceArray((most,), np.uint64)
    _cuda.launch(__package__, "region_start", (n,), "PifP", map, n, threshold, labels)
    _cuda.launch(__package__, "region_join", (n,), "iiP", h, w, labels)
    _cuda.launch(__package__, "region_flatten", (n,), "iP", n, labels)
    _cuda.launch(__package__, "region_number", (n,), "iPPPP", n, labels, state, found, keys)
    _cuda.launch(__package__, "region_sum", (-(-w // STRETCH) * h,), "PiiPP", map, h, w, labels, found)
    _cuda.launch(__package__, "region_keys", (most,), "PPP", found, state, keys)
    _cuda.launch(__package__, "region_rank", (256,), "PPPiP", found, keys, state, len(out), out, block=THREADS)


def regions(map: DeviceArray, threshold: float, out: DeviceArray) -> int:
    """See the package."""
    _cells(map)
    state = _state(0)
    _regions(map, threshold, state, out)
    return int(state.host()[3])


def heatmap(map: DeviceArray, threshold: float, count: int, grown: DeviceArray, found: DeviceArray) -> tuple[float, int]:
    """See the package; only the score and the number of regions come back."""
    (h, w), (high, wide) = map.shape, grown.shape
    smoothed, count = DeviceArray((h, w), np.float32), min(count, high * wide)
    state = _state(count)
    smooth(map, smoothed)
    _cuda.launch(__package__, "sound", (h * w,), "PiP", smoothed, h * w, state)
    _cuda.launch(__package__, "grow", (high * wide,), "PiiiiP", smoothed, h, w, high, wide, grown)
    score = _top(grown, count, state)
    _regions(grown, threshold, state, found)
    said = state.host()
    return float("nan") if said[2] else float(score.host()[0]), int(said[3])
