"""Launches the CUDA version of `mahalanobis`."""

from __future__ import annotations

from .. import _cuda
from .._cuda import DeviceArray

THREADS = 128          # as in fast.cu


def mahalanobis(features: DeviceArray, mean: DeviceArray, factor: DeviceArray, inverse: DeviceArray | None,
                out: DeviceArray) -> None:
    """See the package."""
    p, d = features.shape
    columns = factor.shape[2] if factor.ndim == 3 else 0
    _cuda.launch(__package__, "mahalanobis", (p * THREADS,), "PPPPiiiP", features, mean, factor, inverse, d, columns,
                 int(str(factor.dtype) == "float16"), out, block=(THREADS, 1, 1))
