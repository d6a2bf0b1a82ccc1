"""Draws a manufactured part, good or with one of six defects: a machined flange plate under a station's camera.

Everything follows from the seed: where the part lies (a few pixels, about a degree), its brushed and turned texture,
the light and the camera's noise. Pictures are uint8 BGR (480, 640, 3); masks uint8 (480, 640) with 0 or 255.
"""

from __future__ import annotations

import cv2
import numpy as np

from .part_flaws import contaminate, crack, dent, scratch, stain
from .part_shape import HOLE, HOLES, Pose, render, surface

DEFECTS = ("scratch", "dent", "stain", "missing_hole", "crack", "contamination")
_PAINTED = {"scratch": scratch, "stain": stain, "crack": crack, "contamination": contaminate}


def good(seed: int) -> np.ndarray:
    """A part without fault: uint8 BGR (480, 640, 3), the same for the same seed."""
    return _draw(seed, None)[0]


def defective(seed: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The part of `good(seed)` with one defect of `kind` (one of DEFECTS) and its mask, 255 where it is.

    ValueError for an unknown kind.
    """
    if kind not in DEFECTS:
        raise ValueError(f"expected one of {', '.join(DEFECTS)}, got {kind!r} - at `kind`")
    return _draw(seed, kind)


def _draw(seed: int, kind: str | None) -> tuple[np.ndarray, np.ndarray]:
    # The flaw has a stream of its own: a part looks the same with and without it.
    rng, flaw = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2, DEFECTS.index(kind) if kind else 99])
    pose = Pose(dx=float(rng.uniform(-6, 6)), dy=float(rng.uniform(-5, 5)),
                turn=float(np.radians(rng.uniform(-1.2, 1.2))), light=float(np.radians(rng.normal(-125, 7))))
    mask = np.zeros((480, 640), np.uint8)
    lost = int(flaw.integers(len(HOLES))) if kind == "missing_hole" else None
    part = surface(pose, rng, without_hole=lost)
    if lost is not None:
        x, y = pose.to_image(*HOLES[lost])
        cv2.circle(mask, (round(x), round(y)), round(HOLE + 4), 255, -1)
    if kind == "dent":
        mask = dent(part, pose, flaw)
    picture = render(part, pose, rng)
    if kind in _PAINTED:
        mask = _PAINTED[kind](picture, part, pose, flaw)
    return _photograph(picture, rng), mask


def _photograph(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the camera makes of it: exposure, white balance, a little blur, noise, a response curve, 8 bits."""
    gain = rng.normal(1.0, 0.03) * (1 + rng.normal(0, 0.006, 3))
    seen = cv2.GaussianBlur(picture * gain.astype(np.float32), (0, 0), rng.uniform(0.55, 0.75))
    seen = np.clip(seen, 0, None) ** (1 / 1.25)
    seen += rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(0.006)
    return np.clip(seen * 255 + 0.5, 0, 255).astype(np.uint8)
