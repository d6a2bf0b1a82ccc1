"""The plain version of `knn`, in NumPy: the truth that every other variant is compared with."""

from __future__ import annotations

import numpy as np


def knn(query: np.ndarray, bank: np.ndarray, skip: np.ndarray, radius: int, out: np.ndarray) -> None:
    """See the package; `skip` is always given and radius -1 means the whole bank."""
    h, w, d = query.shape
    wide = query.astype(np.int32)
    out[:] = np.iinfo(np.int32).max
    for part in bank[skip == 0]:
        if radius < 0:
            for code in part.reshape(-1, d).astype(np.int32):
                np.minimum(out, ((wide - code) ** 2).sum(axis=2, dtype=np.int32), out=out)
            continue
        for dy in range(-min(radius, h - 1), min(radius, h - 1) + 1):
            for dx in range(-min(radius, w - 1), min(radius, w - 1) + 1):
                here = np.s_[max(0, -dy):h - max(0, dy), max(0, -dx):w - max(0, dx)]
                there = np.s_[max(0, dy):h - max(0, -dy), max(0, dx):w - max(0, -dx)]
                far = ((wide[here] - part[there]) ** 2).sum(axis=2, dtype=np.int32)
                np.minimum(out[here], far, out=out[here])
