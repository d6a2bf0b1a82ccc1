"""The plain version of `tint`, in NumPy and float64 by the definitions of sRGB (IEC 61966-2-1) and CIE Lab."""

from __future__ import annotations

import numpy as np

# Linear sRGB to XYZ over the D65 white, each row over its sum: white is (1, 1, 1).
TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
TO_XYZ = TO_XYZ / TO_XYZ.sum(axis=1, keepdims=True)
EDGE = 6 / 29


def to_lab(bgr: np.ndarray) -> np.ndarray:
    """uint8 (..., 3) BGR to float64 (..., 3) L, a, b."""
    share = bgr[..., ::-1] / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    t = linear @ TO_XYZ.T
    f = np.where(t > EDGE ** 3, np.cbrt(t), t / (3 * EDGE ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def to_bgr(lab: np.ndarray) -> np.ndarray:
    """float64 (..., 3) L, a, b to float64 (..., 3) BGR in 0..255, clipped."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    t = np.where(f > EDGE, f ** 3, 3 * EDGE ** 2 * (f - 4 / 29))
    linear = np.clip(t @ np.linalg.inv(TO_XYZ).T, 0, 1)
    share = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return share[..., ::-1] * 255


def tint(mask: np.ndarray, numbers: np.ndarray, out: np.ndarray) -> None:
    """See the package; `numbers` float32 (9,): base, target, keep, strength, gloss."""
    base, target, (keep, strength, gloss) = np.split(numbers.astype(np.float64), (3, 6))
    lab = to_lab(out)
    light = lab[..., :1] + target[0] - base[0] + gloss * np.maximum(0, lab[..., :1] - base[0])
    new = to_bgr(np.concatenate([light, target[1:] + keep * (lab[..., 1:] - base[1:])], axis=-1))
    out[:] = np.floor(out + (mask[..., None] / 255.0 * strength) * (new - out) + 0.5).astype(np.uint8)
