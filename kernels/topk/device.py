"""Launches the CUDA versions of `topk` and `weighed`."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

STRETCH = 1024         # keys a block looks through for each of the k places
BLOCK = (256, 1, 1)


def topk(queries: DeviceArray, table: DeviceArray, blocked: DeviceArray | None, ids: DeviceArray, scores: DeviceArray) -> None:
    """See the package."""
    (n, d), q, real = table.shape, len(queries), table.dtype == np.float32
    keys = DeviceArray((q, n), np.uint64)
    _cuda.launch(__package__, "topk_real" if real else "topk_whole", (n, q), "PPPiiP", queries, table, blocked, n, d, keys,
                 block=BLOCK)
    _list(keys, ids, scores)


def weighed(queries: DeviceArray, table: DeviceArray, blocked: DeviceArray | None, scale: DeviceArray | None,
            gain: DeviceArray | None, bias: DeviceArray | None, ids: DeviceArray, scores: DeviceArray) -> None:
    """See the package."""
    (n, d), q = table.shape, len(queries)
    keys = DeviceArray((q, n), np.uint64)
    _cuda.launch(__package__, "topk_weighed", (n, q), "PPPPPPiiiP", queries, table, blocked, scale, gain, bias, n, d,
                 int(table.dtype == np.float32), keys, block=BLOCK)
    _list(keys, ids, scores)


def _list(keys: DeviceArray, ids: DeviceArray, scores: DeviceArray) -> None:
    """Write what the k greatest keys of each query stand for."""
    (q, n), k = keys.shape, ids.shape[1]
    stretches = -(-n // STRETCH)
    some = DeviceArray((q, stretches, k), np.uint64)
    _cuda.launch(__package__, "topk_best", (stretches * 256, q), "PqiiP", keys, n, STRETCH, k, some, block=BLOCK)
    if stretches > 1:
        best = DeviceArray((q, 1, k), np.uint64)
        _cuda.launch(__package__, "topk_best", (256, q), "PqiiP", some, stretches * k, stretches * k, k, best, block=BLOCK)
        some = best
    _cuda.launch(__package__, "topk_write", (q * k,), "PiiPP", some, q * k, int(scores.dtype == np.float32), ids, scores)
