"""Launches the CUDA version of `topk`."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

STRETCH = 1024         # keys a block looks through for each of the k places
BLOCK = (256, 1, 1)


def topk(queries: DeviceArray, table: DeviceArray, blocked: DeviceArray | None, ids: DeviceArray, scores: DeviceArray) -> None:
    """See the package."""
    (n, d), (q, k), real = table.shape, ids.shape, table.dtype == np.float32
    keys = DeviceArray((q, n), np.uint64)
    _cuda.launch(__package__, "topk_real" if real else "topk_whole", (n, q), "PPPiiP", queries, table, blocked, n, d, keys,
                 block=BLOCK)
    stretches = -(-n // STRETCH)
    some = DeviceArray((q, stretches, k), np.uint64)
    _cuda.launch(__package__, "topk_best", (stretches * 256, q), "PqiiP", keys, n, STRETCH, k, some, block=BLOCK)
    if stretches > 1:
        best = DeviceArray((q, 1, k), np.uint64)
        _cuda.launch(__package__, "topk_best", (256, q), "PqiiP", some, stretches * k, stretches * k, k, best, block=BLOCK)
        some = best
    _cuda.launch(__package__, "topk_write", (q * k,), "PiiPP", some, q * k, int(real), ids, scores)
