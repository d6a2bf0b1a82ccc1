"""The benches of retrieval and of a served shop: every row of the contract, on tables that are small."""

from __future__ import annotations

import numpy as np
import pytest
from aisle.bench.recommend import made, retrieval, served
from aisle.bench.report import Options
from aisle.models.shop.ranking import Vectors


def test_made_vectors_are_of_length_one_and_the_same_each_time() -> None:
    one, two = (made.vectors(np.random.default_rng(3), 50) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-6)


def test_every_row_of_retrieval_is_there_without_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "SIZES", {"100k": 3000})
    monkeypatch.setattr(retrieval, "faiss_index", lambda floats: (None, "no peer here"))
    rows = list(retrieval.run(Options(quick=True)))
    assert len(rows) == 8 and all(row.value is not None and row.value > 0 for row in rows)
    assert [row.met for row in rows if row.metric.startswith("recall")] == [True]
    assert rows[0].met is None and "no peer here" in str(rows[0].note), "without its peer a goal is open"


def test_what_is_settled_is_the_best() -> None:
    rng = np.random.default_rng(0)
    drawn, table = made.vectors(rng, 2000), Vectors(made.DEPTH, 2000)
    table.put(np.arange(2000), drawn)
    settled = retrieval.Settled(table.view(2000))
    for row in range(20):
        assert settled(drawn[row:row + 1])[0] == row


def test_a_served_shop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = made.shop
    monkeypatch.setattr(served, "shop", lambda folder, n: shop(folder, 500))
    monkeypatch.setattr(served, "question", lambda rng, n, made=served.question: made(rng, 500))
    rows = list(served.run(Options(quick=True)))
    assert {row.metric for row in rows} == {"p50 above the floor", "p50", "p99", "processor time above the floor",
                                            "p50 of an update"}
    assert rows[-1].met and "0 not seen" in str(rows[-1].note)
