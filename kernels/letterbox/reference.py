"""The plain version of `letterbox`, in NumPy: two matrices of weights, one an axis."""

from __future__ import annotations

import numpy as np


def weights(size: int, wanted: int) -> np.ndarray:
    """float64 (wanted, size): row o says how much of each source pixel goes into output pixel o; rows sum to 1."""
    matrix = np.zeros((wanted, size))
    step = size / wanted
    for o in range(wanted):
        if step <= 1:
            at = min(max((o + 0.5) * step - 0.5, 0.0), size - 1.0)
            low = int(at)
            matrix[o, low] += 1 - (at - low)
            matrix[o, min(low + 1, size - 1)] += at - low
            continue
        first, last = o * step, min((o + 1) * step, size)
        for i in range(int(first), min(int(np.ceil(last)), size)):
            matrix[o, i] = min(i + 1, last) - max(i, first)
        matrix[o] /= matrix[o].sum()
    return matrix


def letterbox(image: np.ndarray, scale: np.ndarray, bias: np.ndarray, swap: bool, pad: float,
              placed: tuple[int, int, int, int], out: np.ndarray) -> None:
    """See the package; `placed` is its Placement."""
    height, width, top, left = placed
    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    for plane in range(3):
        source = image[:, :, 2 - plane if swap else plane].astype(np.float64)
        out[plane] = np.float32(pad) * scale[plane] + bias[plane]
        out[plane, top:top + height, left:left + width] = rows @ source @ columns.T * scale[plane] + bias[plane]
