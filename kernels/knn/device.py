"""Launches the CUDA version of `knn`."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

MOST_ROWS = 1024       # blocks in y: more parts than that share them


def knn(query: DeviceArray, bank: DeviceArray, skip: np.ndarray, radius: int, out: DeviceArray) -> None:
    """See the package and the reference."""
    h, w, d = query.shape
    n, bh, bw = bank.shape[:3]
    used = _cuda.parameter(skip)
    _cuda.launch(__package__, "knn_start", (h * w,), "Pi", out, h * w)
    _cuda.launch(__package__, "knn", (h * w, min(n, MOST_ROWS)), "PPPiiiiiiiP", query, bank, used, n, h, w, bh, bw, d, radius,
                 out, block=(128, 1, 1))
