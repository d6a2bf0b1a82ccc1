"""The plain versions of `knn` and `within`, in NumPy: the truth that every other variant is compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def gaps(query: np.ndarray, part: np.ndarray, radius: int) -> Iterator[np.ndarray]:
    """Squared distances (h, w) to one code of the part for every cell, code by code; the greatest value where none is."""
    h, w, d = query.shape
    kind = np.int32 if query.dtype == np.int8 else np.float32
    most = np.iinfo(np.int32).max if kind is np.int32 else np.inf
    wide, part = query.astype(kind), part.astype(kind)
    with np.errstate(invalid="ignore", over="ignore"):
        if radius < 0:
            for code in part.reshape(-1, d):
                yield ((wide - code) ** 2).sum(axis=2, dtype=kind)
            return
        for dy in range(-min(radius, h - 1), min(radius, h - 1) + 1):
            for dx in range(-min(radius, w - 1), min(radius, w - 1) + 1):
                here = np.s_[max(0, -dy):h - max(0, dy), max(0, -dx):w - max(0, dx)]
                there = np.s_[max(0, dy):h - max(0, -dy), max(0, dx):w - max(0, -dx)]
                far = np.full((h, w), most, kind)
                far[here] = ((wide[here] - part[there]) ** 2).sum(axis=2, dtype=kind)
                yield far


def knn(query: np.ndarray, bank: np.ndarray, skip: np.ndarray, radius: int, out: np.ndarray) -> None:
    """See the package; `skip` is always given, radius -1 means the whole bank, `out` is (h, w, k)."""
    out[:] = np.iinfo(np.int32).max if out.dtype == np.int32 else np.inf
    for part in bank[skip == 0]:
        for far in gaps(query, part, radius):
            with_it = np.concatenate((out, np.nan_to_num(far, nan=np.inf, posinf=np.inf)[..., None]), axis=2)
            out[:] = np.sort(with_it, axis=2)[..., :-1]


def within(query: np.ndarray, bank: np.ndarray, skip: np.ndarray, radius: int, bound: float, out: np.ndarray) -> None:
    """See the package; the full search, then the comparison."""
    far = np.empty((*query.shape[:2], 1), np.int32 if bank.dtype == np.int8 else np.float32)
    knn(query, bank, skip, radius, far)
    out[:] = far[..., 0] <= far.dtype.type(bound)


def lay(bank: np.ndarray, near: int) -> None:
    """Nothing: this version reads codes as they lie."""
