"""`nms` against OpenCV's, on a detector's 8,400 boxes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np

from ...kernels import nms
from ..report import Options, Row
from .timing import Goal, interleaved, row, seconds

BOXES, THINGS, KINDS = 8400, 40, 80
IOU = 0.45


def detector(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores, classes as a detector gives them: heaps around 40 things of a 640x640 picture."""
    thing = rng.integers(0, THINGS, BOXES)
    middle, size = rng.random((THINGS, 2)) * 600 + 20, rng.random((THINGS, 2)) * 120 + 20
    at = middle[thing] + rng.normal(0, 6, (BOXES, 2))
    half = size[thing] * rng.uniform(0.4, 0.6, (BOXES, 2))
    boxes = np.concatenate([at - half, at + half], axis=1).astype(np.float32)
    scores = (rng.random(BOXES, np.float32) ** 3).astype(np.float32)
    return boxes, scores, rng.integers(0, KINDS, THINGS, dtype=np.int32)[thing]


def rows(options: Options) -> Iterator[Row]:
    """A usual threshold, and none at all; each with one class and class by class."""
    boxes, scores, kinds = detector(np.random.default_rng(3))
    for least in (0.25, 0.0):
        case = f"nms {BOXES} boxes, {int((scores > least).sum())} above {least:g}"
        if options.wants(case):
            yield compared(f"{case}, one class", boxes, scores, None, least, seconds(options.quick))
            yield compared(f"{case}, by class", boxes, scores, kinds, least, seconds(options.quick))


def compared(case: str, boxes: np.ndarray, scores: np.ndarray, kinds: np.ndarray | None, least: float, time_s: float) -> Row:
    """Ours against the peer, which takes corners and sizes."""
    out = np.empty((1, len(boxes)), np.int32)
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    ours = partial(nms, boxes[None], scores[None], out=out, iou=IOU, least=least,
                   classes=None if kinds is None else kinds[None])
    suppress: Any = cv2.dnn.NMSBoxes if kinds is None else cv2.dnn.NMSBoxesBatched
    peer = partial(suppress, sized, scores, *(() if kinds is None else (kinds,)), least, IOU)
    found = interleaved({"ours": ours, "peer": peer}, time_s)
    same = np.array_equal(np.sort(out[out >= 0]), np.sort(np.ravel(peer())))
    note = f"{int((out >= 0).sum())} stay, {'the same as' if same else 'not all the same as'} the peer's"
    return row(case, found["ours"], "cv2.dnn.NMSBoxes" + ("" if kinds is None else "Batched"), found["peer"],
               goal=Goal(">= 3x", ratio=3.0), note=note)
