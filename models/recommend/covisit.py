"""Which items go together: counted over visitors, the fallback, the reason, and what neighbours add to a score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

PAIRS = 4_000_000      # counted at a time
MAX_LAG = 100          # events of one visitor that are further apart do not count as going together


def once(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each visitor's items once, at the place of the last event: what is counted is visitors, not clicks."""
    made = []
    for sequence in sequences:
        back = sequence[::-1]
        _, at = np.unique(back, return_index=True)
        made.append(back[np.sort(at)][::-1])
    return made


def pairs(sequences: Sequence[np.ndarray], items: int, lag: int = MAX_LAG, fade: float = 0.0) -> tuple[np.ndarray, ...]:
    """Ordered pairs of items that visitors had, the later one within `lag` events of the earlier one.

    Returns (earlier int64 (m,), later int64 (m,), visitors float64 (m,), weight float64 (m,)); the weight of a pair is the
    sum of exp(-fade * (distance - 1)) over its visitors.
    """
    codes = np.empty(0, np.int64)
    sums = np.empty((0, 2))
    for found, weight in _chunks(once(sequences), items, lag, fade):
        codes, place = np.unique(np.concatenate([codes, found]), return_inverse=True)
        columns = (np.concatenate([sums[:, 0], np.ones(len(found))]), np.concatenate([sums[:, 1], weight]))
        sums = np.stack([np.bincount(place, column, len(codes)) for column in columns], 1)
    return codes // items, codes % items, sums[:, 0], sums[:, 1]


def _chunks(sequences: list[np.ndarray], items: int, lag: int, fade: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    flat = np.concatenate(sequences).astype(np.int64) if sequences else np.empty(0, np.int64)
    user = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    codes: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for step in range(1, min(lag, max((len(s) for s in sequences), default=0)) + 1):
        same = user[step:] == user[:-step]
        codes.append(flat[:-step][same] * items + flat[step:][same])
        weights.append(np.full(len(codes[-1]), np.exp(-fade * (step - 1))))
        if sum(map(len, codes)) > PAIRS:
            yield np.concatenate(codes), np.concatenate(weights)
            codes, weights = [], []
    if codes:
        yield np.concatenate(codes), np.concatenate(weights)


def best(row: np.ndarray, column: np.ndarray, value: np.ndarray, items: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row its k columns of greatest value, ties by the lower column: int32 (items, k), -1 where there are no more,
    and where each came from in the arrays given, int64 (items, k), -1 likewise."""
    order = np.lexsort((column, -value, row))
    first = np.searchsorted(row[order], np.arange(items))
    place = np.arange(len(order)) - first[row[order]]
    keep = place < k
    near, source = np.full((items, k), -1, np.int32), np.full((items, k), -1, np.int64)
    near[row[order][keep], place[keep]] = column[order][keep]
    source[row[order][keep], place[keep]] = order[keep]
    return near, source
