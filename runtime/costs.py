"""What a run costs, learnt from the runs themselves: a moving quantile for each batch size."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

KEPT = 64             # runs remembered for each size: about a second of a camera, so a hot machine is noticed soon
ENOUGH = 4            # fewer runs than this say nothing


class Window:
    """The last KEPT values in order of arrival and of size; quantiles in constant time, a new value in KEPT steps."""

    __slots__ = ("_arrived", "_sorted")

    def __init__(self) -> None:
        self._arrived: deque[int] = deque()
        self._sorted: list[int] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: int) -> None:
        """Remember one value; the oldest is forgotten."""
        if len(self._arrived) == KEPT:
            oldest = self._arrived.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._arrived.append(value)
        insort(self._sorted, value)

    def quantile(self, percent: int) -> int:
        """The smallest value that `percent` of the window do not exceed."""
        held = self._sorted
        return held[min(len(held) - 1, len(held) * percent // 100)]


class Costs:
    """Nanoseconds of a run by its number of rows; 0 while unknown. Written by one thread, read by any.

    A size that was not seen enough is judged by its neighbours: never cheaper than a smaller size that was seen, and
    no dearer than a larger one, or in proportion to its rows above the largest.
    """

    def __init__(self) -> None:
        self._sizes: dict[int, Window] = {}
        self._known: tuple[int, ...] = ()

    def add(self, rows: int, ns: int) -> None:
        """One run of `rows` rows took `ns`."""
        window = self._sizes.get(rows)
        if window is None:
            window = self._sizes[rows] = Window()
        window.add(ns)
        if len(window) == ENOUGH:
            self._known = tuple(sorted((*self._known, rows)))

    def expect(self, rows: int, percent: int = 95) -> int:
        """What a run of `rows` rows will cost, in `percent` of cases at most; 0 where nothing is known."""
        known = self._known
        if not known:
            return 0
        at = bisect_left(known, rows)
        if at < len(known) and known[at] == rows:
            return self._sizes[rows].quantile(percent)
        if at == len(known):
            return self._sizes[known[-1]].quantile(percent) * rows // known[-1]
        above = self._sizes[known[at]].quantile(percent)
        below = self._sizes[known[at - 1]].quantile(percent) if at else 0
        if not at:
            return above
        low, high = known[at - 1], known[at]
        return below + max(0, above - below) * (rows - low) // (high - low)
