"""The plain versions of the heatmap operations, in NumPy."""

from __future__ import annotations

import numpy as np


def smooth(map: np.ndarray, out: np.ndarray) -> None:
    """See the package."""
    wide = np.pad(map, 1, mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    out[:] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(16)


def top_mean(map: np.ndarray, count: int) -> float:
    """See the package."""
    if np.isnan(map).any():
        return float("nan")
    return float(np.sort(map, axis=None)[-count:].astype(np.float64).mean())


def _flood(above: np.ndarray, seed: tuple[int, int]) -> list[tuple[int, int]]:
    """The cells connected with `seed`, taken out of `above`."""
    h, w = above.shape
    above[seed] = False
    found, waiting = [], [seed]
    while waiting:
        y, x = waiting.pop()
        found.append((y, x))
        for ny in range(max(0, y - 1), min(h, y + 2)):
            for nx in range(max(0, x - 1), min(w, x + 2)):
                if above[ny, nx]:
                    above[ny, nx] = False
                    waiting.append((ny, nx))
    return found


def regions(map: np.ndarray, threshold: float, out: np.ndarray) -> int:
    """See the package."""
    above = map > np.float32(threshold)
    found = []
    for y, x in np.argwhere(above):
        if above[y, x]:
            cells = np.array(_flood(above, (y, x)))
            low, high = cells.min(axis=0), cells.max(axis=0)
            peak = map[cells[:, 0], cells[:, 1]].max()
            found.append((low[1], low[0], high[1] - low[1] + 1, high[0] - low[0] + 1, len(cells), peak))
    found.sort(key=lambda region: -region[5])
    for row, region in zip(out, found, strict=False):
        row[:] = region
    return len(found)


def _along(cells: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at = np.clip((np.arange(size, dtype=np.float32) + 0.5) * np.float32(cells / size) - 0.5, 0, cells - 1)
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, cells - 1), (at - low).astype(np.float32)


def overlay(image: np.ndarray, map: np.ndarray, low: float, high: float, out: np.ndarray) -> None:
    """See the package."""
    y0, y1, fy = _along(map.shape[0], image.shape[0])
    x0, x1, fx = _along(map.shape[1], image.shape[1])
    rows = map[y0] + fy[:, None] * (map[y1] - map[y0])
    heat = rows[:, x0] + fx * (rows[:, x1] - rows[:, x0])
    heat = np.clip((heat - np.float32(low)) / np.float32(high - low), 0, 1)
    share = np.float32(0.65) * np.minimum(1, heat * 2)[..., None]
    colour = np.stack([np.zeros_like(heat), 255 * (1 - heat), np.full_like(heat, 255)], axis=2)
    out[:] = (image + share * (colour - image) + np.float32(0.5)).astype(np.uint8)


def heatmap(map: np.ndarray, threshold: float, count: int, grown: np.ndarray, found: np.ndarray) -> tuple[float, int]:
    """See the package: the same float32 operations in the same order, so that cells fall on the same side."""
    smoothed = np.empty_like(map)
    with np.errstate(over="ignore", invalid="ignore"):
        smooth(map, smoothed)
        y0, y1, fy = _along(map.shape[0], grown.shape[0])
        x0, x1, fx = _along(map.shape[1], grown.shape[1])
        wide = smoothed[:, x0] + fx * (smoothed[:, x1] - smoothed[:, x0])
        grown[:] = wide[y0] + fy[:, None] * (wide[y1] - wide[y0])
    score = top_mean(grown, count) if np.isfinite(smoothed).all() else float("nan")
    return score, regions(grown, threshold, found)
