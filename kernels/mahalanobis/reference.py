"""The plain version of `mahalanobis`, in NumPy: the truth that every other variant is compared with."""

from __future__ import annotations

import numpy as np


def mahalanobis(features: np.ndarray, mean: np.ndarray, factor: np.ndarray, inverse: np.ndarray | None,
                out: np.ndarray) -> None:
    """See the package; sums in float64."""
    d = features.shape[1]
    matrix = factor.astype(np.float64)
    if factor.ndim == 2:
        matrix = np.zeros((len(factor), d, d))
        matrix[:, *np.triu_indices(d)] = factor
    with np.errstate(invalid="ignore", over="ignore"):
        gap = (features - mean).astype(np.float64)
        far = np.square(gap[:, None] @ matrix).sum(axis=(1, 2))
        if inverse is not None:
            far = inverse * np.square(gap).sum(axis=1) - far
        # A NaN is no good place: it counts as infinitely far.
        out[:] = np.where(np.isnan(far), np.inf, np.maximum(far, 0))
