"""Picks the measure for this part: the one that sees most spoiled pictures at the promised share of false rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...kernels import smooth, top_mean
from .conformal import promise
from .features import LEAST
from .fit import LEAST_GAUSS, Fit, gauss, left_out, neighbour
from .score import appearance
from .synth import KINDS, spoil

MARGIN = 0.01          # a later candidate must be better by this much
SPOILED = 120          # spoiled pictures in all, at least one a part
NEAR = 1               # cells around the same place
SEED = 77

Tick = Callable[[], None]


@dataclass(frozen=True)
class Judged:
    """A candidate with its leave-one-out results on the good parts and what it saw of the spoiled ones."""

    contrast: bool
    fit: Fit
    unit: float                 # mean leave-one-out distance
    scores: tuple[float, ...]   # of the good parts, left out, in units
    detected: float             # share of spoiled pictures above the threshold
    ranked: float               # share of (good, spoiled) pairs in the right order

    @property
    def name(self) -> str:
        """What it is, in words."""
        return f"{self.fit.method}{' even light' if self.contrast else ''}"


def score_of(far: np.ndarray, unit: float) -> float:
    """The number of a picture from its raw distances: as `score.judge` computes it."""
    raw = far / np.float32(unit)
    map = np.empty_like(raw)
    smooth(raw, out=map)
    return top_mean(map)


def judge(features: np.ndarray, spoiled: Sequence[Sequence[np.ndarray]], fit: Fit, contrast: bool, alpha: float,
          tick: Tick) -> Judged:
    """Measure one fit: `features` of good parts (n, gh, gw, d), `spoiled` features of each part."""
    good, bad = [], []
    for part, measure in enumerate(left_out(fit, features)):
        good.append(measure(features[part]))
        bad += [measure(x) for x in spoiled[part]]
        tick()
    unit = max(float(np.mean(good)), 1e-6)
    scores = np.array([score_of(far, unit) for far in good])
    seen = np.array([score_of(far, unit) for far in bad])
    line = promise(scores.tolist(), alpha).threshold
    ranked = float(np.mean(seen[:, None] > scores)) if len(seen) else 0.0
    return Judged(contrast, fit, unit, tuple(scores.tolist()), float(np.mean(seen > line)) if len(seen) else 0.0, ranked)


def candidates(pictures: Sequence[np.ndarray], alpha: float, tick: Tick) -> list[Judged]:
    """Fit and measure every candidate on aligned working pictures, the default first."""
    rng = np.random.default_rng(SEED)
    each = max(1, SPOILED // len(pictures))
    spoiled = [[spoil(p, rng, int(k)) for k in rng.integers(len(KINDS), size=each)] for p in pictures]
    found = []
    for contrast in (False, True):
        features = np.stack([appearance(p, contrast) for p in pictures])
        faults = [[appearance(p, contrast) for p in bad] for bad in spoiled]
        fits = [gauss(features, LEAST)] if len(pictures) >= LEAST_GAUSS else []
        fits.append(neighbour(features, NEAR, LEAST))
        found += [judge(features, faults, fit, contrast, alpha, tick) for fit in fits]
    return found


def best(judged: Sequence[Judged]) -> Judged:
    """The first candidate unless a later one sees clearly more."""
    chosen = judged[0]
    for one in judged[1:]:
        if one.detected + one.ranked > chosen.detected + chosen.ranked + MARGIN:
            chosen = one
    return chosen
