"""Of boxes that show the same thing only the best stays: greedy suppression, class by class, many pictures a call."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 0          # every variant does the same float32 operations in the same order
MOST = 1 << 24         # boxes in all
FAR = 1e9              # coordinates beyond are left out, so that no area overflows
_nms = Op(__package__, "nms")


def nms(boxes: np.ndarray, scores: np.ndarray, *, out: np.ndarray, iou: float, least: float = 0.0,
        classes: np.ndarray | None = None) -> None:
    """Write the indexes of the boxes that stay, best first, -1 after the last.

    `boxes` float32 (b, n, 4) x0, y0, x1, y1, b pictures of n boxes (n may be 0); `scores` float32 (b, n); `classes`
    int32 (b, n), or None where all are one; `out` int32 (b, k) takes at most k a picture. A box counts if its score is
    above `least`; it stays unless one of its class that stays overlaps it by more than `iou` (0..1, intersection over
    union). Equal scores: the lower index first. Boxes turned inside out, beyond 1e9, or not numbers are left out.
    ValueError says what does not fit.
    """
    _check.array(boxes, "boxes", "float32", ("b", None, 4))
    shape = boxes.shape[:2]
    _check.array(scores, "scores", "float32", shape)
    _check.array(out, "out", "int32", (shape[0], "k"), writable=True)
    if classes is not None:
        _check.array(classes, "classes", "int32", shape)
    _check.apart(out, "out", boxes=boxes, scores=scores, classes=classes)
    if shape[0] * shape[1] > MOST:
        raise ValueError(f"expected at most {MOST} boxes, got {shape[0] * shape[1]} - at `boxes`")
    most, above = _check.number(iou, "iou", 0, 1), _check.number(least, "least", -3.4e38, 3.4e38)
    _nms(boxes, scores, classes, float(most), float(above), out)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """None, one, all equal, ties, one class and many, fewer places than boxes, boxes that are none."""
    def heap(b: int, n: int, spread: float) -> np.ndarray:
        middle, size = rng.random((b, n, 2)) * spread, rng.random((b, n, 2)) * 40
        return np.concatenate([middle - size / 2, middle + size / 2], axis=2).astype(np.float32)
    for b, n, k in ((1, 0, 3), (1, 1, 1), (2, 2, 4), (1, 63, 20), (3, 65, 65), (2, 300, 300), (1, 1000, 100)):
        for classes in (None, rng.integers(-1, 3, (b, n), dtype=np.int32)):
            yield {"boxes": heap(b, n, 200.0), "scores": rng.random((b, n), np.float32), "classes": classes,
                   "out": np.empty((b, k), np.int32), "iou": 0.45, "least": 0.25}
    yield {"boxes": heap(1, 200, 60.0), "scores": rng.integers(-2, 3, (1, 200)).astype(np.float32),
           "out": np.empty((1, 200), np.int32), "iou": 0.3, "least": -1.5}
    yield {"boxes": np.ones((2, 70, 4), np.float32), "scores": np.ones((2, 70), np.float32),
           "out": np.empty((2, 80), np.int32), "iou": 0.0, "least": 0.0}
    wild = heap(1, 90, 100.0)
    wild[0, ::3, 1], wild[0, 1::9, 2], wild[0, 2::9, 0], wild[0, 4::9] = np.nan, np.inf, 1e10, wild[0, 4::9, ::-1]
    scores = rng.random((1, 90), np.float32)
    scores[0, ::5] = np.nan
    yield {"boxes": wild, "scores": scores, "out": np.empty((1, 90), np.int32), "iou": 0.5, "least": 0.0}


__all__ = ["FAR", "MOST", "TOLERANCE", "cases", "nms"]
