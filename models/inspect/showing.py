"""Looks at the pictures a person shows before anything is learned from them: what cannot work, and what looks odd."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ..bundle import BundleError

LEAST = 2               # good parts
ADVISED = 20
SMALLEST = 32           # px, of a picture's side
FLATTEST = 1.0          # standard deviation of a picture, of 0..255
MOST = 2000             # good parts: memory and time stay bounded
FAR_OUT = 6.0           # spreads (1.4826 x median absolute deviation) beyond the median from which a score is an outlier


def check(good: Sequence[np.ndarray], bad: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """BundleError unless there are at least two usable pictures of one size; `names` are those of good then bad."""
    if len(good) < LEAST:
        raise BundleError(f"teaching needs at least {LEAST} pictures of good parts, got {len(good)}; show {ADVISED} or more")
    if len(good) > MOST:
        raise BundleError(f"teaching takes at most {MOST} pictures of good parts, got {len(good)}; leave some out")
    for image, name in zip((*good, *bad), names, strict=True):
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BundleError(f"picture {name}: expected uint8 (height, width, 3), got {_kind(image)}")
        if image.shape != good[0].shape:
            raise BundleError(f"picture {name} is {_size(image)} but {names[0]} is {_size(good[0])}; expected pictures of one "
                              "size: take them all with the same camera settings")
        if min(image.shape[:2]) < SMALLEST:
            raise BundleError(f"picture {name} is {_size(image)}; expected at least {SMALLEST} px a side")
        if max(image.shape[:2]) > 32_768:
            raise BundleError(f"picture {name} is {_size(image)}; expected at most 32768 px a side")
    for image, name in zip(good, names, strict=False):
        if float(image[::2, ::2].std()) < FLATTEST:
            raise BundleError(f"picture {name} shows nothing (all its pixels are alike); check lens, light and trigger")


def _kind(image: object) -> str:
    return f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def repeated(good: Sequence[np.ndarray], names: Sequence[str]) -> tuple[list[str], int]:
    """Warnings for pictures that are copies of earlier ones, and how many different ones there are."""
    seen: dict[bytes, str] = {}
    warnings = []
    for image, name in zip(good, names, strict=False):
        key = hashlib.sha256(np.ascontiguousarray(image).data).digest()
        if key in seen:
            warnings.append(f"picture {name} is the same as {seen[key]}; a copy teaches nothing and the promise assumes "
                            "different parts: leave it out")
        else:
            seen[key] = name
    return warnings, len(seen)


def outliers(scores: Sequence[float], names: Sequence[str], what: str = "looks unlike the others") -> list[str]:
    """Warnings for good parts whose leave-one-out score lies far above the rest."""
    values = np.asarray(scores, float)
    if len(values) < 5:
        return []
    middle = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), 0.02 * middle)
    return [f"picture {name} {what} (score {value:.2f}, usual {middle:.2f}); make sure that it shows a good part, because a "
            "bad one teaches to accept its fault" for name, value in zip(names, values, strict=False)
            if value > middle + FAR_OUT * spread]
