"""Recolour what a mask shows (lips, hair, a shirt that is worn) in Lab, keeping its light and its texture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 1          # of 255, against float64: float32 and a cube root to 2e-5
MAX_SIDE = 1 << 14
_tint = Op(__package__, "tint")


def _colour(value: Sequence[float], name: str) -> tuple[float, float, float]:
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 3:
        raise ValueError(f"expected three numbers (L, a, b), got {value!r} - at `{name}`")
    lightness = float(_check.number(value[0], f"{name}[0]", 0, 100))
    return (lightness, *(float(_check.number(v, f"{name}[{k}]", -128, 128)) for k, v in enumerate(value[1:], 1)))  # type: ignore[return-value]


def tint(mask: np.ndarray, base: Sequence[float], target: Sequence[float], *, out: np.ndarray, keep: float = 0.5,
         strength: float = 1.0, gloss: float = 0.0) -> None:
    """Recolour `out` in place so that a pixel of the colour `base` becomes `target`.

    `out` uint8 BGR (h, w, 3), sRGB; `mask` uint8 (h, w), 0 leaves a pixel alone, 255 recolours it in full, times
    `strength` 0..1. `base` and `target` are CIE Lab under D65: L 0..100, a and b -128..128; `base` is the mean colour of
    what is there. A pixel's new colour: L' = L + target L - base L + gloss * max(0, L - base L), so that folds stay and
    highlights grow with `gloss` 0..4; a' = target a + keep * (a - base a), b' alike, so that `keep` 0..1 of the print
    remains. What sRGB cannot show is clipped channel by channel. Sides up to 16384. ValueError says what does not fit.
    """
    _check.array(out, "out", "uint8", ("h", "w", 3), writable=True)
    _check.array(mask, "mask", "uint8", out.shape[:2])
    _check.apart(out, "out", mask=mask)
    if max(out.shape) > MAX_SIDE:
        raise ValueError(f"expected sides of at most {MAX_SIDE}, got {out.shape} - at `out`")
    from_, to = _colour(base, "base"), _colour(target, "target")
    shares = _check.number(keep, "keep", 0, 1), _check.number(strength, "strength", 0, 1)
    numbers = np.array([*from_, *to, *shares, _check.number(gloss, "gloss", 0, 4)], np.float32)
    _tint(mask, numbers, out)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Arguments (`out` among them: copy it) that every variant must agree on: every grey, out of gamut, small, odd."""
    def call(picture: np.ndarray, mask: np.ndarray, **numbers: object) -> dict:
        return {"mask": mask, "base": (55.0, 20.0, 15.0), "target": (45.0, 60.0, 30.0), "out": picture, **numbers}
    for h, w in ((1, 1), (1, 33), (7, 5), (40, 70), (3, 129)):
        picture = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        mask = rng.choice(np.array([0, 255, 128, 3], np.uint8), (h, w))
        yield call(picture, mask)
        yield call(picture.copy(), mask, keep=0.0, strength=0.7, gloss=0.4)
        yield call(picture.copy(), mask, keep=1.0, target=(100.0, -128.0, 128.0), gloss=4.0)
        yield call(picture.copy(), mask, keep=1.0, target=(0.0, 128.0, -128.0))
    greys = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    yield call(greys, np.full((16, 16), 255, np.uint8), base=(0.0, 0.0, 0.0), target=(0.0, 0.0, 0.0), keep=1.0)


__all__ = ["MAX_SIDE", "TOLERANCE", "cases", "tint"]
