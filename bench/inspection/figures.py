"""Figures of merit: how well scores, maps and regions tell faults from good parts."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

AUPRO_LIMIT = 0.3      # share of good px taken for faults up to which AUPRO is integrated
STEPS = 60             # thresholds over which it is
COARSE = 4             # px of the picture per px on which maps are compared with masks


def auroc(good: np.ndarray, bad: np.ndarray) -> float:
    """Chance that a bad one's value is above a good one's, ties half: any two float arrays, neither empty."""
    order = np.sort(np.asarray(good, np.float64).ravel())
    values = np.asarray(bad, np.float64).ravel()
    below, upto = np.searchsorted(order, values, "left"), np.searchsorted(order, values, "right")
    return float((below + upto).mean() / (2 * len(order)))


def coarse_map(map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A float32 map of cells stretched over a picture of `size` (height, width), at a quarter of its resolution."""
    return cv2.resize(map, (size[1] // COARSE, size[0] // COARSE), interpolation=cv2.INTER_LINEAR)


def coarse_mask(mask: np.ndarray) -> np.ndarray:
    """A mask, uint8 (h, w), as bool at a quarter of its resolution: True where any of its px is above 0."""
    h, w = mask.shape[0] // COARSE, mask.shape[1] // COARSE
    return np.asarray((mask[:h * COARSE, :w * COARSE] > 0).reshape(h, COARSE, w, COARSE).any(axis=(1, 3)))


def pixel_auroc(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> float:
    """AUROC of px inside against px outside the masks, all pictures pooled; maps float32 and masks bool of one shape each."""
    inside = np.concatenate([m[k] for m, k in zip(maps, masks, strict=True)])
    outside = np.concatenate([m[~k] for m, k in zip(maps, masks, strict=True)])
    return auroc(outside, inside)


def aupro(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], limit: float = AUPRO_LIMIT) -> float:
    """Area under the mean share of each fault that is covered, over the share of good px covered, 0..limit, normalised."""
    outside = np.sort(np.concatenate([m[~k] for m, k in zip(maps, masks, strict=True)]))
    faults = []
    for map, mask in zip(maps, masks, strict=True):
        count, labels = cv2.connectedComponents(mask.astype(np.uint8))
        faults += [np.sort(map[labels == i]) for i in range(1, count)]
    shares = np.linspace(0, limit, STEPS + 1)
    lines = outside[np.minimum(np.round((1 - shares) * (len(outside) - 1)).astype(int), len(outside) - 1)]
    covered = np.mean([1 - np.searchsorted(fault, lines, "right") / len(fault) for fault in faults], axis=0)
    return float(np.trapezoid(covered, shares) / limit)


def hits(boxes: Sequence[tuple[int, int, int, int]], regions: Sequence[tuple[int, int, int, int]]) -> tuple[int, int]:
    """How many truth boxes touch a region, and how many regions touch no truth box; all x, y, w, h."""
    def touch(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
        return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    found = sum(any(touch(box, region) for region in regions) for box in boxes)
    return found, sum(not any(touch(box, region) for box in boxes) for region in regions)
