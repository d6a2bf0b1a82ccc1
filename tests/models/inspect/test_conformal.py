"""The promise: its numbers, what they mean, and that resampled stations keep it."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from aisle.models.inspect.conformal import average, bound, promise, rank
from aisle.models.inspect.teach import ALPHA
from aisle.runtime.teaching import average_promise, bound_promise
from hypothesis import given
from hypothesis import strategies as st

COUNTS = st.integers(1, 400)
ALPHAS = st.floats(0.001, 0.5)


@pytest.mark.parametrize("n, on_average, at_most", [(10, 0.091, 0.259), (20, 0.048, 0.139), (30, 0.032, 0.095),
                                                    (59, 0.017, 0.050), (100, 0.010, 0.030), (299, 0.003, 0.010)])
def test_the_printed_table_holds(n, on_average, at_most):
    assert average(n, n) == pytest.approx(on_average, abs=6e-4)
    assert bound(n, n) == pytest.approx(at_most, abs=6e-4)


@pytest.mark.parametrize("n", [2, 20, 59, 299])
def test_what_people_are_told_about_more_parts_is_what_teaching_does(n):
    kept = promise(range(n), ALPHA)
    assert (kept.average, kept.bound) == pytest.approx((average_promise(n), bound_promise(n)))


@given(COUNTS, ALPHAS)
def test_the_rank_is_the_lowest_that_keeps_alpha(n, alpha):
    at = rank(n, alpha)
    assert 1 <= at <= n
    assert average(n, at) <= alpha + 1e-9 or at == n
    assert at == 1 or average(n, at - 1) > alpha - 1e-9


@given(st.integers(1, 60), st.data())
def test_the_bound_is_the_share_at_which_so_few_above_the_line_have_5_percent(n, data):
    at = data.draw(st.integers(1, n))
    share = bound(n, at)
    few = sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n - at + 1))
    assert few == pytest.approx(0.05, rel=1e-6)
    assert share > average(n, at)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), ALPHAS)
def test_the_threshold_is_one_of_the_scores_and_order_does_not_matter(scores, alpha):
    kept = promise(scores, alpha)
    assert kept == promise(scores[::-1], alpha)
    assert kept.threshold in scores and kept.threshold == sorted(scores)[kept.rank - 1]
    assert (kept.average, kept.bound) == (average(len(scores), kept.rank), bound(len(scores), kept.rank))


@pytest.mark.parametrize("n, alpha", [(10, 0.05), (20, 0.05), (59, 0.05), (100, 0.1)])
def test_resampled_stations_keep_both_promises(n, alpha):
    """Scores with a uniform distribution: the share of good parts above a threshold t is then 1 - t."""
    rng = np.random.default_rng(n)
    kept = [promise(rng.random(n), alpha) for _ in range(1500)]
    shares = np.array([1 - k.threshold for k in kept])
    assert shares.mean() == pytest.approx(kept[0].average, abs=0.005)
    assert np.mean(shares <= kept[0].bound) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")]])
def test_no_scores_and_nan_are_refused(scores):
    with pytest.raises(ValueError, match="scores"):
        promise(scores, 0.05)


@pytest.mark.parametrize("n, alpha", [(0, 0.05), (5, 0.0), (5, 1.0)])
def test_a_rank_without_meaning_is_refused(n, alpha):
    with pytest.raises(ValueError, match="alpha"):
        rank(n, alpha)
