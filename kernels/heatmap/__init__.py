"""From a map of distances to an answer: smoothing, one number for the picture, regions, and a picture of why."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

# Absolute and relative: float32 sums in another order; an overlay's channel may round to the other side.
TOLERANCE = {"smooth": 0.0, "top_mean": 1e-6, "regions": 0.0, "overlay": 1.0, "heatmap": 1e-6}
MOST = 1 << 30         # cells
TOP = 10               # cells that make the picture's score
BLUR = (1.0, 2.0, 1.0)
_smooth = Op(__package__, "smooth")
_top_mean = Op(__package__, "top_mean")
_regions = Op(__package__, "regions")
_overlay = Op(__package__, "overlay")
_heatmap = Op(__package__, "heatmap")


def smooth(map: np.ndarray, *, out: np.ndarray) -> None:
    """Write `map` blurred by 1-2-1 along both axes, edges repeated: both float32 (h, w), finite."""
    _check.array(map, "map", "float32", ("h", "w"))
    _check.array(out, "out", "float32", map.shape, writable=True)
    _check.apart(out, "out", map=map)
    _smooth(map, out)


def top_mean(map: np.ndarray, count: int = TOP) -> float:
    """The mean of the `count` highest cells of `map`, float32 (h, w); of all cells where there are fewer.

    A NaN anywhere gives NaN: it is never taken for a low value.
    """
    _check.array(map, "map", "float32", ("h", "w"))
    return float(_top_mean(map, int(_check.number(count, "count", 1, 1 << 20))))


def regions(map: np.ndarray, threshold: float, *, out: np.ndarray) -> int:
    """Find connected cells (8 neighbours) of `map` above `threshold`; return how many regions there are.

    `map` float32 (h, w); `out` float32 (k, 6) takes the k regions with the highest cells, highest first (ties: the one
    found first in row order): x, y, w, h in cells, area in cells, highest cell. Rows beyond the count are left alone.
    """
    _check.array(map, "map", "float32", ("h", "w"))
    _check.array(out, "out", "float32", ("k", 6), writable=True)
    _check.apart(out, "out", map=map)
    return int(_regions(map, float(_check.number(threshold, "threshold", -3.4e38, 3.4e38)), out))


def overlay(image: np.ndarray, map: np.ndarray, low: float, high: float, *, out: np.ndarray) -> None:
    """Write `image` with `map` laid over it, blue-less where `low`, through yellow to red where `high` and above.

    `image` and `out` uint8 BGR (h, w, 3), `map` float32 (gh, gw) stretched over the picture bilinearly, low < high.
    Below `low` the picture is left as it is.
    """
    _check.array(image, "image", "uint8", ("h", "w", 3))
    _check.array(map, "map", "float32", ("gh", "gw"))
    _check.array(out, "out", "uint8", image.shape, writable=True)
    _check.apart(out, "out", image=image, map=map)
    low, high = _check.number(low, "low", -3.4e38, 3.4e38), _check.number(high, "high", -3.4e38, 3.4e38)
    if not low < high:
        raise ValueError(f"expected low < high, got {low:g} and {high:g} - at `low` and `high`")
    _overlay(image, map, float(low), float(high), out)


def heatmap(map: np.ndarray, threshold: float, *, out: tuple[np.ndarray, np.ndarray], count: int = TOP) -> tuple[float, int]:
    """All of an answer in one pass: smooth `map`, grow it, find its regions and its highest cells.

    `map` float32 (h, w). `out` is a pair: float32 (H, W) takes the smoothed map grown bilinearly (half-pixel centres),
    float32 (k, 6) its regions above `threshold`, as `regions` writes them. Returns the mean of the `count` highest cells
    of the grown map, NaN where a cell of the smoothed one is not finite, and how many regions there are.
    """
    _check.array(map, "map", "float32", ("h", "w"))
    if not isinstance(out, tuple) or len(out) != 2:
        raise ValueError(f"expected a pair of arrays, got {type(out).__name__} - at `out`")
    grown = _check.array(out[0], "out[0]", "float32", ("H", "W"), writable=True)
    found = _check.array(out[1], "out[1]", "float32", ("k", 6), writable=True)
    _check.apart(grown, "out[0]", map=map, regions=found)
    _check.apart(found, "out[1]", map=map)
    if max(map.size, grown.size, map.shape[0] * grown.shape[1]) > MOST:
        raise ValueError(f"expected at most {MOST} cells, got {map.shape} to {grown.shape} - at `map`")
    bound, most = _check.number(threshold, "threshold", -3.4e38, 3.4e38), _check.number(count, "count", 1, 1 << 20)
    score, regions_found = _heatmap(map, float(bound), int(most), grown, found)
    return float(score), int(regions_found)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Calls that every variant must agree on: a cell, a row, a column, ties, plateaus, noise, islands."""
    maps = [np.ones((1, 1), np.float32), rng.random((1, 9), np.float32), rng.random((9, 1), np.float32),
            rng.random((24, 32), np.float32), rng.integers(0, 3, (17, 13)).astype(np.float32),
            np.zeros((5, 6), np.float32), (rng.random((40, 40)) > 0.6).astype(np.float32)]
    for map in maps:
        yield {"function": "smooth", "map": map, "out": np.empty_like(map)}
        yield {"function": "top_mean", "map": map, "count": 7}
        yield {"function": "regions", "map": map, "threshold": 0.5, "out": np.zeros((8, 6), np.float32)}
        for size in ((1, 1), (33, 70), (64, 128)):
            yield {"function": "heatmap", "map": map, "threshold": 0.5, "count": 7,
                   "out": (np.empty(size, np.float32), np.zeros((8, 6), np.float32))}
        image = rng.integers(0, 256, (31, 45, 3), dtype=np.uint8)
        yield {"function": "overlay", "image": image, "map": map, "low": 0.2, "high": 0.9, "out": np.empty_like(image)}


__all__ = ["TOLERANCE", "TOP", "cases", "heatmap", "overlay", "regions", "smooth", "top_mean"]
