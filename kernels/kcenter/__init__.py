"""Codes that stand for all: greedily the one furthest from those already chosen, so that none is far from its nearest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 0          # whole numbers: every variant chooses the same
MAX_DEPTH = 16_384     # so that no sum leaves 32 bits
_kcenter = Op(__package__, "kcenter")


def kcenter(codes: np.ndarray, *, out: np.ndarray, first: int = 0) -> int:
    """Write the ids of k codes in the order chosen; return the greatest squared distance of any code to its nearest.

    `codes` int8 (n, d), d at most 16384; `out` int32 (k,), k from 1 to n; `first` 0..n-1 is chosen first, then always
    the code whose nearest chosen one is furthest (ties: the lowest id; none is chosen twice). No choice of k codes
    covers all within less than half that distance (a quarter, squared): Gonzalez, "Clustering to minimize the maximum
    intercluster distance", 1985. Takes scratch memory of two to four times the codes. ValueError says what does not fit.
    """
    _check.array(codes, "codes", "int8", ("n", "d"))
    n, d = codes.shape
    _check.array(out, "out", "int32", ("k",), writable=True)
    _check.apart(out, "out", codes=codes)
    if d > MAX_DEPTH:
        raise ValueError(f"expected at most {MAX_DEPTH} values a code, got {d} - at `codes`")
    if not len(out) <= n < 1 << 31:
        raise ValueError(f"expected at least {len(out)} codes for that `out` and fewer than 2**31, got {n} - at `codes`")
    start = _check.number(first, "first", 0, n - 1)
    if start != int(start):
        raise ValueError(f"expected a whole number, got {first!r} - at `first`")
    return int(_kcenter(codes, int(start), out))


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Arguments, `out` included, that every variant must agree on: one code, all alike, few values, odd sizes, extreme."""
    for n, d, k in ((1, 1, 1), (5, 3, 5), (17, 63, 4), (64, 64, 64), (65, 64, 10), (300, 65, 40), (1000, 64, 30), (130, 7, 60)):
        for reach in (2, 128):
            yield {"codes": rng.integers(-reach, reach, (n, d), dtype=np.int8), "out": np.empty(k, np.int32), "first": n // 2}
    yield {"codes": np.full((40, 64), -128, np.int8), "out": np.empty(20, np.int32), "first": 7}
    ends = rng.choice(np.array([-128, 127], np.int8), (20, MAX_DEPTH))
    yield {"codes": ends, "out": np.empty(6, np.int32), "first": 0}


__all__ = ["MAX_DEPTH", "TOLERANCE", "cases", "kcenter"]
