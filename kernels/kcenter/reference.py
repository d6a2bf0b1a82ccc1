"""The plain version of `kcenter`, in NumPy: the truth that every other variant is compared with."""

from __future__ import annotations

import numpy as np


def kcenter(codes: np.ndarray, first: int, out: np.ndarray) -> int:
    """See the package; a chosen code's distance is -1, so that it is not chosen again."""
    wide = codes.astype(np.int32)
    far = np.full(len(codes), np.iinfo(np.int32).max, np.int32)
    nearest = first
    for row in range(len(out)):
        if row:
            nearest = int(np.argmax(far))
        out[row] = nearest
        np.minimum(far, ((wide - wide[nearest]) ** 2).sum(axis=1, dtype=np.int32), out=far)
        far[nearest] = -1
    return max(0, int(far.max()))
