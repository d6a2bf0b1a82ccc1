"""Finds how a part lies relative to the taught reference: pyramid phase correlation, then ECC with a residual gate."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import cv2
import numpy as np

LONG_SIDE = 160          # px of the small grey picture on which a part is found
TURNS = 40               # most steps of ECC
STEP = 1e-4              # ECC ends when its correlation grows by less
FARTHEST = 0.3           # a shift by more than this share of the picture is not believed


@dataclass(frozen=True)
class Registration:
    """Where the part was found: shift of the picture's middle in px of the working picture, turn in degrees."""

    dx: float
    dy: float
    turn: float
    correlation: float   # with the reference after alignment, -1..1
    found: bool
    warp: np.ndarray     # float32 (2, 3): a point of the reference -> the same point of the working picture


def small_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of the small picture for a working picture of that size."""
    scale = min(1.0, LONG_SIDE / max(height, width))
    return max(8, round(height * scale)), max(8, round(width * scale))


def small(grey: np.ndarray) -> np.ndarray:
    """The picture on which a part is found: float32, long side 160 px, softly blurred, flat light taken out."""
    shrunk = cv2.resize(grey, small_size(*grey.shape)[::-1], interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(shrunk.astype(np.float32), (0, 0), 1.0)
    return soft - cv2.GaussianBlur(soft, (0, 0), max(soft.shape) / 8)


def correlation(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """Pearson correlation of two float32 pictures over the pixels `where`; 0 where one of them is flat."""
    x, y = a[where], b[where]
    x, y = x - x.mean(), y - y.mean()
    power = float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    return float(np.dot(x, y)) / power if power > 1e-6 else 0.0


def _shift(reference: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """The shift (dx, dy) that phase correlation finds on the coarse pictures, px of the small picture."""
    coarse = [cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in (reference, seen)]
    window = cv2.createHanningWindow(coarse[0].shape[::-1], cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(coarse[0], coarse[1], window)
    return 2 * dx, 2 * dy


def _aligned(reference: np.ndarray, seen: np.ndarray, warp: np.ndarray) -> float:
    """Correlation after moving `seen` by `warp`, over what both pictures show."""
    size, flags = reference.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(seen, warp, size, flags=flags, borderValue=np.nan)
    where = np.isfinite(moved)
    return correlation(reference, moved, where) if where.mean() > 0.5 else 0.0


def register(reference: np.ndarray, seen: np.ndarray, *, gate: float, work: tuple[int, int]) -> Registration:
    """How `seen` lies relative to `reference`: both from `small`, of one size.

    `work` is (height, width) of the working pictures they were made from. Where the correlation after alignment stays
    below `gate` the answer says found=False: the caller must not go on as if the part lay still.
    """
    starts = [np.eye(2, 3, dtype=np.float32)]
    dx, dy = _shift(reference, seen)
    if np.hypot(dx, dy) > 0.7 and max(abs(dx) / reference.shape[1], abs(dy) / reference.shape[0]) < FARTHEST:
        starts.append(np.array([[1, 0, dx], [0, 1, dy]], np.float32))
    start = max(starts, key=lambda warp: _aligned(reference, seen, warp))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, TURNS, STEP)
    warp = start
    with contextlib.suppress(cv2.error):    # ECC did not converge: the gate below judges what phase correlation found
        _, warp = cv2.findTransformECC(reference, seen, start.copy(), cv2.MOTION_EUCLIDEAN, criteria, None, 1)
    match, warp = max(((_aligned(reference, seen, w), w) for w in (warp, start)), key=lambda pair: pair[0])
    warp = _scaled(warp, work[1] / reference.shape[1], work[0] / reference.shape[0])
    turn = float(np.degrees(np.arctan2(warp[1, 0], warp[0, 0])))
    middle = np.array([(work[1] - 1) / 2, (work[0] - 1) / 2, 1])
    dx, dy = warp @ middle - middle[:2]
    return Registration(float(dx), float(dy), turn, match, match >= gate, warp)


def _scaled(warp: np.ndarray, sx: float, sy: float) -> np.ndarray:
    """`warp` for pictures sx and sy times larger; pixel centres lie at whole numbers."""
    grow = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
    whole = np.vstack([warp, [0, 0, 1]])
    return (grow @ whole @ np.linalg.inv(grow))[:2].astype(np.float32)


def still() -> Registration:
    """The answer for a station whose pictures are not moved."""
    return Registration(0.0, 0.0, 0.0, 1.0, True, np.eye(2, 3, dtype=np.float32))


def move(picture: np.ndarray, registration: Registration) -> np.ndarray:
    """The working picture moved onto the reference; what it does not show is filled from its edge."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, registration.warp, picture.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def back(map: np.ndarray, registration: Registration, cell: int) -> np.ndarray:
    """A map of cells of the reference, float32, laid where the part lies in the working picture."""
    warp = _scaled(registration.warp, 1 / cell, 1 / cell)
    return cv2.warpAffine(map, warp, map.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
