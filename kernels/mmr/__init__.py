"""A list of good things that are not all alike: maximal marginal relevance with caps, greedy, one place after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

TOLERANCE = 0          # every variant does the same float64 operations in the same order
MOST = 1 << 15         # places to choose from, whose square is the table of likeness
_mmr = Op(__package__, "mmr")


def mmr(worth: np.ndarray, *, out: np.ndarray, weight: float, alike: np.ndarray | None = None, codes: np.ndarray | None = None,
        caps: np.ndarray | None = None, begun: int = 0) -> int:
    """Write the places chosen, in this order, -1 after the last; how many there are.

    Each is the place whose `worth` float64 (m,), less `weight` (0..1) times its greatest likeness to those chosen before, is
    the greatest and that the caps allow; equal values: the lower place. `alike` float32 (m, m), None where nothing
    is alike. `codes` int32 (g, m) sorts the places in g ways, 0 for none; at most `caps` int32 (g,) of one code are chosen,
    0 for any number. `out` int32 (k,), whose first `begun` places were chosen already and stay. A worth that is -inf or no
    number is never chosen. ValueError says what does not fit.

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998; the caps are ours.
    """
    _check.array(worth, "worth", "float64", ("m",))
    m = len(worth)
    if m > MOST:
        raise ValueError(f"expected at most {MOST} places, got {m} - at `worth`")
    _check.array(out, "out", "int32", ("k",), writable=True)
    if alike is not None:
        _check.array(alike, "alike", "float32", (m, m))
    if (codes is None) != (caps is None):
        raise ValueError(f"expected both or neither, got {'codes' if caps is None else 'caps'} alone - at `codes`")
    if codes is not None and caps is not None:
        _check.array(codes, "codes", "int32", ("g", m))
        _check.array(caps, "caps", "int32", (len(codes),))
    _check.apart(out, "out", worth=worth, alike=alike, codes=codes, caps=caps)
    _check.number(weight, "weight", 0, 1)
    if not isinstance(begun, int) or not 0 <= begun <= len(out):
        raise ValueError(f"expected a whole number from 0 to {len(out)}, got {begun!r} - at `begun`")
    if begun and not 0 <= int(out[:begun].min()) <= int(out[:begun].max()) < m:
        raise ValueError(f"expected places from 0 to {m - 1}, got {out[:begun].tolist()[:5]} - at `out`")
    chosen: int = _mmr(worth, alike, codes, caps, float(weight), begun, out)
    return chosen


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """One, few, ties, caps, none left, some chosen before, no likeness, worths that are none."""
    for m, k, reach in ((1, 1, 1), (2, 5, 1), (20, 6, 2), (100, 10, 100), (300, 300, 5)):
        pairs = rng.integers(0, 5, (m, m)).astype(np.float32) / 4
        worth = rng.integers(-reach, reach + 1, m) / 8
        worth[rng.random(m) < 0.1] = rng.choice([-np.inf, np.nan])
        codes = rng.integers(0, 4, (2, m), dtype=np.int32)
        out = np.full(k, -1, np.int32)
        for weight, caps in ((0.3, [0, 0]), (1.0, [2, 0]), (0.5, [1, 3])):
            yield {"worth": worth, "alike": np.maximum(pairs, pairs.T), "codes": codes, "caps": np.array(caps, np.int32),
                   "weight": weight, "out": out}
        yield {"worth": worth, "weight": 0.0, "out": out}
        yield {"worth": worth, "alike": np.maximum(pairs, pairs.T), "weight": 0.4, "begun": min(2, k),
               "out": np.r_[0, m - 1, np.full(k, -1)][:k].astype(np.int32)}


__all__ = ["MOST", "TOLERANCE", "cases", "mmr"]
