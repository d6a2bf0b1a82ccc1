"""The plain versions of `letterbox` and `warp`, in NumPy: the truth that every other variant is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def weights(size: int, wanted: int, antialias: bool = True) -> np.ndarray:
    """float64 (wanted, size): row o says how much of each source pixel goes into output pixel o; rows sum to 1."""
    matrix = np.zeros((wanted, size))
    step = size / wanted
    for o in range(wanted):
        if step <= 1 or not antialias:
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


def _resized(plane: np.ndarray, height: int, width: int, antialias: bool) -> np.ndarray:
    source = plane.astype(np.float64)
    return weights(plane.shape[0], height, antialias) @ source @ weights(plane.shape[1], width, antialias).T


def _bgr(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> list[np.ndarray]:
    """BT.601, limited range, clamped."""
    luma, blue, red = 1.164383 * (y - 16), u - 128, v - 128
    return [np.clip(plane, 0, 255) for plane in (
        luma + 2.017232 * blue, luma - 0.391762 * blue - 0.812968 * red, luma + 1.596027 * red)]


def _planes(image: np.ndarray, source: tuple[int, int, int, int], height: int, width: int) -> list[np.ndarray]:
    """The picture's planes, resized: three of colour, or one of gray."""
    rows, _, pixels, antialias = source
    if pixels == 0:
        parts = [image[:, :, c] for c in range(3)]
    elif pixels == 1:
        parts = [image]
    elif pixels == 2:
        parts = [image[:rows], image[rows:, 0::2], image[rows:, 1::2]]
    else:
        parts = [image[:, :, 0], image[:, 0::2, 1], image[:, 1::2, 1]]
    resized = [_resized(part, height, width, bool(antialias)) for part in parts]
    return _bgr(*resized) if pixels >= 2 else resized


def _write(planes: Sequence[np.ndarray], where: tuple[slice, slice], factors: np.ndarray, offsets: np.ndarray,
           target: tuple[int, int, int, int, float, int], out: np.ndarray) -> None:
    """Normalise `planes`, surround them with the pad, quantise where `out` is of whole numbers, lay out."""
    _, _, channels, layout, pad, swap = target
    for c in range(channels):
        plane = planes[0] if len(planes) == 1 else planes[2 - c if swap else c]
        to = out[:, :, c] if layout else out[c]
        whole = np.full(to.shape, np.float32(pad) * factors[c] + offsets[c])
        whole[where] = plane * factors[c] + offsets[c]
        if out.dtype.kind in "iu":
            limits = np.iinfo(out.dtype)
            whole = np.clip(np.rint(whole), limits.min, limits.max)
        with np.errstate(over="ignore"):
            to[:] = whole


def letterbox(image: np.ndarray, source: tuple[int, int, int, int], factors: np.ndarray, offsets: np.ndarray,
              placed: tuple[int, int, int, int], target: tuple[int, int, int, int, float, int], out: np.ndarray) -> None:
    """See the package; `source` is height, width, pixels and antialias; `placed` a Placement, `target` a Target."""
    height, width, top, left = placed
    where = np.s_[top:top + height, left:left + width]
    _write(_planes(image, source, height, width), where, factors, offsets, target, out)


def _sampled(plane: np.ndarray, x: np.ndarray, y: np.ndarray, pad: float) -> np.ndarray:
    """Bilinear samples at (x, y); a tap outside the picture, or at no number, is `pad`."""
    height, width = plane.shape
    x = np.clip(np.where(np.isfinite(x), x, -4), -4, width + 4)
    y = np.clip(np.where(np.isfinite(y), y, -4), -4, height + 4)
    wide = np.pad(plane.astype(np.float64), 6, constant_values=pad)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = x - left, y - top
    left, top = left + 6, top + 6
    upper = wide[top, left] * (1 - fx) + wide[top, left + 1] * fx
    lower = wide[top + 1, left] * (1 - fx) + wide[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


def warp(image: np.ndarray, matrix: np.ndarray, samples: int, factors: np.ndarray, offsets: np.ndarray,
         target: tuple[int, int, int, int, float, int], out: np.ndarray) -> None:
    """See the package; each output pixel is the mean of samples x samples."""
    height, width, _, _, pad, _ = target
    planes = [image] if image.ndim == 2 else [image[:, :, c] for c in range(3)]
    sums = [np.zeros((height, width)) for _ in planes]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    for j in range(samples):
        for i in range(samples):
            at = np.stack([x + (i + 0.5) / samples - 0.5, y + (j + 0.5) / samples - 0.5, np.ones_like(x)], axis=-1)
            u, v, w = np.moveaxis(at @ matrix.T, -1, 0)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                for total, plane in zip(sums, planes, strict=True):
                    total += _sampled(plane, u / w, v / w, pad)
    _write([total / samples**2 for total in sums], np.s_[:, :], factors, offsets, target, out)
