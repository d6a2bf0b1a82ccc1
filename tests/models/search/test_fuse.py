"""The best of words and meaning together is exact, whatever is blocked."""

import numpy as np
import pytest
from aisle.models.search import fuse
from aisle.models.search.fuse import LEAST_COSINE, LEAST_SHARE, Fused, weight_of
from aisle.models.shop.ranking import Vectors
from aisle.models.shop.rules import Allowed


def made(n: int, seed: int) -> tuple[np.ndarray, Vectors, np.ndarray, Allowed, np.ndarray]:
    rng = np.random.default_rng(seed)
    words = np.where(rng.random(n) < 0.3, rng.random(n), 0).astype(np.float32)
    floats = rng.standard_normal((n, 16)).astype(np.float32)
    floats /= np.linalg.norm(floats, axis=1, keepdims=True)
    vectors = Vectors(16)
    vectors.put(np.arange(n), floats)
    query = floats[rng.integers(n)].copy()
    free = rng.random(n) < 0.6
    return words, vectors, query, Allowed(np.packbits(~free, bitorder="little"), int(free.sum())), free


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n", "k"), [(1, 3), (50, 10), (900, 10), (900, 200)])
def test_it_is_what_scoring_every_row_gives(n: int, k: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "WIDE", 8)                       # so that it must widen
    words, vectors, query, allowed, free = made(n, seed)
    rows, scores = Fused(words, allowed, vectors.view(n), query, meaning=0.7).best(k)
    cosines = vectors.floats[:n] @ query
    total = np.where(free, words + 0.7 * np.maximum(cosines, 0), -1)
    order = [row for row in np.argsort(-total, kind="stable")[:k] if total[row] >= 0]
    near = (words > 0) | (cosines >= LEAST_COSINE)
    order = [row for row in order if near[row] and total[row] >= LEAST_SHARE * total[order[0]]]
    assert rows.tolist() == order
    assert np.allclose(scores, total[order], atol=1e-5)


def test_by_words_alone_and_with_taste() -> None:
    words = np.array([0.2, 0.0, 1.0, 0.9], np.float32)
    free = Allowed(np.array([0], np.uint8), 4)
    assert Fused(words, free).best(9)[0].tolist() == [2, 3]    # 0.2 is too far from the best, 0 is nothing
    assert Fused(words, free, taste=np.array([0, 0, 0, 0.5], np.float32)).best(1)[0].tolist() == [3]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("few", "meant"), [(8, False), (8, True), (0.001, True)])
def test_a_taste_that_is_asked_of_few_rows_gives_what_that_of_all_gives(seed: int, few: float, meant: bool,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "FEW", few)
    words, vectors, query, allowed, _ = made(900, seed)
    view = vectors.view(900)
    liking, asked = fuse.Liking(view, vectors.floats[7], 0.3), []         # rows asked for
    every = np.where(words > 0, liking(np.arange(900)), 0).astype(np.float32)
    plain = fuse.Liking.__call__
    monkeypatch.setattr(fuse.Liking, "__call__", lambda self, rows: asked.append(len(rows)) or plain(self, rows))
    told = (view, query) if meant else (None, None)
    rows, scores = Fused(words, allowed, *told, meaning=0.1, liking=liking).best(10)
    known, expected = Fused(words, allowed, *told, taste=every, meaning=0.1).best(10)
    assert rows.tolist() == known.tolist() and np.allclose(scores, expected, atol=1e-5)
    assert every.min() >= 0 and every.max() <= 0.3 + 1e-6 and asked[-1] < 300


def test_meaning_counts_more_where_the_words_say_little() -> None:
    assert weight_of(1.0) < weight_of(0.5) < weight_of(0.0)


def test_blocking_more_counts_anew() -> None:
    allowed = Allowed(np.array([0b00000001], np.uint8), 4).but(np.array([False, True, False, False, True]))
    assert allowed.rows(5).tolist() == [2, 3] and allowed.count == 2


@pytest.mark.parametrize("seed", range(6))
def test_what_is_far_from_the_very_best_stays_out_without_it(seed: int) -> None:
    words, vectors, query, allowed, _ = made(300, seed)
    ranking = Fused(words, allowed, vectors.view(300), query, meaning=0.7)
    every = ranking.best(300)[0].tolist()
    closed = np.zeros(300, bool)
    closed[every[:5]] = True
    assert ranking.among(allowed.but(closed)).best(300)[0].tolist() == every[5:]


def test_a_low_price_counts_only_among_what_the_words_find() -> None:
    price, words = np.array([30, 10, np.nan, 20, 1], np.float32), np.array([1, 1, 1, 0.5, 0], np.float32)
    every = Allowed.of(np.ones(5, bool))
    found = fuse.cheaper(price, words, every)
    assert found.tolist() == pytest.approx([0, fuse.CHEAP, 0, fuse.CHEAP / 2, 0])
    assert fuse.cheaper(price, np.zeros(5, np.float32), every).tolist() == [0] * 5


def test_what_costs_the_same_is_as_cheap() -> None:
    found = fuse.cheaper(np.full(4, 5, np.float32), np.ones(4, np.float32), Allowed.of(np.ones(4, bool)))
    assert found.tolist() == pytest.approx([fuse.CHEAP] * 4)


def test_what_may_not_be_shown_is_no_scale_of_what_is_cheap() -> None:
    free = np.array([True, True, False, False])
    found = fuse.cheaper(np.array([20, 30, 1, 900], np.float32), np.ones(4, np.float32), Allowed.of(free))
    assert found.tolist() == pytest.approx([fuse.CHEAP, 0, 0, 0])
