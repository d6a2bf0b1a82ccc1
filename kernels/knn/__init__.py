"""Nearest neighbour of int8 codes, near the same place of the grid: how unlike every cell is to all taught parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 0          # whole numbers: every variant gives the same bits
MAX_DEPTH = 32_768     # 255 * 255 * depth must stay below 2**31
_knn = Op(__package__, "knn")


def knn(query: np.ndarray, bank: np.ndarray, *, out: np.ndarray, radius: int | None,
        skip: np.ndarray | None = None) -> None:
    """Write the least squared distance of each query cell to the bank's cells nearby.

    `query` int8 (h, w, d); `bank` int8 (n, h, w, d), n parts on the same grid; `out` int32 (h, w). With `radius` r the
    cells within r rows and r columns of the same place are compared. With `radius` None every cell of the bank is, and
    its grid may have any size: (n, bh, bw, d). `skip` uint8 (n,) leaves out the parts where it is not 0
    (leave-one-out); one part must remain. d is at most 32768, so that the sum cannot overflow. ValueError says what
    does not fit.
    """
    _check.array(query, "query", "int8", ("h", "w", "d"))
    h, w, d = query.shape
    _check.array(bank, "bank", "int8", ("n", "h", "w", d) if radius is None else ("n", h, w, d))
    _check.array(out, "out", "int32", (h, w), writable=True)
    _check.apart(out, "out", query=query, bank=bank, skip=skip)
    if d > MAX_DEPTH:
        raise ValueError(f"expected at most {MAX_DEPTH} values a cell, got {d} - at `query`")
    if radius is not None:
        radius = int(_check.number(radius, "radius", 0, 1 << 20))
    if skip is not None and np.all(_check.host(_check.array(skip, "skip", "uint8", (len(bank),)))):
        raise ValueError(f"expected a part that is not skipped, got all {len(bank)} skipped - at `skip`")
    used = np.zeros(len(bank), np.uint8) if skip is None else skip
    _knn(query, bank, used, -1 if radius is None else radius, out)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Arguments, `out` included, that every variant must agree on: small, odd, extreme, real."""
    def codes(*shape: int) -> np.ndarray:
        return rng.integers(-128, 128, shape, dtype=np.int8)
    def case(query: np.ndarray, bank: np.ndarray, radius: int | None, skip: np.ndarray | None = None) -> dict:
        return {"query": query, "bank": bank, "radius": radius, "skip": skip, "out": np.empty(query.shape[:2], np.int32)}
    shapes = [(1, 1, 1, 1), (2, 3, 5, 7), (3, 1, 17, 63), (2, 4, 15, 64), (1, 3, 16, 65), (3, 5, 33, 32), (2, 2, 31, 128)]
    for n, h, w, d in shapes:
        for radius in (0, 1, 2, None):
            yield case(codes(h, w, d), codes(n, h, w, d), radius)
    yield case(np.full((2, 18, 64), -128, np.int8), np.full((2, 2, 18, 64), 127, np.int8), 1)
    yield case(codes(4, 20, 64), codes(6, 4, 20, 64), 1, np.array([1, 0, 0, 1, 0, 0], np.uint8))
    yield case(codes(3, 19, 64), codes(2, 1, 37, 64), None)
    yield case(codes(24, 32, 64), codes(30, 24, 32, 64), 1)


__all__ = ["MAX_DEPTH", "TOLERANCE", "cases", "knn"]
