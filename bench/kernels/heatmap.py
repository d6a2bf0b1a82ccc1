"""`heatmap`: from a coarse map to regions and a score in one call, against the same steps with OpenCV and NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

from ...kernels import heatmap
from ..report import Options, Row
from .timing import Goal, interleaved, row, seconds

SIDE, CELLS, TOP, ROOM = 448, 56, 100, 32
GOAL = Goal(">= 2x and <= 0.4 ms", ratio=2.0, most_us=400)


def anomalies(rng: np.random.Generator, spots: int) -> np.ndarray:
    """A map of noise with that many bumps."""
    y, x = np.mgrid[:CELLS, :CELLS]
    made = rng.random((CELLS, CELLS)) * 0.4
    for _ in range(spots):
        cy, cx, size = *(rng.random(2) * CELLS), rng.uniform(1, 3)
        made += rng.uniform(0.6, 1.5) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * size**2))
    return made.astype(np.float32)


def steps(map: np.ndarray, threshold: float) -> Callable[[], tuple[float, list[tuple]]]:
    """Smooth, grow, threshold, components, the peak of each, the mean of the highest cells."""
    kernel = np.array([1, 2, 1], np.float32) / 4

    def call() -> tuple[float, list[tuple]]:
        smoothed = cv2.sepFilter2D(map, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
        grown = cv2.resize(smoothed, (SIDE, SIDE))
        above = (grown > threshold).astype(np.uint8)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
        found = []
        for i in range(1, count):
            x, y, w, h, area = boxes[i]
            part = grown[y:y + h, x:x + w]
            found.append((x, y, w, h, area, part[labels[y:y + h, x:x + w] == i].max()))
        found.sort(key=lambda region: -region[5])
        return float(np.partition(grown, SIDE * SIDE - TOP, axis=None)[-TOP:].mean()), found[:ROOM]
    return call


def rows(options: Options) -> Iterator[Row]:
    """A part with a few flaws, and one that is flawed all over."""
    rng = np.random.default_rng(5)
    for name, spots, threshold in (("few flaws", 4, 0.75), ("noise at the threshold", 0, 0.25)):
        case = f"heatmap {CELLS} -> {SIDE}, {name}"
        if options.wants(case):
            yield compared(case, anomalies(rng, spots), threshold, seconds(options.quick))


def compared(case: str, map: np.ndarray, threshold: float, time_s: float) -> Row:
    """Both ways over the same map."""
    out = (np.empty((SIDE, SIDE), np.float32), np.empty((ROOM, 6), np.float32))
    ours, peer = partial(heatmap, map, threshold, out=out, count=TOP), steps(map, threshold)
    found = interleaved({"ours": ours, "peer": peer}, time_s)
    (score, count), (want, regions) = ours(), peer()
    error = np.abs(out[1][:min(count, ROOM)] - np.array(regions)).max(initial=0) if count else 0.0
    note = f"{count} regions; score {score:.6f} and the peer's {want:.6f}; boxes, areas and peaks differ by at most {error:.2g}"
    return row(case, found["ours"], "OpenCV calls + NumPy", found["peer"], goal=GOAL, note=note)
