"""Nearest neighbours in a memory bank, near the same place of the grid or anywhere: how unlike a cell is to all taught."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op
from .bank import MAX_DEPTH, Bank

# Absolute and relative: int8 codes give the same bits everywhere, float32 sums run in another order.
TOLERANCE = {"knn": (0.0, 2e-6), "within": (0.0, 0.0)}
BANKS = {"b": "int8", "f": "float32", "e": "float16"}    # by dtype.char
_knn = Op(__package__, "knn")
_within = Op(__package__, "within")


def _codes(query: np.ndarray, bank: np.ndarray | Bank, radius: int | None, skip: np.ndarray | None) -> tuple[np.ndarray, int]:
    """The bank's codes and the radius as a number, both checked, and what both functions ask of the others."""
    codes = bank.codes if isinstance(bank, Bank) else bank
    kind = BANKS.get(codes.dtype.char, "int8") if _check.is_array(codes) else "int8"
    h, w, d = _check.array(query, "query", "int8" if kind == "int8" else "float32", ("h", "w", "d")).shape
    _check.array(codes, "bank", kind, ("n", "h", "w", d) if radius is None else ("n", h, w, d))
    most = MAX_DEPTH if kind == "int8" else 1 << 20
    if d > most:
        raise ValueError(f"expected at most {most} values a cell, got {d} - at `query`")
    if skip is not None and _check.host(_check.array(skip, "skip", "uint8", (len(codes),))).all():
        raise ValueError(f"expected a part that is not skipped, got all {len(codes)} skipped - at `skip`")
    return codes, -1 if radius is None else int(_check.number(radius, "radius", 0, 1 << 20))


def knn(query: np.ndarray, bank: np.ndarray | Bank, *, out: np.ndarray, radius: int | None,
        skip: np.ndarray | None = None) -> None:
    """Write the least squared distances of each query cell to the bank's cells nearby.

    `query` (h, w, d); `bank` (n, h, w, d), n parts on the same grid. Both int8, d at most 16384, and `out` int32: whole
    numbers, exact. Or `query` float32, `bank` float32 or float16, and `out` float32; a distance that is NaN counts as
    infinite. `out` (h, w) takes the nearest, (h, w, k) the k nearest, nearest first; where the bank has fewer, the
    type's greatest value (inf). With `radius` r the cells within r rows and r columns of the same place are compared.
    With `radius` None every cell of the bank is, and its grid may have any size: (n, bh, bw, d). `skip` uint8 (n,)
    leaves out the parts where it is not 0 (leave-one-out); one part must remain. A bank that is searched often is given
    as a `Bank` of the array. ValueError says what does not fit.
    """
    codes, reach = _codes(query, bank, radius, skip)
    deep = _check.is_array(out) and out.ndim == 3
    kind = "int32" if codes.dtype.char == "b" else "float32"
    _check.array(out, "out", kind, (*query.shape[:2], "k") if deep else query.shape[:2], writable=True)
    _check.apart(out, "out", query=query, bank=codes, skip=skip)
    form = bank.form(radius, out.shape[2] if deep else 1, skip) if isinstance(bank, Bank) else bank
    used = np.zeros(len(codes), np.uint8) if skip is None else skip
    _knn(query, form, used, reach, out if deep else out.reshape(*out.shape, 1))


def within(query: np.ndarray, bank: np.ndarray | Bank, *, bound: float, out: np.ndarray, radius: int | None,
           skip: np.ndarray | None = None) -> None:
    """Write 1 where the nearest cell of the bank lies within `bound` (squared distance, included), else 0.

    Arguments as for `knn`, with `out` uint8 (h, w), `bound` from 0, a whole number for int8. The verdict is the one that
    `knn` and a comparison give; a cell is done once one neighbour within the bound is found, so that a good part costs
    a small share of the full search. ValueError says what does not fit.
    """
    codes, reach = _codes(query, bank, radius, skip)
    _check.array(out, "out", "uint8", query.shape[:2], writable=True)
    _check.apart(out, "out", query=query, bank=codes, skip=skip)
    whole = codes.dtype.char == "b"
    most = _check.number(bound, "bound", 0, (1 << 31) - 1 if whole else 3.4e38)
    if whole and most != int(most):
        raise ValueError(f"expected a whole number for int8 codes, got {bound!r} - at `bound`")
    form = bank.form(radius, 1, skip) if isinstance(bank, Bank) else bank
    used = np.zeros(len(codes), np.uint8) if skip is None else skip
    _within(query, form, used, reach, int(most) if whole else float(most), out)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Calls that every variant must agree on: small, odd, extreme, real; codes, floats, halves; one nearest, several."""
    def codes(*shape: int) -> np.ndarray:
        return rng.integers(-128, 128, shape, dtype=np.int8)
    def case(query: np.ndarray, bank: np.ndarray, radius: int | None, skip: np.ndarray | None = None, k: int = 0) -> dict:
        shape = (*query.shape[:2], k) if k else query.shape[:2]
        return {"function": "knn", "query": query, "bank": bank, "radius": radius, "skip": skip,
                "out": np.empty(shape, np.int32 if bank.dtype == np.int8 else np.float32)}
    shapes = [(1, 1, 1, 1), (2, 3, 5, 7), (3, 1, 17, 63), (2, 4, 15, 64), (1, 3, 16, 65), (3, 5, 33, 32), (2, 2, 31, 128)]
    for n, h, w, d in shapes:
        for radius in (0, 1, 2, None):
            query, bank = codes(h, w, d), codes(n, h, w, d)
            floats = [rng.standard_normal((m, h, w, d), np.float32) for m in (1, n)]
            yield case(query, bank, radius)
            yield case(query, bank, radius, k=n + 2)
            yield case(floats[0][0], floats[1], radius)
            yield case(floats[0][0], floats[1].astype(np.float16), radius, k=2)
            far = np.sort((query.astype(np.int32) ** 2).sum(axis=2).ravel())
            yield {"function": "within", "query": query, "bank": bank, "radius": radius, "skip": None,
                   "bound": int(far[len(far) // 2] * 1.3), "out": np.empty((h, w), np.uint8)}
    yield case(np.full((2, 18, 64), -128, np.int8), np.full((2, 2, 18, 64), 127, np.int8), 1)
    yield case(codes(4, 20, 64), codes(6, 4, 20, 64), 1, np.array([1, 0, 0, 1, 0, 0], np.uint8))
    yield case(codes(3, 19, 64), codes(2, 1, 37, 64), None)
    yield case(codes(24, 32, 64), codes(30, 24, 32, 64), 1)


__all__ = ["BANKS", "MAX_DEPTH", "TOLERANCE", "Bank", "cases", "knn", "within"]
