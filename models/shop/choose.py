"""From an exact order to a list of a few: caps by brand and category, and diversity, without ever giving too few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .ranking import Ranking
from .rules import Rules
from .snapshot import Snapshot

# rows (m,) -> (place among them -> how alike that one and each of them are, float32 (m,), 1 the same, 0 nothing in common)
Likeness = Callable[[np.ndarray], Callable[[int], np.ndarray]]


def choose(ranking: Ranking, snapshot: Snapshot, rules: Rules, count: int, likeness: Likeness) -> tuple[list[int], list[float]]:
    """(rows, scores) of `count` items, in the order in which they were chosen; fewer only where the rules allow no more.

    Each is the one of the window (the best `rules.window` rows of the ranking) that the caps allow and whose value is the
    greatest: (1 - diversity) * its score on a scale from 0 (the last of the first window) to 1 (the best), less diversity *
    its greatest likeness to what is chosen. Of equal values the better score counts, then the lower row. Where the caps
    allow nothing more of the window, the next one is the best rows that they do allow.
    """
    window = max(rules.window, count) if rules.diversity or rules.per_brand or rules.per_category else count
    rows, scores = ranking.best(window)
    if not (rules.diversity or rules.per_brand or rules.per_category):
        return rows.tolist(), scores.tolist()
    list_ = List(snapshot, rules, likeness, rows, scores)
    while len(list_.chosen) < count:
        if list_.take():
            continue
        if len(rows) < window:                 # the ranking had no more
            break
        rows, scores = ranking.among(ranking.allowed.but(list_.closed())).best(window)
        list_.go_on(rows, scores)
    return [int(list_.rows[at]) for at in list_.chosen], [float(list_.scores[at]) for at in list_.chosen]


@dataclass
class List:
    """The list so far. `rows` and `scores` are what was chosen of earlier windows and the window, `chosen` places in them."""

    snapshot: Snapshot
    rules: Rules
    likeness: Likeness
    rows: np.ndarray
    scores: np.ndarray
    chosen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.caps = ((self.rules.per_brand, self.snapshot.brand), (self.rules.per_category, self.snapshot.category))
        self.counts: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        least, most = (float(self.scores[-1]), float(self.scores[0])) if len(self.scores) else (0.0, 1.0)
        self.least, self.span = least, most - least or 1.0
        self._begin()

    def _begin(self) -> None:
        """Make what is known of each row of the window: its worth, -inf where it may not be chosen; likeness to the list."""
        self.worth = (1 - self.rules.diversity) * ((self.scores.astype(np.float64) - self.least) / self.span)
        self.codes = tuple(column[self.rows] for _, column in self.caps)
        self.alike = np.zeros(len(self.rows), np.float32)
        self.pairs = self.likeness(self.rows) if self.rules.diversity else None

    def take(self) -> bool:
        """Choose one more; False where the window has none."""
        if not len(self.rows):
            return False
        # The first of equal values has the better score, or the lower row.
        at = int((self.worth - self.rules.diversity * self.alike.astype(np.float64)).argmax())
        if self.worth[at] == -np.inf:
            return False
        self.chosen.append(at)
        for (most, _), codes, counts in zip(self.caps, self.codes, self.counts, strict=True):
            code = int(codes[at])
            counts[code] += 1
            if most and code and counts[code] >= most:
                self.worth[codes == code] = -np.inf
        self._join(at)
        return True

    def _join(self, at: int) -> None:
        self.worth[at] = -np.inf
        if self.pairs is not None:
            np.maximum(self.alike, self.pairs(at), out=self.alike)

    def closed(self) -> np.ndarray:
        """The rows of the catalogue that may not be chosen any more, bool (n,): chosen, or with a full brand or category."""
        made = np.zeros(len(self.snapshot), bool)
        made[self.rows[self.chosen]] = True
        for (most, column), counts in zip(self.caps, self.counts, strict=True):
            full = [code for code, many in counts.items() if most and code and many >= most]
            if full:
                made |= np.isin(column, full)
        return made

    def go_on(self, rows: np.ndarray, scores: np.ndarray) -> None:
        """With another window, of rows that are not closed."""
        self.rows = np.concatenate([self.rows[self.chosen], rows])
        self.scores = np.concatenate([self.scores[self.chosen], scores])
        self.chosen = list(range(len(self.chosen)))
        self._begin()
        for at in self.chosen:
            self._join(at)


def by_vectors(floats: np.ndarray, units: bool = False) -> Likeness:
    """Cosine of two rows' vectors, float32 (n, d); 0 where it is below, and for a row of zeros. `units`: each has length 1."""
    def likeness(rows: np.ndarray) -> Callable[[int], np.ndarray]:
        some = floats[rows] if units else unit(floats[rows])
        pairs = np.maximum(some @ some.T, 0)
        return pairs.__getitem__
    return likeness


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32; rows of zeros stay."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    made: np.ndarray = vectors / np.where(length > 0, length, 1)[:, None]
    return made


def by_facts(snapshot: Snapshot) -> Likeness:
    """Half for the same brand, half for the same category: for a shop without vectors."""
    def likeness(rows: np.ndarray) -> Callable[[int], np.ndarray]:
        columns = snapshot.brand[rows], snapshot.category[rows]

        def alike(at: int) -> np.ndarray:
            same = sum(((codes == codes[at]) & (codes != 0)).astype(np.float32) for codes in columns)
            return np.asarray(same, np.float32) / 2
        return alike
    return likeness
