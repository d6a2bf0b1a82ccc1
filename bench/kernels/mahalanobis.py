"""`mahalanobis` against NumPy's batched matrix product: a Gaussian of its own for each of 784 places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...kernels import mahalanobis
from ...kernels.mahalanobis import reference
from ..report import Options, Row
from .peers import one_thread
from .timing import Goal, interleaved, row, seconds

PLACES, DEPTH, RANK = 784, 100, 16


def rows(options: Options) -> Iterator[Row]:
    """Whole, packed triangle, low rank; float32 and float16."""
    case = f"mahalanobis {PLACES} x {DEPTH}"
    if not options.wants(case):
        return
    rng = np.random.default_rng(0)
    features, mean = rng.standard_normal((2, PLACES, DEPTH), np.float32)
    square = rng.standard_normal((PLACES, DEPTH, DEPTH), np.float32) / np.float32(DEPTH)
    whiten = np.ascontiguousarray(square.transpose(0, 2, 1))
    factors = {"matrix": square, "triangle": np.ascontiguousarray(square[:, *np.triu_indices(DEPTH)]),
               f"low rank {RANK}": np.ascontiguousarray(square[:, :, :RANK])}
    inverse = np.full(PLACES, 2, np.float32)
    out, want = np.empty(PLACES, np.float32), np.empty(PLACES, np.float32)
    with one_thread():
        for name, factor in factors.items():
            low = inverse if "rank" in name else None
            for kind in (np.float32, np.float16):
                stored = factor.astype(kind)

                def ours(stored: np.ndarray = stored, low: np.ndarray | None = low) -> None:
                    mahalanobis(features, mean, stored, inverse=low, out=out)

                def peer() -> object:
                    return np.square(whiten @ (features - mean)[..., None]).sum(axis=(1, 2))
                words = stored.reshape(-1).view(np.uint64)
                found = interleaved({"ours": ours, "numpy": peer, "read": words.max}, seconds(options.quick) / 2)
                ours()
                reference.mahalanobis(features, mean, stored, low, want)
                error = float(np.max(np.abs(out - want) / (1 + np.abs(want))))
                # The goals are met by the form that a recipe would store: the triangle in float16, any low rank.
                goal = Goal("<= 0.2 ms", most_us=200) if low is not None else Goal("<= 0.8 ms", most_us=800)
                yield row(f"{case}, {name}, {np.dtype(kind)}", found["ours"], "NumPy batched matmul, float32", found["numpy"],
                          goal=goal, note=f"largest relative error {error:.1e}; factor of {stored.nbytes / 1e6:.1f} MB")
                yield row(f"{case}, {name}, {np.dtype(kind)}", found["ours"], "reading the factor", found["read"])
