"""What visitors of this shop look at, and what they look at together: counts that fade, bounded, without any visitor."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from threading import Lock

import numpy as np

MAX_ITEMS = 200_000        # with a count
MAX_NEAR = 50              # neighbours of one item
BACK = 5                   # events before one that it counts as together with
MANY, FRESH_S = 5000, 1.0  # of so many items what is looked at often is counted once in so many seconds
HALF = 200_000             # events after which a count weighs half


class Together:
    """Counts of items and pairs of items, in memory only. A count halves every HALF events. Safe from any thread.

    What is full makes room by forgetting the weakest; the newcomer begins at one.
    """

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.near: dict[str, dict[str, float]] = {}
        self._weight = 1.0           # of an event now; grows instead of all counts shrinking
        self._kept: tuple[float, np.ndarray] | None = None
        self._lock = Lock()

    def add(self, ident: str, before: Sequence[str]) -> None:
        """Count one event and what the same visit had before it, oldest first."""
        with self._lock:
            self._weight *= 2 ** (1 / HALF)
            if self._weight > 1e12:
                self._scale()
            self._count(self.seen, ident, MAX_ITEMS)
            for other in set(before[-BACK:]) - {ident}:
                for one, two in ((ident, other), (other, ident)):
                    if one in self.near or len(self.near) < MAX_ITEMS:
                        self._count(self.near.setdefault(one, {}), two, MAX_NEAR)

    def _count(self, counts: dict[str, float], key: str, most: int) -> None:
        if key not in counts and len(counts) >= most:
            # Of all when there are few, of the oldest few when there are many.
            weakest = min(islice(counts, most if most <= 1000 else 64), key=counts.__getitem__)
            del counts[weakest]
            if counts is self.seen:
                self.near.pop(weakest, None)
        counts[key] = counts.get(key, 0.0) + self._weight

    def _scale(self) -> None:
        for counts in (self.seen, *self.near.values()):
            for key in counts:
                counts[key] /= self._weight
        self._weight = 1.0

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self.seen.clear()
            self.near.clear()
            self._kept = None

    def count(self, ident: str, other: str) -> int:
        """How often two items were looked at together lately."""
        return round(self.near.get(ident, {}).get(other, 0.0) / self._weight)

    def trend(self, ident: str) -> int:
        """How often an item was looked at lately."""
        return round(self.seen.get(ident, 0.0) / self._weight)

    def scores(self, rows: Mapping[str, int], size: int, events: Sequence[str]) -> np.ndarray:
        """float32 (size,) by row: what goes together with these items, the newest most, plus a little for what is looked at
        often. `rows`: id -> row."""
        with self._lock:
            found = self._trends(rows, size)
            for age, ident in enumerate(reversed(events[-20:])):
                own = self.seen.get(ident, 1.0)
                for other, count in self.near.get(ident, {}).items():
                    self._put(found, rows, other, 0.85 ** age * count / math.sqrt(own * self.seen.get(other, 1.0)))
        return found

    def _trends(self, rows: Mapping[str, int], size: int) -> np.ndarray:
        """What is looked at often, float32 (size,), at most 0.01. Of many items it is counted once in a while only."""
        kept = self._kept
        if kept is not None and len(kept[1]) == size and len(self.seen) > MANY and time.monotonic() < kept[0]:
            return kept[1].copy()
        found = np.zeros(size, np.float32)
        place = np.fromiter((rows.get(ident, size) for ident in self.seen), np.int64, len(self.seen))
        count = np.fromiter(self.seen.values(), np.float64, len(self.seen))
        there = place < size
        found[place[there]] = 0.01 * count[there] / max(count.max(initial=0.0), 1e-300)
        self._kept = (time.monotonic() + FRESH_S, found.copy())
        return found

    @staticmethod
    def _put(found: np.ndarray, rows: Mapping[str, int], ident: str, value: float) -> None:
        row = rows.get(ident)
        if row is not None and row < len(found):
            found[row] += value


def alike(having: Iterable[tuple[np.ndarray, float]], size: int) -> np.ndarray:
    """float32 (size,): for each (rows, weight) the weight is added at these rows."""
    found = np.zeros(size, np.float32)
    for rows, weight in having:
        found[rows] += weight
    return found
