"""What goes together by count is added to what the network says; how much, the validation items decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .covisit import best, pairs
from .evaluate import ROWS, of_ranks
from .format import NEAR

LAG, FADE, SHRINK = 50, 0.1, 16.0    # of pairs: how far apart, how much less with each step, how many visitors it takes
MOST = 10_000_000                    # neighbours of all items together
AGES = 20                            # of a visitor's newest events count
STRENGTHS = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
FADES = (0.7, 0.85, 0.95)


@dataclass(frozen=True)
class Near:
    """Of each item what came after it: `item` int32 (n, k), -1 for none, `count` uint32 visitors, `weight` float32 >= 0."""

    item: np.ndarray
    count: np.ndarray
    weight: np.ndarray


def neighbours(train: Sequence[np.ndarray], items: int) -> Near:
    """The items that most visitors had after each item, in proportion to how popular both are; NEAR of them, fewer in a large
    shop, so that the arrays stay below MOST entries each.

    Weight of b after a: sum over visitors of exp(-FADE * (distance - 1)), over sqrt(visitors of a * visitors of b) + SHRINK;
    all weights together are scaled so that an item's greatest one is 1 on average.
    """
    a, b, visitors, weight = pairs(train, items, LAG, FADE)
    seen = np.bincount(np.concatenate(train), minlength=items)
    value = weight / (np.sqrt(seen[a] * seen[b]) + SHRINK)
    near, source = best(a, b, value, items, max(1, min(NEAR, MOST // items)))
    if not len(a):
        return Near(near, np.zeros(near.shape, np.uint32), np.zeros(near.shape, np.float32))
    there = source >= 0
    found = np.where(there, value[source], 0)
    scale = found[there[:, 0], 0].mean()
    return Near(near, np.where(there, visitors[source], 0).astype(np.uint32), (found / scale).astype(np.float32))


def added(near: Near, histories: Sequence[np.ndarray], ages: np.ndarray, items: int) -> np.ndarray:
    """The bonus of every item for each history (rows, oldest first), float32 (histories, items)."""
    out = np.zeros((len(histories), items), np.float32)
    for row, history in enumerate(histories):
        newest = history[::-1][:len(ages)]
        weight = near.weight[newest] * ages[:len(newest), None]
        out[row] = np.bincount(near.item[newest].ravel() + 1, weight.ravel(), items + 1)[1:]
    return out


@dataclass(frozen=True)
class Blend:
    """The chosen strength and fade, and NDCG@10 on the validation users with and without."""

    strength: float
    fade: float
    with_it: float
    without: float


def choose(near: Near, tastes: np.ndarray, vectors: np.ndarray, histories: Sequence[np.ndarray], targets: np.ndarray) -> Blend:
    """Try every strength and fade on users whose next item is known, and take the best; the weaker one where they are equal.

    `tastes` float32 (users, d) of the encoder.
    """
    ranks = {(s, f): np.empty(len(targets), np.int64) for s in STRENGTHS for f in FADES}
    for start in range(0, len(targets), ROWS):
        part = slice(start, start + ROWS)
        plain = tastes[part] @ vectors.T
        users = np.arange(len(plain))
        for user, history in enumerate(histories[part]):
            plain[user, history] = -np.inf
        for fade in FADES:
            more = added(near, histories[part], fade ** np.arange(AGES), len(vectors))
            for strength in STRENGTHS:
                scores = plain + np.float32(strength) * more
                own = scores[users, targets[part]]
                ranks[strength, fade][part] = np.where(np.isfinite(own), (scores >= own[:, None]).sum(1) - 1, len(vectors))
    found = {how: of_ranks(one).ndcg for how, one in ranks.items()}
    strength, fade = max(found, key=lambda how: (found[how], -how[0]))
    return Blend(strength, fade, found[strength, fade], found[0.0, FADES[0]])
