"""A golden sample against a picture under test: which pixels are darker or lighter than the golden one allows nearby."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 0          # whole numbers: every variant gives the same bytes
DARKER, LIGHTER = 1, 2
MAX_REACH = 16
MAX_SIDE = 1 << 14
_diff = Op(__package__, "diff")
_find_shift = Op(__package__, "find_shift")


def _pair(golden: np.ndarray, test: np.ndarray) -> tuple[int, int]:
    _check.array(golden, "golden", "uint8", ("h", "w"))
    h, w = golden.shape
    _check.array(test, "test", "uint8", (h, w))
    if max(h, w) > MAX_SIDE:
        raise ValueError(f"expected sides of at most {MAX_SIDE}, got {golden.shape} - at `golden`")
    return h, w


def _whole(value: object, name: str, low: int, high: int) -> int:
    number = _check.number(value, name, low, high)
    if number != int(number):
        raise ValueError(f"expected a whole number, got {value!r} - at `{name}`")
    return int(number)


def find_shift(golden: np.ndarray, test: np.ndarray, *, reach: int = 3) -> tuple[int, int]:
    """How far `test` lies beside `golden`, whole px (down, right): golden[y, x] is seen at test[y + down, x + right].

    Both uint8 (h, w), sides up to 16384 and more than 2 `reach`; `reach` 0..16. Of all shifts within `reach` the one
    with the least sum of absolute differences, over the pixels that every shift can see; ties go to the shorter
    |down| + |right|, then to the smaller down, then right. ValueError says what does not fit.
    """
    h, w = _pair(golden, test)
    reach = _whole(reach, "reach", 0, MAX_REACH)
    if min(h, w) <= 2 * reach:
        raise ValueError(f"expected sides of more than {2 * reach} for that reach, got {golden.shape} - at `golden`")
    _check.apart(golden, "golden")
    down, right = _find_shift(golden, reach, test)
    return int(down), int(right)


def diff(golden: np.ndarray, test: np.ndarray, *, out: np.ndarray, band: int, reach: int = 2, opening: int = 1,
         shift: tuple[int, int] = (0, 0), mask: np.ndarray | None = None) -> None:
    """Mark in `out` where `test` is not what `golden` allows: 1 darker, 2 lighter, 3 both, 0 good or not judged.

    `golden`, `test`, `out` uint8 (h, w), sides up to 16384; `band` 0..255 grey levels are tolerated, and edges may move
    by `reach` 0..16 px: a pixel is darker where it lies more than `band` below all of `golden` in the square of side
    2 reach + 1 around it, or where the golden pixel lies more than `band` above all of `test` there (a thin bright line
    that is missing); lighter likewise. Squares end at the picture's edge. `shift` is what `find_shift` gives, each
    within +-16384; where `test` has no such pixel, and where `mask` uint8 (h, w) is 0, nothing is judged. Then what does
    not hold a square of side 2 opening + 1 (0..16; morphological opening) is dropped, darker and lighter apart; pixels
    beyond the picture count as marked. ValueError says what does not fit.
    """
    h, w = _pair(golden, test)
    _check.array(out, "out", "uint8", (h, w), writable=True)
    if mask is not None:
        _check.array(mask, "mask", "uint8", (h, w))
    _check.apart(out, "out", golden=golden, test=test, mask=mask)
    band, reach = _whole(band, "band", 0, 255), _whole(reach, "reach", 0, MAX_REACH)
    opening = _whole(opening, "opening", 0, MAX_REACH)
    if not isinstance(shift, (tuple, list)) or len(shift) != 2:
        raise ValueError(f"expected two numbers (down, right), got {shift!r} - at `shift`")
    down, right = (_whole(v, "shift", -MAX_SIDE, MAX_SIDE) for v in shift)
    _diff(golden, test, mask, band, reach, opening, down, right, out)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Calls that every variant must agree on: small, odd, shifted, masked, beyond the picture, printed boards."""
    def noise(h: int, w: int) -> np.ndarray:
        return rng.integers(0, 256, (h, w), dtype=np.uint8)
    for h, w in ((1, 1), (1, 9), (9, 1), (3, 3), (17, 31), (40, 64), (33, 130)):
        for reach, opening, shift in ((0, 0, (0, 0)), (1, 0, (1, -2)), (2, 1, (-3, 1)), (5, 2, (0, 70)), (16, 16, (-20, 0))):
            golden = noise(h, w)
            test = np.clip(golden + rng.integers(-9, 10, (h, w)), 0, 255).astype(np.uint8)
            for band in (0, 20):
                yield {"function": "diff", "golden": golden, "test": test, "band": band, "reach": reach,
                       "opening": opening, "shift": shift, "out": np.empty((h, w), np.uint8)}
    golden, test = board(rng, 120, 150), board(rng, 120, 150)
    test[40:47, 60:66], test[80:86, 20:28] = 250, 5
    yield {"function": "diff", "golden": golden, "test": test, "band": 30, "out": np.empty_like(golden),
           "mask": rng.choice(np.array([0, 1, 255], np.uint8), golden.shape, p=[0.01, 0.09, 0.9])}
    for h, w, reach in ((1, 1, 0), (7, 8, 3), (33, 40, 16), (90, 131, 3)):
        golden = noise(h, w)
        yield {"function": "find_shift", "golden": golden, "test": np.roll(golden, (1, -2), (0, 1)), "reach": reach}
        yield {"function": "find_shift", "golden": golden, "test": np.zeros_like(golden), "reach": reach}
    black = np.zeros((20, 20), np.uint8)
    yield {"function": "find_shift", "golden": black, "test": ~black, "reach": 4}


def board(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A drawn circuit board, uint8 (h, w), the same for every `rng` but for its noise: tracks, pads, gaps."""
    y, x = np.mgrid[:h, :w]
    tracks = ((y // 7 + x // 23) % 3 == 0) | ((x % 40 < 5) & (y % 60 > 8)) | ((y % 50 - 25) ** 2 + (x % 50 - 25) ** 2 < 60)
    return np.clip(np.where(tracks, 200, 40) + rng.normal(0, 4, (h, w)), 0, 255).astype(np.uint8)


__all__ = ["DARKER", "LIGHTER", "MAX_REACH", "MAX_SIDE", "TOLERANCE", "board", "cases", "diff", "find_shift"]
