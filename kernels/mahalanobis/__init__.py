"""How far each place's features lie from the Gaussian that was fitted there: squared Mahalanobis distance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 2e-5       # float32 sums in another order
MAX_DEPTH = 4096
FACTORS = {"f": "float32", "e": "float16"}     # by dtype.char
_mahalanobis = Op(__package__, "mahalanobis")


def mahalanobis(features: np.ndarray, mean: np.ndarray, factor: np.ndarray, *, out: np.ndarray,
                inverse: np.ndarray | None = None) -> None:
    """Write |(features - mean) @ factor|^2 of each of p places, or with `inverse` what a low-rank Gaussian gives.

    `features` and `mean` float32 (p, d), d at most 4096; `out` float32 (p,). `factor`, float32 or float16, is one of
    (p, d, r): any matrix; for the distance, factor @ factor.T is the inverse of the covariance; r at most 4096.
    (p, d (d + 1) / 2): the same for r = d with an upper triangle alone, its rows one after the other (row j holds the
    columns j to d - 1: `factor[:, *np.triu_indices(d)]`); half the memory, and memory is what costs the time.
    With `inverse` float32 (p,): inverse |gap|^2 - |gap @ factor|^2, at least 0: a covariance with one variance s in all
    directions but r, where it is s + v: inverse 1 / s, and the factor's columns the directions, each of length 1 times
    sqrt(1 / s - 1 / (s + v)). A distance that is NaN counts as infinite. ValueError says
    what does not fit.
    """
    _check.array(features, "features", "float32", ("p", "d"))
    p, d = features.shape
    if d > MAX_DEPTH:
        raise ValueError(f"expected at most {MAX_DEPTH} values a place, got {d} - at `features`")
    _check.array(mean, "mean", "float32", (p, d))
    kind = FACTORS.get(factor.dtype.char, "float32") if _check.is_array(factor) else "float32"
    packed = _check.is_array(factor) and factor.ndim == 2
    _check.array(factor, "factor", kind, (p, d * (d + 1) // 2) if packed else (p, d, "r"))
    if not packed and factor.shape[2] > MAX_DEPTH:
        raise ValueError(f"expected at most {MAX_DEPTH} columns, got {factor.shape[2]} - at `factor`")
    if inverse is not None:
        _check.array(inverse, "inverse", "float32", (p,))
    _check.array(out, "out", "float32", (p,), writable=True)
    _check.apart(out, "out", features=features, mean=mean, factor=factor, inverse=inverse)
    _mahalanobis(features, mean, factor, inverse, out)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Arguments, `out` included, that every variant must agree on: small, odd, whole, packed, low-rank; float32, float16."""
    for p, d, r in ((1, 1, 1), (3, 5, 2), (2, 16, 16), (7, 17, 33), (5, 63, 8), (4, 100, 16), (2, 130, 64)):
        features, mean = rng.standard_normal((2, p, d), np.float32)
        matrix = rng.standard_normal((p, d, r), np.float32) / np.float32(d ** 0.5)
        square = rng.standard_normal((p, d, d), np.float32) / np.float32(d ** 0.5)
        triangle = np.ascontiguousarray(square[:, *np.triu_indices(d)])
        # So large that little is lost where one sum is taken from the other.
        inverse = rng.random(p, np.float32) + np.float32(20)
        for kind in FACTORS.values():
            for factor, low in ((matrix, None), (triangle, None), (matrix, inverse)):
                yield {"features": features, "mean": mean, "factor": factor.astype(kind), "inverse": low,
                       "out": np.empty(p, np.float32)}


__all__ = ["FACTORS", "MAX_DEPTH", "TOLERANCE", "cases", "mahalanobis"]
