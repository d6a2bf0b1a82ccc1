"""From an exact order to a list of a few: caps by brand and category, and diversity, without ever giving too few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .ranking import Ranking
from .rules import Rules
from .snapshot import Snapshot

# (row, rows (m,)) -> how alike they are, float32 (m,), 1 for the same, 0 for nothing in common
Likeness = Callable[[int, np.ndarray], np.ndarray]


def choose(ranking: Ranking, snapshot: Snapshot, rules: Rules, count: int, likeness: Likeness) -> tuple[list[int], list[float]]:
    """(rows, scores) of `count` items, in the order in which they were chosen; fewer only where the rules allow no more.

    Each is the one of the window (the best `rules.window` rows of the ranking) that the caps allow and whose value is the
    greatest: (1 - diversity) * its score on a scale from 0 (the last of the first window) to 1 (the best), less diversity *
    its greatest likeness to what is chosen. Of equal values the better score counts, then the lower row. Where the caps
    allow nothing more of the window, the window is doubled.
    """
    window = max(rules.window, count) if rules.diversity or rules.per_brand or rules.per_category else count
    rows, scores = ranking.best(window)
    if not (rules.diversity or rules.per_brand or rules.per_category):
        return rows.tolist(), scores.tolist()
    list_ = List(snapshot, rules, likeness, rows, scores)
    while len(list_.chosen) < count:
        if list_.take():
            continue
        if len(list_.rows) < window:           # the ranking had no more
            break
        window *= 2
        more, scored = ranking.best(window)
        list_.widen(more, scored)
    return [int(list_.rows[at]) for at in list_.chosen], [float(list_.scores[at]) for at in list_.chosen]


@dataclass
class List:
    """The list so far. `rows` and `scores` are the window, `chosen` places in it."""

    snapshot: Snapshot
    rules: Rules
    likeness: Likeness
    rows: np.ndarray
    scores: np.ndarray
    chosen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.brands: Counter[int] = Counter()
        self.categories: Counter[int] = Counter()
        least, most = (float(self.scores[-1]), float(self.scores[0])) if len(self.scores) else (0.0, 1.0)
        self.least, self.span = least, most - least or 1.0
        self.free = np.ones(len(self.rows), bool)
        self.alike = np.zeros(len(self.rows), np.float32)
        self.worth = self._worth()

    def _worth(self) -> np.ndarray:
        return (1 - self.rules.diversity) * ((self.scores.astype(np.float64) - self.least) / self.span)

    def take(self) -> bool:
        """Choose one more; False where the window has none."""
        if not self.free.any():
            return False
        if self.rules.diversity:
            value = np.where(self.free, self.worth - self.rules.diversity * self.alike.astype(np.float64), -np.inf)
            at = int(value.argmax())           # the first of equal ones has the better score, or the lower row
        else:
            at = int(self.free.argmax())
        row = int(self.rows[at])
        self.chosen.append(at)
        self.free[at] = False
        self._count(row)
        if self.rules.diversity:
            np.maximum(self.alike, self.likeness(row, self.rows), out=self.alike)
        return True

    def _count(self, row: int) -> None:
        """Whatever is full now is free no more."""
        brand, category = int(self.snapshot.brand[row]), int(self.snapshot.category[row])
        if self.rules.per_brand and brand:
            self.brands[brand] += 1
            if self.brands[brand] >= self.rules.per_brand:
                self.free &= self.snapshot.brand[self.rows] != brand
        if self.rules.per_category and category:
            self.categories[category] += 1
            if self.categories[category] >= self.rules.per_category:
                self.free &= self.snapshot.category[self.rows] != category

    def widen(self, rows: np.ndarray, scores: np.ndarray) -> None:
        """A longer window, which begins with the one before."""
        old = self.rows[self.chosen]
        self.rows, self.scores = rows, scores
        place = {int(row): at for at, row in enumerate(rows)}
        self.chosen = [place[int(row)] for row in old]
        self.free, self.alike = np.ones(len(rows), bool), np.zeros(len(rows), np.float32)
        self.worth = self._worth()
        self.free[self.chosen] = False
        full = [b for b, n in self.brands.items() if n >= self.rules.per_brand]
        self.free &= ~np.isin(self.snapshot.brand[rows], full)
        full = [c for c, n in self.categories.items() if n >= self.rules.per_category]
        self.free &= ~np.isin(self.snapshot.category[rows], full)
        if self.rules.diversity:
            for row in old.tolist():
                np.maximum(self.alike, self.likeness(int(row), rows), out=self.alike)


def by_vectors(floats: np.ndarray) -> Likeness:
    """Cosine of two rows' vectors, float32 (n, d); 0 where it is below, and for a row of zeros."""
    def likeness(row: int, rows: np.ndarray) -> np.ndarray:
        some, one = floats[rows], floats[row]
        length = np.sqrt(np.einsum("ij,ij->i", some, some) * float(one @ one))
        return np.maximum(some @ one / np.where(length > 0, length, 1), 0).astype(np.float32)
    return likeness


def by_facts(snapshot: Snapshot) -> Likeness:
    """Half for the same brand, half for the same category: for a shop without vectors."""
    def likeness(row: int, rows: np.ndarray) -> np.ndarray:
        brand, category = snapshot.brand[row], snapshot.category[row]
        same = (snapshot.brand[rows] == brand) * bool(brand) + (snapshot.category[rows] == category) * bool(category)
        return same.astype(np.float32) / 2
    return likeness
