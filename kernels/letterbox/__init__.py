"""A camera picture becomes a network's input in one pass: resize, pad, swap channels, normalise, lay out as planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = (2e-3, 0.0)   # in steps of 0..255 before `scale`: float32 sums in another order
MAX_SIDE = 1 << 15
_letterbox = Op(__package__, "letterbox")


class Placement(NamedTuple):
    """Where the picture lies in the output: its size and left upper corner there, px."""

    height: int
    width: int
    top: int
    left: int


def placement(height: int, width: int, out_height: int, out_width: int, *, keep_aspect: bool = True) -> Placement:
    """How a picture of height x width lies in the output: centred, as large as fits; or stretched over all of it."""
    if not keep_aspect:
        return Placement(out_height, out_width, 0, 0)
    scale = min(out_height / height, out_width / width)
    h = min(out_height, max(1, int(height * scale + 0.5)))
    w = min(out_width, max(1, int(width * scale + 0.5)))
    return Placement(h, w, (out_height - h) // 2, (out_width - w) // 2)


def letterbox(image: np.ndarray, *, out: np.ndarray, scale: Sequence[float] = (1.0, 1.0, 1.0),
              bias: Sequence[float] = (0.0, 0.0, 0.0), swap: bool = False, pad: float = 0.0,
              keep_aspect: bool = True) -> None:
    """Write `image` resized into float32 planes: out[c] = value * scale[c] + bias[c], values 0..255.

    `image` uint8 (h, w, 3); `out` float32 (3, H, W); sides up to 32768. Sampling has half-pixel centres: bilinear along
    an axis that grows, area mean along one that shrinks. With `swap` plane c holds channel 2 - c (BGR to RGB). The rest
    of the output, `placement` says where, holds `pad` (0..255) normalised alike. ValueError says what does not fit.
    """
    _check.array(image, "image", "uint8", ("h", "w", 3))
    _check.array(out, "out", "float32", (3, "H", "W"), writable=True)
    _check.apart(out, "out", image=image)
    if max(*image.shape, *out.shape) > MAX_SIDE:
        raise ValueError(f"expected sides of at most {MAX_SIDE}, got {image.shape} to {out.shape} - at `image`")
    factors = np.array([_check.number(v, "scale", -1e6, 1e6) for v in scale], np.float32)
    offsets = np.array([_check.number(v, "bias", -1e9, 1e9) for v in bias], np.float32)
    if len(factors) != 3 or len(offsets) != 3:
        raise ValueError(f"expected 3 numbers, got {len(factors)} and {len(offsets)} - at `scale` and `bias`")
    filler = _check.number(pad, "pad", 0, 255)
    placed = placement(image.shape[0], image.shape[1], out.shape[1], out.shape[2], keep_aspect=keep_aspect)
    _letterbox(image, factors, offsets, bool(swap), filler, tuple(placed), out)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Arguments, `out` included, that every variant must agree on."""
    def picture(h: int, w: int) -> np.ndarray:
        return rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    sizes = [((1, 1), (1, 1)), ((1, 1), (5, 7)), ((2, 3), (8, 8)), ((7, 5), (3, 3)), ((480, 640), (224, 224)),
             ((33, 65), (64, 16)), ((16, 16), (17, 31)), ((300, 2), (20, 40)), ((480, 640), (216, 288)), ((9, 9), (9, 9))]
    for (h, w), (oh, ow) in sizes:
        for keep_aspect in (True, False):
            yield {"image": picture(h, w), "out": np.empty((3, oh, ow), np.float32), "keep_aspect": keep_aspect}
    yield {"image": picture(40, 50), "out": np.empty((3, 32, 32), np.float32), "swap": True, "pad": 114.0,
           "scale": (1 / 58.4, 1 / 57.1, 1 / 57.4), "bias": (-2.1, -2.0, -1.8)}


__all__ = ["MAX_SIDE", "TOLERANCE", "Placement", "cases", "letterbox", "placement"]
