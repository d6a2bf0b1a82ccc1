"""Comparing a network with FP32: errors as shares of the span, what a shift does not count for, and the bound of agreement."""

import numpy as np
import pytest
from aisle.models.agreement import PROBES, Truth, at_least
from aisle.models.bundle import BundleError
from aisle.models.calibrate import Sample
from hypothesis import given
from hypothesis import strategies as st


def samples(count):
    """Scores 0, 1, 2, ...; more than 4.5 is rejected. The span of what is held out of ten is 3, of all 9."""
    return [Sample(f"s{i}", {"x": np.array([i], np.float32)}, lambda o: o["y"][0], lambda numbers: bool(numbers[0] > 4.5))
            for i in range(count)]


def net(off):
    """y = x + off(x)."""
    return lambda feed: {"y": (feed["x"] + off(feed["x"]))[None].astype(np.float32)}


@pytest.fixture
def truth():
    many = samples(10)
    return Truth(net(lambda x: 0 * x), many[:6], many[6:], lambda done, of, stage: None), many


def test_errors_are_shares_of_the_span(truth):
    told, many = truth
    judged = told.judge(net(lambda x: 0.3 * (x == 7)), many[6:])
    assert judged.max_error == pytest.approx(0.1) and judged.mean_error == pytest.approx(0.025)
    assert judged.agreement == 1 and judged.wrong == () and judged.samples == 4
    assert told.compare(net(lambda x: 0.9 + 0 * x), many[:4]) == (1, pytest.approx(0.1))


def test_other_verdicts_are_named(truth):
    told, many = truth
    assert told.judge(net(lambda x: -9.0 * (x == 8)), many[6:]).wrong == ("s8",)
    assert told.compare(net(lambda x: -9.0 * (x == 5)), many[:6]) == pytest.approx((5 / 6, 6 ** -0.5))


def test_the_spread_is_what_a_shift_leaves(truth):
    told, _ = truth
    assert told.spread(net(lambda x: 3 + 0 * x)) == pytest.approx(0, abs=1e-12)
    assert told.spread(net(lambda x: 0.9 * (-1.0) ** x)) == pytest.approx(0.01)
    assert told.spread(net(lambda x: np.inf + x)) == np.inf


def test_an_answer_that_is_no_number_is_infinitely_off(truth):
    told, many = truth
    assert told.judge(net(lambda x: np.nan * x), many[6:]).max_error == np.inf


def test_fp32_itself_must_answer_numbers():
    with pytest.raises(BundleError, match="s0 with values that are not numbers"):
        Truth(net(lambda x: np.nan * x), samples(3), [], lambda done, of, stage: None)


def test_probes_are_spread_over_what_was_shown():
    many, asked = samples(5 * PROBES), []
    told = Truth(net(lambda x: 0 * x), many, many[:1], lambda done, of, stage: None)
    told.spread(lambda feed: asked.append(int(feed["x"][0])) or net(lambda x: 0 * x)(feed))
    assert asked == [5 * i for i in range(PROBES)]


def test_the_bound_of_all_agreeing_is_the_known_one():
    assert at_least(59, 59) == pytest.approx(0.05 ** (1 / 59), abs=1e-9)
    assert at_least(840, 1200) == pytest.approx(0.6774, abs=2e-3) and at_least(5000, 10_000) == pytest.approx(0.4917, abs=2e-3)
    assert at_least(0, 10) == 0 and at_least(299, 300) < 299 / 300


@given(st.integers(1, 60), st.data())
def test_the_bound_never_exceeds_what_was_seen(of, data):
    right = data.draw(st.integers(0, of))
    assert 0 <= at_least(right, of) <= right / of + 1e-9
