"""What every recommender must beat: popularity, popularity of late, item-kNN and VSKNN, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .covisit import best, once, pairs
from .evaluate import Score

WEEK_S = 7 * 86400.0


def popularity(train: Sequence[np.ndarray], items: int) -> Score:
    """Every visitor gets what most events are about."""
    return constant(np.bincount(np.concatenate(train), minlength=items).astype(np.float32))


def constant(scores: np.ndarray) -> Score:
    """The same scores, float32 (items,), for everyone."""
    return lambda histories: np.broadcast_to(scores, (len(histories), len(scores)))


def item_knn(train: Sequence[np.ndarray], items: int, k: int = 100, shrink: float = 10.0) -> Score:
    """Sum over the visitor's items of the cosine between the sets of visitors, shrunk for rare pairs.

    cosine(a, b) = both / (sqrt(a * b) + shrink), of each item the k nearest.
    """
    a, b, both, _ = pairs(train, items)
    a, b, both = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([both, both])
    code, place = np.unique(a * items + b, return_inverse=True)
    both = np.bincount(place, both, len(code))
    a, b = code // items, code % items
    visitors = np.bincount(np.concatenate(once(train)), minlength=items)
    cosine = both / (np.sqrt(visitors[a] * visitors[b]) + shrink)
    near, source = best(a, b, cosine, items, k)
    weight = np.where(source >= 0, cosine[source], 0).astype(np.float32) if len(cosine) else np.zeros(near.shape, np.float32)

    def score(histories: Sequence[np.ndarray]) -> np.ndarray:
        out = np.zeros((len(histories), items), np.float32)
        for row, history in enumerate(histories):
            seen = np.unique(history)
            out[row] = np.bincount(near[seen].ravel() + 1, weight[seen].ravel(), items + 1)[1:]
        return out
    return score


def vsknn(train: Sequence[np.ndarray], items: int, k: int = 100, sample: int = 1000) -> Score:
    """Vector session kNN (Ludewig and Jannach 2018): sessions like the visitor's vote for their items.

    The visitor's items weigh less the older they are (position / length); of the sessions that share an item the `sample`
    last ones are compared by the weighted dot product, the k best vote, each weighted by how new its newest shared item is
    to the visitor, and a vote counts as much as the item is rare: log(sessions / sessions with the item).
    """
    sets = once(train)
    of_item = _sessions_of(sets, items)
    rarity = np.log(len(sets) / np.maximum([len(s) for s in of_item], 1)).astype(np.float32)
    scratch = np.zeros(len(sets), np.float32)
    newest = np.zeros(len(sets), np.float32)

    def one(history: np.ndarray, out: np.ndarray) -> None:
        own = once([history])[0]
        weight = np.arange(1, len(own) + 1, dtype=np.float32) / max(len(own), 1)
        touched = np.unique(np.concatenate([of_item[i] for i in own])) if len(own) else np.empty(0, np.int64)
        scratch[touched] = newest[touched] = 0
        for item, w in zip(own, weight, strict=True):
            scratch[of_item[item]] += w
            newest[of_item[item]] = w
        some = touched[-sample:]
        nearest = some[np.argsort(-scratch[some], kind="stable")[:k]]
        for session in nearest:
            out[sets[session]] += scratch[session] / np.sqrt(np.float32(len(sets[session]))) * newest[session]
        out *= rarity

    def score(histories: Sequence[np.ndarray]) -> np.ndarray:
        out = np.zeros((len(histories), items), np.float32)
        for row, history in enumerate(histories):
            one(history, out[row])
        return out
    return score


def _sessions_of(sets: Sequence[np.ndarray], items: int) -> list[np.ndarray]:
    """The sessions that hold each item, ascending."""
    flat = np.concatenate(sets)
    session = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
    order = np.argsort(flat, kind="stable")
    return np.split(session[order], np.cumsum(np.bincount(flat, minlength=items))[:-1])
