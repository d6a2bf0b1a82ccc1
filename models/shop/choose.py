"""From an exact order to a list of a few: caps by brand and category, and diversity, without ever giving too few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...kernels import mmr
from ..recommend.format import scaled
from .ranking import Ranking
from .rules import Rules
from .snapshot import Snapshot

QUICK = 2000               # places times window: some 20 ms at the worst, in a catalogue of 100,000 sorted against us
# rows (m,) -> how alike each two of them are, float32 (m, m), 1 the same, 0 nothing in common
Likeness = Callable[[np.ndarray], np.ndarray]


def choose(ranking: Ranking, snapshot: Snapshot, rules: Rules, count: int, likeness: Likeness) -> tuple[list[int], list[float]]:
    """(rows, scores) of `count` items, in the order in which they were chosen; fewer only where the rules allow no more.

    Each is the one of the window (the best `rules.window` rows of the ranking) that the caps allow and whose value is the
    greatest: (1 - diversity) * its score on a scale from 0 (the last of the first window) to 1 (the best), less diversity *
    its greatest likeness to what is chosen. Of equal values the better score counts, then the lower row. Where the caps
    allow nothing more of the window, the next one is the best rows that they do allow.
    """
    if not (rules.diversity or rules.per_brand or rules.per_category):
        rows, scores = ranking.best(count)
        return rows.tolist(), scores.tolist()
    window = max(rules.window, count)
    rows, scores = found, scored = ranking.best(window)
    if not len(rows):
        return [], []
    least, span = float(scores[-1]), float(scores[0]) - float(scores[-1]) or 1.0
    caps, columns = np.array([rules.per_brand, rules.per_category], np.int32), (snapshot.brand, snapshot.category)
    out, chosen = np.full(count, -1, np.int32), 0
    while True:
        worth = (1 - rules.diversity) * ((scores.astype(np.float64) - least) / span)
        before, codes = chosen, np.stack([column[rows] for column in columns])
        chosen = mmr(worth, out=out, weight=rules.diversity, alike=likeness(rows) if rules.diversity else None, codes=codes,
                     caps=caps, begun=before)
        place = out[:chosen]
        if chosen in (count, before) or len(found) < window:       # where it is shorter, the ranking had no more
            break
        found, scored = ranking.among(ranking.allowed.but(closed(rows[place], snapshot, rules))).best(window)
        if not len(found):
            break
        rows, scores = np.concatenate([rows[place], found]), np.concatenate([scores[place], scored])
        place[:] = np.arange(chosen)
    return rows[place].tolist(), scores[place].tolist()


def closed(chosen: np.ndarray, snapshot: Snapshot, rules: Rules) -> np.ndarray:
    """The rows of the catalogue that may not be chosen any more, bool (n,): chosen, or with a full brand or category."""
    made = np.zeros(len(snapshot), bool)
    made[chosen] = True
    for most, column in ((rules.per_brand, snapshot.brand), (rules.per_category, snapshot.category)):
        if most:
            full = np.bincount(column[chosen], minlength=int(column.max()) + 1) >= most
            full[0] = False
            made |= full[column]
    return made


def is_quick(rules: Rules, count: int) -> bool:
    """Whether the choice cannot hold up an event loop: with caps each of `count` places may cost a search and its window."""
    return not (rules.per_brand or rules.per_category) or count * max(rules.window, count) <= QUICK


def by_vectors(floats: np.ndarray, units: bool = False) -> Likeness:
    """Cosine of two rows' vectors, float32 (n, d); 0 where it is below, and for a row of zeros. `units`: each has length 1."""
    def likeness(rows: np.ndarray) -> np.ndarray:
        some = floats[rows] if units else scaled(floats[rows])
        return np.maximum(some @ some.T, 0)
    return likeness


def by_facts(snapshot: Snapshot) -> Likeness:
    """Half for the same brand, half for the same category: for a shop without vectors."""
    def likeness(rows: np.ndarray) -> np.ndarray:
        made = np.zeros((len(rows), len(rows)), np.float32)
        for column in (snapshot.brand, snapshot.category):
            codes = column[rows]
            made += ((codes[:, None] == codes) & (codes != 0)) * np.float32(0.5)
        return made
    return likeness
