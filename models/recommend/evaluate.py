"""How good a recommender is: the last item of each user, ranked among all items that the user has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .interactions import Interactions

TOP = 10
ROWS = 64              # users scored at a time, so that the scores of a large shop fit
PROTOCOL = ("leave-one-out: last item of a user = test, last but one = validation; ranked over all items, seen items removed, "
            "ties counted against us, no sampled negatives")

# Scores of all items for some users, float32 (users, items), from their histories, oldest first.
Score = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Split:
    """Leave-one-out. `train` has every user's items without the last two (all of them where a user has fewer than three);
    `users` are those with three or more, whose last item is in `test` and whose last but one is in `valid`."""

    items: int
    train: list[np.ndarray]
    users: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def before(self, part: str) -> list[np.ndarray]:
        """What each of `users` had done before its "valid" or its "test" item."""
        if part == "valid":
            return [self.train[u] for u in self.users]
        return [np.append(self.train[u], v) for u, v in zip(self.users, self.valid, strict=True)]

    def refit(self) -> list[np.ndarray]:
        """Train and validation items together: what is learnt from before the test when the refit is stated."""
        whole = list(self.train)
        for user, item in zip(self.users, self.valid, strict=True):
            whole[user] = np.append(whole[user], item)
        return whole


def leave_one_out(data: Interactions) -> Split:
    """The split of the data; users with fewer than three events only teach."""
    sequences = data.sequences()
    users = np.array([u for u, s in enumerate(sequences) if len(s) >= 3], np.int64)
    train = [s[:-2] if len(s) >= 3 else s for s in sequences]
    valid, test = (np.array([sequences[u][at] for u in users], np.int64) for at in (-2, -1))
    return Split(len(data.items), train, users, valid, test)


@dataclass(frozen=True)
class Measured:
    """Means over users: `hit` HR@10 (with one right item the same as recall), `ndcg` NDCG@10; `ranks` int64 (users,)."""

    hit: float
    ndcg: float
    ranks: np.ndarray


def measure(score: Score, histories: Sequence[np.ndarray], targets: np.ndarray) -> Measured:
    """Rank every user's target among all items that its history does not hold.

    The rank counts every unseen item that scores at least as much (0 is best). A target that the user has seen
    before cannot be shown, so it counts as a miss; so does one whose score is not a number.
    """
    ranks = np.empty(len(targets), np.int64)
    for start in range(0, len(targets), ROWS):
        some = histories[start:start + ROWS]
        ranks[start:start + ROWS] = rank(score(some), some, targets[start:start + ROWS])
    return of_ranks(ranks)


def rank(scores: np.ndarray, histories: Sequence[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """Ranks int64 (users,), 0 for the best; the number of items for a target that cannot be shown."""
    users = np.arange(len(targets))
    own = scores[users, targets]
    with np.errstate(invalid="ignore"):
        found = (~(scores < own[:, None])).sum(1) - 1      # what cannot be compared counts against us
    for user, history in enumerate(histories):
        seen = np.unique(history)
        if (seen == targets[user]).any() or np.isnan(own[user]):
            found[user] = scores.shape[1]
        else:
            found[user] -= int((~(scores[user, seen] < own[user])).sum())
    return found


def of_ranks(ranks: np.ndarray) -> Measured:
    """The figures of those ranks."""
    hits = ranks < TOP
    gain = np.where(hits, 1 / np.log2(np.maximum(ranks, 0) + 2), 0)
    return Measured(float(hits.mean()) if len(ranks) else 0.0, float(gain.mean()) if len(ranks) else 0.0, ranks)
