"""Brings all taught pictures onto one reference, if the part can be found in them at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .register import Registration, move, register, small, still
from .score import grey

LEAST_MATCH = 0.5       # median correlation with the reference from which on pictures are moved
GATE = (0.25, 0.70)     # the least correlation asked of a part in production lies within


@dataclass(frozen=True)
class Aligned:
    """The taught working pictures after alignment, and how a part is found from now on."""

    pictures: list[np.ndarray]
    reference: np.ndarray
    register: bool
    gate: float
    found: tuple[Registration, ...]
    typical: int            # the picture most like all the others


def align(pictures: Sequence[np.ndarray]) -> Aligned:
    """Align working pictures, uint8 BGR of one size, to their common mean.

    Where the median correlation after alignment stays under 0.5 (a texture, free shapes), nothing is moved.
    """
    seen = [small(grey(picture)) for picture in pictures]
    work = pictures[0].shape[:2]
    mean = np.mean(seen, axis=0)
    typical = int(np.argmax([_match(mean, s) for s in seen]))
    first = [register(seen[typical], s, gate=-1, work=work) for s in seen]
    # The mean of the aligned parts is sharper than any one of them is typical, and no part is its own reference.
    reference = small(grey(np.mean([move(p, f) for p, f in zip(pictures, first, strict=True)], axis=0).astype(np.uint8)))
    found = tuple(register(reference, s, gate=-1, work=work) for s in seen)
    matches = np.array([f.correlation for f in found])
    typical = int(np.argmax(matches))
    if np.median(matches) < LEAST_MATCH:
        return Aligned(list(pictures), reference, False, -1.0, tuple(still() for _ in found), typical)
    gate = float(np.clip(matches.min() - max(0.15, 2 * (np.median(matches) - matches.min())), *GATE))
    moved = [move(p, f) for p, f in zip(pictures, found, strict=True)]
    return Aligned(moved, reference, True, round(gate, 4), found, typical)


def _match(a: np.ndarray, b: np.ndarray) -> float:
    x, y = a.ravel() - a.mean(), b.ravel() - b.mean()
    return float(x @ y / max(np.sqrt((x @ x) * (y @ y)), 1e-6))
