"""`tint` against OpenCV's conversions to Lab and back, in float32 and in 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from ...kernels.tint import tint
from ...kernels.tint.reference import tint as exact
from ..report import Options, Row
from .timing import interleaved, row, seconds

BASE, TARGET, KEEP = (55.0, 20.0, 15.0), (45.0, 60.0, 30.0), 0.5
CASES = {"lips 120x60 of 1280x720": (120, 60), "shirt 400x500 of 1280x720": (400, 500)}   # width, height of the oval


def scene(wide: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """A soft oval mask and a picture of cloth-like noise."""
    rng = np.random.default_rng(0)
    mask = np.zeros((720, 1280), np.uint8)
    cv2.ellipse(mask, (640, 360), (wide // 2, high // 2), 0, 0, 360, 255, -1)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8), (5, 5), 0)
    return cv2.GaussianBlur(mask, (5, 5), 0), picture


def box(mask: np.ndarray) -> tuple[slice, slice]:
    """The part that the mask shows: the peers are spared the rest."""
    x, y, w, h = cv2.boundingRect(mask)
    return slice(y, y + h), slice(x, x + w)


def with_floats(mask: np.ndarray, out: np.ndarray) -> Callable[[], None]:
    """BGR2Lab and back in float32, NumPy between."""
    part, offset = box(mask), np.array(TARGET, np.float32) - np.array([1, KEEP, KEEP], np.float32) * BASE

    def call() -> None:
        under = out[part]
        lab = cv2.cvtColor(under.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_BGR2Lab)
        lab *= np.array([1, KEEP, KEEP], np.float32)
        lab += offset.astype(np.float32)
        new = cv2.cvtColor(lab, cv2.COLOR_Lab2BGR) * np.float32(255)
        share = mask[part][..., None] * np.float32(1 / 255)
        under[...] = np.clip(under + share * (new - under) + np.float32(0.5), 0, 255)
    return call


def with_bytes(mask: np.ndarray, out: np.ndarray) -> Callable[[], None]:
    """BGR2LAB and back in 8 bits, cv2.transform between, cv2.blendLinear with the mask."""
    part = box(mask)
    offset = np.array(TARGET) - np.array([1, KEEP, KEEP]) * BASE
    change = np.array([[1, 0, 0, offset[0] * 2.55], [0, KEEP, 0, offset[1] + 128 * (1 - KEEP)],
                       [0, 0, KEEP, offset[2] + 128 * (1 - KEEP)]])
    share = (mask[part] / 255).astype(np.float32)
    rest = 1 - share

    def call() -> None:
        under = out[part]
        new = cv2.cvtColor(cv2.transform(cv2.cvtColor(under, cv2.COLOR_BGR2LAB), change), cv2.COLOR_LAB2BGR)
        under[...] = cv2.blendLinear(new, np.ascontiguousarray(under), share, rest)
    return call


def rows(options: Options) -> Iterator[Row]:
    """Lips and a shirt; the issue sets no goal here."""
    for name, (wide, high) in CASES.items():
        case = f"tint {name}"
        if not options.wants(case):
            continue
        mask, picture = scene(wide, high)
        numbers = np.array([*BASE, *TARGET, KEEP, 1, 0], np.float32)
        pictures = [picture.copy() for _ in range(4)]
        tint(mask, BASE, TARGET, out=pictures[0], keep=KEEP)
        exact(mask, numbers, pictures[1])
        with_bytes(mask, pictures[2])()
        with_floats(mask, pictures[3])()
        errors = [int(np.abs(p.astype(int) - pictures[1]).max()) for p in pictures]
        found = interleaved({"ours": lambda m=mask, p=picture: tint(m, BASE, TARGET, out=p, keep=KEEP),   # type: ignore[misc]
                             "floats": with_floats(mask, picture.copy()), "bytes": with_bytes(mask, picture.copy())},
                            seconds(options.quick))
        note = f"largest error of 255 against float64: ours {errors[0]}, floats {errors[3]}, 8 bits {errors[2]}"
        yield row(case, found["ours"], "cv2 float32 Lab + NumPy", found["floats"], note=note)
        yield row(case, found["ours"], "cv2 8-bit LAB", found["bytes"])
