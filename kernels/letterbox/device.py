"""Launches the CUDA version of `letterbox`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _cuda
from .._cuda import DeviceArray

DTYPES = {"float32": 0, "float16": 1, "int8": 2, "uint8": 3}


def letterbox(image: DeviceArray, source: Sequence[int], factors: np.ndarray, offsets: np.ndarray, placed: Sequence[int],
              target: Sequence[float], out: DeviceArray) -> None:
    """See the package and the reference."""
    height, width, channels, layout, pad, swap = target
    _cuda.launch(__package__, "letterbox", (int(width), int(height)), "PiiiiffffffiiiiiiiifiiP", image, *source,
                 *factors.tolist(), *offsets.tolist(), *placed, height, width, channels, layout, pad, swap,
                 DTYPES[str(out.dtype)], out)
