"""Learns what good cells look like: two ways to measure unlikeness, each with its leave-one-out maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...kernels import Bank
from .recipe import CODES
from .score import codes, nearest, whitened

SEED = 20_240_614       # of the random projection
HEADROOM = 1.3          # codes leave room for values 30 % beyond the largest seen
RIDGE = 0.02            # variance that every direction has at least, in units of the feature's spread over the part
LEAST_GAUSS = 5         # good parts; with fewer a spread cannot be estimated


@dataclass(frozen=True)
class Fit:
    """A fitted measure; see Recipe for the arrays. `radius` is for neighbour."""

    method: str
    radius: int
    offset: np.ndarray
    scale: np.ndarray
    projection: np.ndarray
    bank: np.ndarray
    mean: np.ndarray
    whiten: np.ndarray


def spread(features: np.ndarray, least: np.ndarray | float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each feature over all good parts and cells: two float32 (d,).

    The scale is the geometric mean of the spread over the whole part and the spread between parts at one place: a
    feature counts by how much it tells places apart, and less if it wavers. `least`, for each feature or for all, is
    the scale below which differences mean nothing.
    """
    offset = features.mean(axis=(0, 1, 2), dtype=np.float64)
    whole = features.reshape(-1, features.shape[-1]).std(axis=0, dtype=np.float64)
    between = np.sqrt(features.var(axis=0, dtype=np.float64).mean(axis=(0, 1)))
    scale = np.sqrt(np.maximum(whole, 1e-3) * np.maximum(between, 0.1 * np.maximum(whole, 1e-3)))
    return offset.astype(np.float32), np.maximum(scale, least).astype(np.float32)


def neighbour(features: np.ndarray, radius: int, least: np.ndarray | float = 1e-3) -> Fit:
    """Keep every good cell as an int8 code; `features` float32 (n, gh, gw, d), `least` as for `spread`."""
    depth = features.shape[-1]
    offset, scale = spread(features, least)
    mix = np.random.default_rng(SEED).standard_normal((depth, CODES)) / np.sqrt(CODES)
    largest = float(np.quantile(np.abs(((features - offset) / scale).reshape(-1, depth)[::7] @ mix), 0.9995))
    projection = (mix * (127 / max(largest * HEADROOM, 1e-6))).astype(np.float32)
    bank = codes(features, offset, scale, projection)
    none = np.zeros((0, 0, depth), np.float32)
    return Fit("neighbour", radius, offset, scale, projection, bank, none, np.zeros((0, 0, depth, depth), np.float32))


def gauss(features: np.ndarray, least: np.ndarray | float = 1e-3) -> Fit:
    """Keep mean and shrunk covariance of every place; `features` float32 (n, gh, gw, d), n >= 5, `least` as above."""
    offset, scale = spread(features, least)
    mean, whiten = _moments((features - offset) / scale)
    bank = np.zeros((0, *features.shape[1:3], CODES), np.int8)
    return Fit("gauss", 0, offset, scale, np.zeros((0, CODES), np.float32), bank, mean, whiten)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (gh, gw, d) and whitening (gh, gw, d, d) of each place, its covariance shrunk towards the pooled one."""
    n, *_, depth = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    gap = np.moveaxis(features - mean, 0, 2)                        # gh, gw, n, d
    covariance = np.swapaxes(gap, 2, 3) @ gap / max(n - 1, 1)
    share = depth / (depth + n)
    covariance = (1 - share) * covariance + share * covariance.mean(axis=(0, 1)) + RIDGE * np.eye(depth)
    lower = np.linalg.cholesky(covariance)
    return mean.astype(np.float32), np.linalg.inv(lower).astype(np.float32)


Measure = Callable[[np.ndarray], np.ndarray]


def left_out(fit: Fit, features: np.ndarray) -> Iterator[Measure]:
    """For each good part in turn, a measure (features -> distances) that has not seen it.

    Neighbours of the part itself are skipped; mean and covariance are computed anew without it.
    """
    n = len(features)
    scaled = (features - fit.offset) / fit.scale
    bank = Bank(fit.bank, radius=fit.radius) if fit.method == "neighbour" and fit.radius >= 0 else fit.bank
    for part in range(n):
        if fit.method == "gauss":
            mean, whiten = _moments(np.delete(scaled, part, axis=0))
            yield lambda x, m=mean, w=whiten: whitened((x - fit.offset) / fit.scale, m, w)  # type: ignore[misc]
        else:
            skip = np.zeros(n, np.uint8)
            skip[part] = 1
            yield lambda x, s=skip: nearest(  # type: ignore[misc]
                codes(x, fit.offset, fit.scale, fit.projection), bank, fit.radius, s)
