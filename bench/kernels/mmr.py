"""`mmr` against the same greedy choice in NumPy, on the window of a recommendation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...kernels import mmr
from ...kernels.mmr import reference
from ..report import Options, Row
from .timing import Goal, interleaved, row, seconds

CHOSEN, WEIGHT = 10, 0.3


def rows(options: Options) -> Iterator[Row]:
    """Ten of a hundred and of a thousand, with a cap."""
    for window in (100, 1000):
        case = f"mmr {CHOSEN} of {window}, at most 2 of a brand"
        if not options.wants(case):
            continue
        rng = np.random.default_rng(window)
        vectors = rng.standard_normal((window, 64)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        alike, worth = np.maximum(vectors @ vectors.T, 0), np.sort(rng.random(window))[::-1].copy()
        codes, caps = rng.integers(0, 30, (2, window), dtype=np.int32), np.array([2, 0], np.int32)
        out, theirs = np.empty(CHOSEN, np.int32), np.empty(CHOSEN, np.int32)
        found = interleaved({
            "ours": lambda: mmr(worth, out=out, weight=WEIGHT, alike=alike, codes=codes, caps=caps),    # noqa: B023
            "numpy": lambda: reference.mmr(worth, alike, codes, caps, WEIGHT, 0, theirs),               # noqa: B023
        }, seconds(options.quick))
        note = f"{'the same' if np.array_equal(out, theirs) else 'another'} list"
        yield row(case, found["ours"], "NumPy", found["numpy"], goal=Goal(">= 2x", ratio=2.0), note=note)
