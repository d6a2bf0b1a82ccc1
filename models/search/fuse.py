"""Words and meaning together: the exact best of a weighted sum, without scoring every row by both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..shop.ranking import ByScore, ByVectors, View
from ..shop.rules import Allowed

GRASPED, UNGRASPED = 0.2, 1.0     # weights of the cosine beside the words' score of at most 1; chosen on dev halves
CHEAP = 0.3                # what a low price counts where it is asked for, beside the words' score of at most 1
LEAST_COSINE = 0.3         # a row that shares no word with the question is shown from this likeness on
LEAST_SHARE = 0.25         # of the best one's score; what has less is not shown
FEW = 8                    # vectors of fewer than an eighth of the rows are sooner read one by one
WIDE, WIDER = 64, 4


@dataclass(frozen=True)
class Liking:
    """How near each row is to `mean` float32 (d,), as `view` knows the rows: from 0 for the farthest to `most`."""

    view: View
    mean: np.ndarray
    most: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """float32 (m,) of these rows."""
        size = len(self.view.floats)
        if FEW * len(rows) > size:
            every = self.view.floats @ self.mean
            low, high, near = float(every.min(initial=0.0)), float(every.max(initial=0.0)), every[rows]
        else:                                      # the others' vectors need not be read
            low, high = -self._farthest(-self.mean), self._farthest(self.mean)
            near = self.view.floats[rows] @ self.mean
        made: np.ndarray = ((near - low) / max(high - low, 1e-9) * self.most).astype(np.float32)
        return made

    def _farthest(self, way: np.ndarray) -> float:
        """The greatest product of a row with `way`, at least 0."""
        every = Allowed.of(np.ones(len(self.view.floats), bool))
        return max([0.0, *ByVectors(self.view, way, every).best(1)[1].tolist()])


@dataclass(frozen=True)
class Fused:
    """`words` float32 (n,), 0 to 1, for every row; `view` and `query` None: by words alone. `taste` float32 (n,) is added, and
    `liking` to the rows that the words find.

    `meaning` is the weight of the cosine, see `weight_of`.
    """

    words: np.ndarray
    allowed: Allowed
    view: View | None = None
    query: np.ndarray | None = None
    taste: np.ndarray | None = None
    meaning: float = GRASPED
    liking: Liking | None = None
    most: float | None = None      # the score of the very best, where `allowed` may be without it

    def among(self, allowed: Allowed) -> Fused:
        """The same order of other rows, which are all allowed here too; see `models.shop.ranking.Ranking`."""
        if self.most is not None:
            return replace(self, allowed=allowed)
        _, first = self.best(1)
        return replace(self, allowed=allowed, most=float(first[0]) if len(first) else None)

    def best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(rows int64, scores float32) of the best k that are allowed, best first, equal scores by rising row.

        No row outside the best m by words and the best m by meaning can reach the sum of the m-th of both: once the k-th of
        those looked at has that much, nothing can be missing; until then m grows.
        """
        base = self._base(k)
        if self.view is None or self.query is None:
            return self._shown(*found(base, self.allowed).best(k))
        wide = max(WIDE, 2 * k)
        by_words, by_meaning = found(base, self.allowed), ByVectors(self.view, self.query, self.allowed)
        while True:
            rows, scores = by_words.best(wide)
            near, cosines = by_meaning.best(wide)
            both = np.union1d(rows, near)
            total = base[both] + self.meaning * np.maximum(self.view.floats[both] @ self.query, 0)
            order = np.argsort(-total, kind="stable")[:k]
            word = float(scores[-1]) if len(rows) == wide else 0.0
            near_ = max(float(cosines[-1]), 0.0) if len(near) == wide else 0.0
            enough = len(order) == k and total[order[-1]] > word + self.meaning * near_
            if enough or (len(rows) < wide and len(near) < wide):
                return self._shown(both[order], total[order].astype(np.float32))
            wide *= WIDER

    def _base(self, k: int) -> np.ndarray:
        """Words and taste, float32 (n,); what cannot be among the best k, however it is liked, need not be asked for."""
        base = self.words if self.taste is None else self.words + self.taste
        if self.liking is None:
            return base
        _, scores = found(base, self.allowed).best(k)
        reach = self.liking.most + (self.meaning if self.view is not None else 0.0)
        rows = np.flatnonzero((self.words > 0) & (base >= (float(scores[-1]) - reach if len(scores) == k else 0.0)))
        base = base.copy()
        base[rows] += self.liking(rows)
        return base

    def _shown(self, rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Without what neither words nor meaning find, and without what is far from the best."""
        if not len(rows):
            return rows, scores
        near = np.zeros(len(rows), bool)
        if self.view is not None and self.query is not None:
            near = self.view.floats[rows] @ self.query >= LEAST_COSINE
        keep = ((self.words[rows] > 0) | near) & (scores >= LEAST_SHARE * (scores[0] if self.most is None else self.most))
        return rows[keep], scores[keep]


def weight_of(grasp: float) -> float:
    """How much meaning counts where this share of a question, 0 to 1, was understood as facets that the catalogue has."""
    return GRASPED * grasp + UNGRASPED * (1 - grasp)


def cheaper(price: np.ndarray, words: np.ndarray, allowed: Allowed) -> np.ndarray:
    """float32 (n,): CHEAP for the cheapest allowed row that the words find, nothing for the dearest and where no price is."""
    made = np.zeros(len(price), np.float32)
    rows = np.flatnonzero((words > 0) & ~np.isnan(price))
    rows = rows[allowed.has(rows)]
    prices, place = np.unique(price[rows], return_inverse=True)          # what costs the same is as cheap
    made[rows] = CHEAP * (1 - place / max(len(prices) - 1, 1))
    return made


def found(scores: np.ndarray, allowed: Allowed) -> ByScore:
    """The order of the rows that have a score at all: few, where most have none."""
    return ByScore(scores, allowed.but(scores <= 0))
