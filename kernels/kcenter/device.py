"""Launches the CUDA version of `kcenter`."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

THREADS = (256, 1, 1)


def kcenter(codes: DeviceArray, first: int, out: DeviceArray) -> int:
    """See the package; one pass over the codes a centre, the next one's choice stays on the device."""
    (n, d), k = codes.shape, len(out)
    groups = -(-d // 4)
    words, terms, far = DeviceArray((groups, n), np.uint32), DeviceArray((n,), np.int32), DeviceArray((n,), np.int32)
    keys = np.zeros(k + 1, np.uint64)
    keys[0] = 0xFFFFFFFF - first
    best = DeviceArray.of(keys)
    _cuda.launch(__package__, "kcenter_lay", (n,), "PiiPPP", codes, n, d, words, terms, far, block=THREADS)
    for row in range(k):
        _cuda.launch(__package__, "kcenter_pass", (n,), "PPiiiPPP", words, terms, n, groups, row, far, best, out, block=THREADS)
    return max(0, int(best.host()[k] >> np.uint64(32)) - 1)
