"""Launches the CUDA versions of `letterbox` and `warp`."""

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


def warp(image: DeviceArray, matrix: np.ndarray, samples: int, factors: np.ndarray, offsets: np.ndarray,
         target: Sequence[float], out: DeviceArray) -> None:
    """See the package and the reference; the matrix goes along with the launch."""
    height, width, channels, layout, pad, swap = target
    _cuda.launch(__package__, "warp", (int(width), int(height)), "PiiidddddddddiffffffiiiifiiP", image, *image.shape[:2],
                 int(image.ndim == 3), *matrix.ravel().tolist(), samples, *factors.tolist(), *offsets.tolist(), height, width,
                 channels, layout, pad, swap, DTYPES[str(out.dtype)], out)
