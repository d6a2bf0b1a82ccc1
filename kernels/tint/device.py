"""Launches the CUDA version of `tint`."""

from __future__ import annotations

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray


def tint(mask: DeviceArray, numbers: np.ndarray, out: DeviceArray) -> None:
    """See the package and the reference."""
    pixels = out.shape[0] * out.shape[1]
    _cuda.launch(__package__, "tint", (pixels,), "PPPi", mask, _cuda.parameter(numbers), out, pixels)
