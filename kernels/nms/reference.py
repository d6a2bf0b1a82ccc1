"""The plain version of `nms`, in NumPy."""

from __future__ import annotations

import numpy as np


def nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray | None, iou: float, least: float,
        out: np.ndarray) -> None:
    """See the package."""
    out[:] = -1
    for picture in range(len(boxes)):
        kinds = np.zeros(boxes.shape[1], np.int32) if classes is None else classes[picture]
        stays = _one(boxes[picture], scores[picture], kinds, np.float32(iou), np.float32(least), out.shape[1])
        out[picture, :len(stays)] = stays


def _one(boxes: np.ndarray, scores: np.ndarray, kinds: np.ndarray, iou: np.float32, least: np.float32, room: int) -> list[int]:
    sound = (np.abs(boxes) <= np.float32(1e9)).all(axis=1) & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1) & (scores > least)
    waiting = np.flatnonzero(sound)
    waiting = waiting[np.argsort(-scores[waiting], kind="stable")]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    stays: list[int] = []
    while len(waiting) and len(stays) < room:
        best, waiting = waiting[0], waiting[1:]
        stays.append(int(best))
        side = np.minimum(boxes[best, 2:], boxes[waiting, 2:]) - np.maximum(boxes[best, :2], boxes[waiting, :2])
        shared = np.maximum(side[:, 0], 0) * np.maximum(side[:, 1], 0)
        same = shared > iou * ((area[best] + area[waiting]) - shared)
        waiting = waiting[~(same & (kinds[waiting] == kinds[best]))]
    return stays
