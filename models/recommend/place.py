"""Where an item lies that nobody has seen: a map from words to vectors, learnt on the items that were seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .words import hashed

BUCKETS = 2048
PENALTY = 1.0          # of ridge regression
TRUST = 5.0            # while learning, an item with n events weighs n / (n + TRUST)
DOUBTS = (0.0, 1.0, 4.0)


def learn_words(ids: Sequence[str], vectors: np.ndarray, seen: np.ndarray, texts: Mapping[str, str],
                buckets: int = BUCKETS) -> np.ndarray:
    """Ridge regression from hashed words to vectors, float32 (buckets, d); (0, d) where no item has both.

    Items weigh n / (n + TRUST) by their events n: what was seen twice lies nowhere yet.
    """
    rows = [row for row, one in enumerate(ids) if seen[row] and texts.get(one)]
    if not rows:
        return np.zeros((0, vectors.shape[1]), np.float32)
    square, right = np.zeros((buckets, buckets)), np.zeros((buckets, vectors.shape[1]))
    for start in range(0, len(rows), 1024):
        some = rows[start:start + 1024]
        table = np.zeros((len(some), buckets))
        for at, row in enumerate(some):
            found, weight = hashed(texts[ids[row]], buckets)
            table[at, found] = weight
        trust = seen[some] / (seen[some] + TRUST)
        square += (table * trust[:, None]).T @ table
        right += (table * trust[:, None]).T @ vectors[some]
    used = np.flatnonzero(square.diagonal() > 0)
    made = np.zeros((buckets, vectors.shape[1]), np.float32)
    made[used] = np.linalg.solve(square[np.ix_(used, used)] + PENALTY * np.eye(len(used)), right[used])
    return made


def mixed(ids: Sequence[str], vectors: np.ndarray, seen: np.ndarray, texts: Mapping[str, str], words: np.ndarray,
          doubt: float) -> np.ndarray:
    """The table in which an item with n events counts n / (n + doubt), and its text the rest: float32 (n, d).

    An item without a known word, or with `doubt` 0, stays where it is; one without events lies where its text says.
    """
    out = vectors.copy()
    for row, one in enumerate(ids):
        if one not in texts or (doubt == 0 and seen[row]):
            continue
        found, weight = hashed(texts[one], max(len(words), 1))
        told = weight @ words[found] if len(words) and len(found) else np.zeros(0, np.float32)
        if told.any():
            own = seen[row] / (seen[row] + doubt) if seen[row] else 0.0
            out[row] = own * out[row] + (1 - own) * told
    return out
