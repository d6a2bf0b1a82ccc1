"""Baselines against the plain way of saying what they do, on data small enough to count by hand."""

import numpy as np
import pytest
from aisle.models.recommend import baselines, covisit
from aisle.models.recommend.covisit import best, once, pairs

TRAIN = [np.array(s) for s in ([0, 1, 2], [1, 2], [2, 0, 1, 0], [3], [3, 1])]


def test_pairs_count_visitors_not_clicks() -> None:
    assert [s.tolist() for s in once(TRAIN)][2] == [2, 1, 0]
    a, b, visitors, weight = pairs(TRAIN, 4, fade=1.0)
    told = {(int(x), int(y)): (v, w) for x, y, v, w in zip(a, b, visitors, weight, strict=True)}
    assert told[1, 2] == (2, 2.0) and told[2, 1] == (1, 1.0) and told[2, 0] == (1, np.exp(-1)) and (3, 0) not in told
    a, b, _, _ = pairs(TRAIN, 4, lag=1)
    assert list(zip(a.tolist(), b.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 1), (3, 1)]


def test_the_same_pairs_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    sequences = [rng.integers(30, size=rng.integers(0, 20)) for _ in range(50)]
    whole = pairs(sequences, 30, fade=0.3)
    monkeypatch.setattr(covisit, "PAIRS", 50)
    assert all(np.allclose(x, y) for x, y in zip(whole, pairs(sequences, 30, fade=0.3), strict=True))
    assert len(pairs([], 30)[0]) == 0


def test_best_orders_ties_by_the_lower_column() -> None:
    near, source = best(np.array([0, 0, 0, 2]), np.array([3, 1, 2, 0]), np.array([1.0, 1.0, 2.0, 5.0]), 3, 2)
    assert near.tolist() == [[2, 1], [-1, -1], [0, -1]] and source.tolist() == [[2, 1], [-1, -1], [3, -1]]


def test_popularity() -> None:
    assert baselines.popularity(TRAIN, 4)([np.array([0])] * 2).tolist() == [[3, 4, 3, 2]] * 2


def test_item_knn_is_the_sum_of_cosines() -> None:
    visitors = np.zeros((len(TRAIN), 4))
    for row, items in enumerate(TRAIN):
        visitors[row, items] = 1
    both = visitors.T @ visitors
    cosine = both / (np.sqrt(np.outer(np.diag(both), np.diag(both))) + 2.0)
    np.fill_diagonal(cosine, 0)
    got = baselines.item_knn(TRAIN, 4, shrink=2.0)([np.array([0, 3]), np.array([], np.int64)])
    assert np.allclose(got[0], cosine[0] + cosine[3]) and not got[1].any()


def test_vsknn_votes_by_the_sessions_that_share_newest_items() -> None:
    score = baselines.vsknn(TRAIN, 4)
    got = score([np.array([1, 3]), np.array([], np.int64)])
    rare = np.log(5 / np.array([2, 4, 3, 2]))
    # sessions 0..4 weigh: shared item 1 (0.5) and item 3 (1.0)
    votes = np.zeros(4)
    for items, weight, newest in (([0, 1, 2], 0.5, 0.5), ([1, 2], 0.5, 0.5), ([2, 1, 0], 0.5, 0.5), ([3], 1.0, 1.0),
                                  ([3, 1], 1.5, 1.0)):
        votes[items] += weight / np.sqrt(len(items)) * newest
    assert np.allclose(got[0], votes * rare) and not got[1].any()
