"""Launches the CUDA versions of `knn` and `within`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

MOST_ROWS = 1024       # blocks in y: more parts than that share them
KINDS = {"int8": 0, "float32": 1, "float16": 2}
LAYOUT = "PPPiiiiiiiii"
BLOCK = (128, 1, 1)


def _search(query: DeviceArray, bank: DeviceArray, skip: DeviceArray, radius: int) -> tuple[Any, ...]:
    """What every kernel takes first. A whole bank is searched place by place, so that many blocks share a single part."""
    h, w, d = query.shape
    n, bh, bw = bank.shape[:3]
    parts, rows, columns, each = (n * bh * bw, 1, 1, bh * bw) if radius < 0 else (n, bh, bw, 1)
    return query, bank, skip, parts, h, w, rows, columns, d, radius, KINDS[str(bank.dtype)], each


def knn(query: DeviceArray, bank: DeviceArray, skip: np.ndarray, radius: int, out: DeviceArray) -> None:
    """See the package and the reference; `out` is (h, w, k), or (h, w) for one."""
    (h, w), k = out.shape[:2], out.shape[2] if out.ndim == 3 else 1
    used = _cuda.parameter(skip)
    greatest = 0x7FFFFFFF if str(out.dtype) == "int32" else 0x7F800000
    _cuda.launch(__package__, "knn_start", (h * w * k,), "Pii", out, h * w * k, greatest)
    search = _search(query, bank, used, radius)
    if k == 1:
        _cuda.launch(__package__, "knn_nearest", (h * w, min(search[3], MOST_ROWS)), LAYOUT + "P", *search, out, block=BLOCK)
    else:
        _cuda.launch(__package__, "knn_several", (h * w,), LAYOUT + "iP", *search, k, out, block=BLOCK)


def within(query: DeviceArray, bank: DeviceArray, skip: np.ndarray, radius: int, bound: float, out: DeviceArray) -> None:
    """See the package and the reference."""
    used = _cuda.parameter(skip)
    bits = int(bound) if str(bank.dtype) == "int8" else int(np.float32(bound).view(np.int32))
    search = _search(query, bank, used, radius)
    cells = out.shape[0] * out.shape[1]
    _cuda.launch(__package__, "knn_none", (cells,), "Pi", out, cells)
    _cuda.launch(__package__, "knn_within", (cells, min(search[3], MOST_ROWS)), LAYOUT + "iP", *search, bits, out, block=BLOCK)
