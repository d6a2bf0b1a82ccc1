"""A camera picture becomes a network's input in one pass: resize, pad, swap channels, normalise, quantise, lay out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, hypot
from typing import NamedTuple

import numpy as np

from .. import _check
from .._op import Op
from .examples import cases

# In steps of 0..255 before `scale`: float32 sums in another order, and FMA or not. The cases name their own for others.
TOLERANCE = (2e-3, 0.0)
MAX_SIDE = 1 << 15
MAX_SAMPLES = 8        # an axis, for `warp` where it shrinks
PIXELS = {"colour": 0, "gray": 1, "nv12": 2, "yuyv": 3}
LAYOUTS = {"CHW": 0, "HWC": 1}
SHAPES = {"colour": ("h", "w", 3), "gray": ("h", "w"), "nv12": ("h * 3 / 2", "w"), "yuyv": ("h", "w", 2)}
TYPES = {"e": "float16", "b": "int8", "B": "uint8"}
_letterbox = Op(__package__, "letterbox")
_warp = Op(__package__, "warp")


class Placement(NamedTuple):
    """Where the picture lies in the output: its size and left upper corner there, px."""

    height: int
    width: int
    top: int
    left: int


class Target(NamedTuple):
    """What `out` is: its size, channels and layout (0 CHW, 1 HWC), and what lies around the picture, 0..255."""

    height: int
    width: int
    channels: int
    layout: int
    pad: float
    swap: int


def placement(height: int, width: int, out_height: int, out_width: int, *, keep_aspect: bool = True) -> Placement:
    """How a picture of height x width lies in the output: centred, as large as fits; or stretched over all of it."""
    if not keep_aspect:
        return Placement(out_height, out_width, 0, 0)
    scale = min(out_height / height, out_width / width)
    h = min(out_height, max(1, int(height * scale + 0.5)))
    w = min(out_width, max(1, int(width * scale + 0.5)))
    return Placement(h, w, (out_height - h) // 2, (out_width - w) // 2)


def letterbox(image: np.ndarray, *, out: np.ndarray, scale: Sequence[float] = (1.0, 1.0, 1.0),
              bias: Sequence[float] = (0.0, 0.0, 0.0), swap: bool = False, pad: float = 0.0, keep_aspect: bool = True,
              antialias: bool = True, pixels: str = "colour", layout: str = "CHW", step: float = 1.0, zero: float = 0.0,
              ) -> None:
    """Write `image` resized into `out`: out[c] = value * scale[c] + bias[c], values 0..255.

    `image` is uint8: (h, w, 3) as "colour" (BGR or RGB), (h, w) as "gray", (h * 3 / 2, w) as "nv12", (h, w, 2) as
    "yuyv"; h of NV12 and w of both are even, BT.601 limited range, and they come out as BGR clamped to 0..255, chroma
    sited at the middle of its pixels. `out` is (3, H, W), or (H, W, 3) with `layout` "HWC"; gray may have 1 channel.
    float32 and float16 take the value itself; int8 and uint8 round(it / step) + zero, half to even, saturated. Sides
    up to 32768.

    Sampling has half-pixel centres: bilinear along an axis that grows, area mean along one that shrinks (bilinear too
    without `antialias`, as most networks were trained; thin lines may be lost). With `swap` channel c holds 2 - c (BGR
    to RGB). The rest of the output, `placement` says where, holds `pad` (0..255) normalised alike. ValueError says
    what does not fit.
    """
    if not isinstance(pixels, str) or pixels not in PIXELS:
        raise ValueError(f"expected one of {', '.join(PIXELS)}, got {pixels!r} - at `pixels`")
    height, width = _size(image, pixels)
    target = _target(image, out, layout, pad, swap, gray=pixels == "gray")
    if max(height, width, target.height, target.width) > MAX_SIDE:
        raise ValueError(f"expected sides of at most {MAX_SIDE}, got {image.shape} to {out.shape} - at `image`")
    factors, offsets = _affine(scale, bias, step, zero)
    placed = placement(height, width, target.height, target.width, keep_aspect=bool(keep_aspect))
    _letterbox(image, (height, width, PIXELS[pixels], int(bool(antialias))), factors, offsets, placed, target, out)


def warp(image: np.ndarray, matrix: np.ndarray, *, out: np.ndarray, scale: Sequence[float] = (1.0, 1.0, 1.0),
         bias: Sequence[float] = (0.0, 0.0, 0.0), swap: bool = False, pad: float = 0.0, layout: str = "CHW",
         step: float = 1.0, zero: float = 0.0) -> None:
    """Write the region of `image` that `matrix` points to into `out`, as `letterbox` writes it.

    `image` uint8 (h, w, 3) or, for gray, (h, w); `matrix` float64 (3, 3) takes an output pixel (x, y, 1) to the
    picture's pixel, both counted from the middle of the first one (OpenCV's WARP_INVERSE_MAP), and may
    lie in host memory where the picture is on a device. Bilinear; where the region is larger than the output, the mean of
    up to 8 x 8 samples a pixel; outside the picture is `pad`. A matrix that divides by 0 within the output gives `pad`
    there. The other arguments are those of `letterbox`.
    """
    gray = _check.is_array(image) and image.ndim == 2
    _check.array(image, "image", "uint8", ("h", "w") if gray else ("h", "w", 3))
    _check.array(matrix, "matrix", "float64", (3, 3))
    target = _target(image, out, layout, pad, swap, gray=gray)
    matrix = _check.host(matrix)
    if isinstance(out, np.ndarray):
        _check.apart(out, "out", matrix=matrix)
    if max(*image.shape, target.height, target.width) > MAX_SIDE:
        raise ValueError(f"expected sides of at most {MAX_SIDE}, got {image.shape} to {out.shape} - at `image`")
    if not all(abs(value) <= 1e12 for row in matrix.tolist() for value in row):
        raise ValueError(f"expected finite numbers of at most 1e12, got {matrix.tolist()} - at `matrix`")
    factors, offsets = _affine(scale, bias, step, zero)
    _warp(image, matrix, _samples(matrix, target.height, target.width), factors, offsets, target, out)


def _size(image: np.ndarray, pixels: str) -> tuple[int, int]:
    """Height and width of the picture in an array, which is checked."""
    height, width = _check.array(image, "image", "uint8", SHAPES[pixels]).shape[:2]
    if pixels == "nv12" and height % 3:
        raise ValueError(f"expected rows in threes, luma and half as many of chroma, got {height} - at `image`")
    if pixels in ("nv12", "yuyv") and width % 2:
        raise ValueError(f"expected an even width, got {width} - at `image`")
    return height * 2 // 3 if pixels == "nv12" else height, width


def _target(image: np.ndarray, out: np.ndarray, layout: str, pad: float, swap: bool, *, gray: bool) -> Target:
    """What `out` is; its dtype, shape and memory are checked."""
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise ValueError(f"expected CHW or HWC, got {layout!r} - at `layout`")
    dtype = TYPES.get(out.dtype.char, "float32") if _check.is_array(out) else "float32"
    axis = 0 if layout == "CHW" else 2
    channels = 1 if gray and _check.is_array(out) and out.ndim == 3 and out.shape[axis] == 1 else 3
    _check.array(out, "out", dtype, (channels, "H", "W") if layout == "CHW" else ("H", "W", channels), writable=True)
    _check.apart(out, "out", image=image)
    height, width = out.shape[1:] if layout == "CHW" else out.shape[:2]
    return Target(height, width, channels, LAYOUTS[layout], float(_check.number(pad, "pad", 0, 255)), int(bool(swap)))


def _affine(scale: Sequence[float], bias: Sequence[float], step: float, zero: float) -> tuple[np.ndarray, np.ndarray]:
    """float32 (3,) factors and offsets that normalise and quantise at once."""
    divisor, shift = _check.number(step, "step", 1e-9, 1e9), _check.number(zero, "zero", -128, 255)
    try:
        return _folded(tuple(scale), tuple(bias), divisor, shift)
    except TypeError:   # what is no sequence, or holds what cannot be a number
        raise ValueError(f"expected 3 numbers each, got {scale!r} and {bias!r} - at `scale` and `bias`") from None


@lru_cache(64)          # a model's are the same for every picture, and cost a tenth of a small one
def _folded(scale: tuple[float, ...], bias: tuple[float, ...], step: float, zero: float) -> tuple[np.ndarray, np.ndarray]:
    for name, values, most in (("scale", scale, 1e6), ("bias", bias, 1e9)):
        if len(values) != 3:
            raise ValueError(f"expected 3 numbers, got {len(values)} - at `{name}`")
        for value in values:
            _check.number(value, name, -most, most)
    made = (np.array([v / step for v in scale], np.float32), np.array([v / step + zero for v in bias], np.float32))
    for array in made:
        array.flags.writeable = False
    return made


def _samples(matrix: np.ndarray, height: int, width: int) -> int:
    """How many samples an axis make an output pixel: as many as it covers picture pixels, at the middle of the output."""
    (a, b, _), (c, d, _), (e, f, _) = rows = matrix.tolist()     # plain numbers: of nine, an array is the slower by far
    x, y = (width - 1) / 2, (height - 1) / 2
    u, v, w = (p * x + q * y + r for p, q, r in rows)
    if not abs(w) > 1e-9:
        return 1
    u, v = u / w, v / w
    longest = max(hypot((a - u * e) / w, (c - v * e) / w), hypot((b - u * f) / w, (d - v * f) / w))
    return min(max(ceil(min(longest, 1e3) - 0.25), 1), MAX_SAMPLES)


__all__ = ["MAX_SIDE", "TOLERANCE", "Placement", "Target", "cases", "letterbox", "placement", "warp"]
