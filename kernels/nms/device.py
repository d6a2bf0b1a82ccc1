"""Launches the CUDA version of `nms`."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray


def nms(boxes: DeviceArray, scores: DeviceArray, classes: DeviceArray | None, iou: float, least: float,
        out: DeviceArray) -> None:
    """See the package."""
    (b, n), k = boxes.shape[:2], out.shape[1]
    keys = DeviceArray((b, n), np.uint64)
    if n:
        _cuda.launch(__package__, "nms_start", (b * n,), "PPiifP", boxes, scores, b * n, n, least, keys)
    _cuda.launch(__package__, "nms", (b * 256,), "PPPifiP", boxes, classes, keys, n, iou, k, out, block=(256, 1, 1))
