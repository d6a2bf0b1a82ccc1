"""What a cell of the picture looks like: Gabor energies of 4 scales and 6 directions, and its colour."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

CELL = 8                  # px of the working picture per cell of the grid
SCALES, DIRECTIONS = 4, 6
WAVELENGTH, SIGMA, HALF_WIDTH = 4.0, 2.0, 5
GABOR = SCALES * DIRECTIONS
DEPTH = GABOR + 3
# Scales below which differences are the file format's: lossy formats halve the resolution of colour and round it, which
# moves the colour of a cell of a grey part by half a level (JPEG and WebP at quality 97; measured on drawn parts).
LEAST = np.array([0.1] * GABOR + [2.0] * 3, np.float32)


def working_size(height: int, width: int, cells: int) -> tuple[int, int]:
    """(height, width) of the working picture: about `cells` cells, sides multiples of 8 px, aspect kept."""
    side = np.sqrt(height * width / cells)
    rows, columns = (max(4, round(size / side)) for size in (height, width))
    return CELL * rows, CELL * columns


@cache
def _taps() -> tuple[tuple[np.ndarray, ...], ...]:
    """One-dimensional taps: the Gaussian, then (cos x, sin x, cos y, sin y) for each pair of mirrored directions."""
    t = np.arange(-HALF_WIDTH, HALF_WIDTH + 1, dtype=np.float64)
    bell = np.exp(-(t**2) / (2 * SIGMA**2))
    bell /= bell.sum()
    found: list[tuple[np.ndarray, ...]] = [(bell.astype(np.float32),)]
    for step in range(DIRECTIONS // 2):
        angle = np.pi * (step + 0.5) / DIRECTIONS
        kx, ky = (2 * np.pi / WAVELENGTH * f(angle) for f in (np.cos, np.sin))
        found.append(tuple((bell * f(k * t)).astype(np.float32) for k in (kx, ky) for f in (np.cos, np.sin)))
    return tuple(found)


def _energies(level: np.ndarray, cell: int, out: np.ndarray) -> None:
    """Mean Gabor magnitude in each cell of `cell` px of one float32 pyramid level; `out` float32 (gh, gw, 6)."""
    (bell,), *pairs = _taps()
    grid = out.shape[1::-1]
    mean = cv2.sepFilter2D(level, cv2.CV_32F, bell, bell)
    for i, (cx, sx, cy, sy) in enumerate(pairs):
        even = cv2.sepFilter2D(level, cv2.CV_32F, cx, cy) - float(cx.sum() * cy.sum()) * mean   # flat light gives 0
        odd = cv2.sepFilter2D(level, cv2.CV_32F, sx, sy)
        left, right = cv2.sepFilter2D(level, cv2.CV_32F, sx, cy), cv2.sepFilter2D(level, cv2.CV_32F, cx, sy)
        for j, energy in ((i, _length(even - odd, left + right)), (DIRECTIONS - 1 - i, _length(even + odd, left - right))):
            out[:, :, j] = energy if cell == 1 else cv2.resize(energy, grid, interpolation=cv2.INTER_AREA)


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The root of x * x + y * y, which both are overwritten for.

    cv2.magnitude rounds by where its arrays lie in memory, so that the same pictures would not make the same files.
    """
    x *= x
    y *= y
    x += y
    return np.sqrt(x, out=x)


def describe(picture: np.ndarray) -> np.ndarray:
    """Describe every cell of `picture`, uint8 BGR (h, w, 3) with sides that are multiples of 8: float32 (h/8, w/8, 27).

    The square roots of the Gabor energies (finest first, 15 to 165 degrees), then L, a, b.
    """
    h, w = picture.shape[:2]
    grid = (w // CELL, h // CELL)
    out = np.empty((grid[1], grid[0], DEPTH), np.float32)
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
    level = lab[:, :, 0].astype(np.float32)
    for s in range(SCALES):
        _energies(level, CELL >> s, out[:, :, s * DIRECTIONS:(s + 1) * DIRECTIONS])
        level = cv2.pyrDown(level)
    np.sqrt(out[:, :, :GABOR], out=out[:, :, :GABOR])
    out[:, :, GABOR:] = cv2.resize(lab, grid, interpolation=cv2.INTER_AREA)
    return out


def even_light(picture: np.ndarray) -> np.ndarray:
    """Take local brightness and contrast out of `picture`, uint8 BGR (h, w, 3): the same type, grey 128 in the mean."""
    wide = picture.astype(np.float32)
    sigma = max(picture.shape[:2]) / 16
    wide -= cv2.GaussianBlur(wide, (0, 0), sigma)
    power = cv2.GaussianBlur(cv2.transform(wide * wide, np.full((1, 3), 1 / 3, np.float32)), (0, 0), sigma)
    wide *= (40 / (np.sqrt(power) + 8))[..., None]
    return np.clip(wide + 128.5, 0, 255).astype(np.uint8)


def gather(taps: Sequence[np.ndarray], grid: tuple[int, int]) -> np.ndarray:
    """A network's outputs as features of cells: each tap float (c, h, w) brought to `grid` and averaged 3 x 3.

    float32 (gh, gw, sum of c).
    """
    layers = []
    for tap in taps:
        for channel in np.asarray(tap, np.float32):
            shrinks = channel.shape[0] > grid[0]
            layer = cv2.resize(channel, grid[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            layers.append(cv2.blur(layer, (3, 3), borderType=cv2.BORDER_REPLICATE))
    return np.stack(layers, axis=2)
