"""`mahalanobis`: every instruction set against NumPy, the packed triangle, the low rank, and what does not fit."""

import numpy as np
import pytest
from aisle.kernels.mahalanobis import FACTORS, MAX_DEPTH, TOLERANCE, mahalanobis, reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.mahalanobis.fast")
KINDS = st.sampled_from(sorted(FACTORS.values()))


@settings(deadline=None, max_examples=120)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 150), st.integers(0, 150), KINDS)
def test_every_instruction_set_measures_the_same(seed: int, p: int, d: int, r: int, kind: str) -> None:
    """`r` 0 is the packed triangle."""
    rng = np.random.default_rng(seed)
    features, mean = rng.standard_normal((2, p, d), np.float32)
    factor = rng.standard_normal((p, d, r) if r else (p, d * (d + 1) // 2), np.float32).astype(kind)
    want = np.empty(p, np.float32)
    reference.mahalanobis(features, mean, factor, None, want)
    for level in fast.levels():
        got = np.full(p, 77, np.float32)
        fast.mahalanobis(features, mean, factor, None, got, level)
        np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"level {level}")


@pytest.mark.parametrize("function", [reference.mahalanobis, fast.mahalanobis])
def test_the_triangle_and_the_low_rank_give_what_the_covariance_gives(function: object) -> None:
    rng = np.random.default_rng(3)
    p, d, r = 4, 30, 5
    features, mean = rng.standard_normal((2, p, d), np.float32)
    directions = np.stack([np.linalg.qr(rng.standard_normal((d, r)))[0] for _ in range(p)])
    more, s = rng.random((p, r)) + 0.5, rng.random(p) + 0.5
    covariance = s[:, None, None] * np.eye(d) + (directions * more[:, None]) @ directions.transpose(0, 2, 1)
    gap = (features - mean).astype(np.float64)
    inverse = np.linalg.inv(covariance)
    want = np.einsum("pi,pij,pj->p", gap, inverse, gap)
    out = np.empty(p, np.float32)
    low = (directions * np.sqrt(1 / s[:, None] - 1 / (s[:, None] + more))[:, None]).astype(np.float32)
    function(features, mean, low, (1 / s).astype(np.float32), out)
    np.testing.assert_allclose(out, want, rtol=1e-4)
    # An upper triangle whose product with its transpose is the inverse: Cholesky from the last row on.
    upper = np.linalg.cholesky(inverse[:, ::-1, ::-1])[:, ::-1, ::-1]
    assert np.allclose(np.triu(upper), upper)
    function(features, mean, upper[:, *np.triu_indices(d)].astype(np.float32), None, out)
    np.testing.assert_allclose(out, want, rtol=1e-4)


def test_nan_counts_as_infinite_and_never_leaves_its_place() -> None:
    for shape in ((3, 20, 7), (3, 210)):
        for value in (np.nan, np.inf):
            factor = np.ones(shape, np.float32)
            factor[1] = value
            for level in fast.levels():
                out = np.empty(3, np.float32)
                fast.mahalanobis(np.ones((3, 20), np.float32), np.zeros((3, 20), np.float32), factor, None, out, level)
                assert np.isinf(out).tolist() == [False, True, False] and out[0] == out[2]


def test_a_low_rank_distance_is_never_below_zero() -> None:
    out = np.empty(2, np.float32)
    mahalanobis(np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32), np.ones((2, 3, 1), np.float32),
                inverse=np.ones(2, np.float32), out=out)
    assert out.tolist() == [0, 0]


@pytest.mark.parametrize(("changed", "place"), [
    ({"features": np.zeros((2, 4), np.float64)}, "features"), ({"features": np.zeros((0, 4), np.float32)}, "features"),
    ({"features": np.zeros((2, MAX_DEPTH + 1), np.float32)}, "features"), ({"mean": np.zeros((1, 4), np.float32)}, "mean"),
    ({"factor": np.zeros((2, 9), np.float32)}, "factor"), ({"factor": np.zeros((2, 4, 0), np.float32)}, "factor"),
    ({"factor": np.zeros((2, 4, MAX_DEPTH + 1), np.float16)}, "factor"), ({"factor": np.zeros((2, 10), np.int8)}, "factor"),
    ({"inverse": np.zeros(3, np.float32)}, "inverse"), ({"out": np.zeros((2, 1), np.float32)}, "out"),
])
def test_what_does_not_fit_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"features": np.zeros((2, 4), np.float32), "mean": np.zeros((2, 4), np.float32),
              "factor": np.zeros((2, 10), np.float32), "out": np.zeros(2, np.float32)} | changed
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        mahalanobis(**given_)
