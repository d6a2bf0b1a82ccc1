"""The buckets find what looking at every piece finds, wherever the point lies."""

import numpy as np
import pytest
from aisle.kernels import nearest_piece
from aisle.kernels.nearest_piece import reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.nearest_piece.fast", reason="the compiled kernels are not built here")
CASES = list(nearest_piece.cases(np.random.default_rng(2)))


def agree(case: dict, x: float, y: float, limit: float) -> None:
    plain = reference.Index(*case.values(), *[None] * 7)
    assert nearest_piece.index(**case).nearest(x, y, limit) == plain.nearest(x, y, limit)


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(len(c["ax"])))
def test_variants_agree(case: dict) -> None:
    rng = np.random.default_rng(5)
    size = max(float(case["ax"].max(initial=0)), 50.0)
    for x, y in rng.uniform(-0.3 * size, 1.3 * size, (60, 2)).tolist():
        for limit in (1e-9, 20.0, 1e4, 1e9):
            agree(case, x, y, limit)


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(len(c["ax"])))
def test_many_points_find_what_each_finds(case: dict) -> None:
    points = np.random.default_rng(6).uniform(-100, 1100, (2, 50))
    points[:, 7] = np.nan, np.inf
    plain, quick = reference.Index(*case.values(), *[None] * 7), nearest_piece.index(**case)
    for index in (plain, quick):
        piece, t = np.empty(50, np.int32), np.empty(50)
        index.nearest_all(*points, 60.0, piece, t)
        assert [(p, w) for p, w in zip(piece, t, strict=True)] == [plain.nearest(*xy, 60.0)[:2] for xy in points.T.tolist()]
    with pytest.raises(ValueError, match="expected 50"):
        quick.nearest_all(points[0], points[1][:3].copy(), 60.0, piece, t)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e7))
@settings(max_examples=80, deadline=None)
def test_any_point(seed: int, count: int, x: float, y: float, limit: float) -> None:
    rng = np.random.default_rng(seed)
    agree({k: np.round(rng.uniform(-50, 50, count)) for k in ("ax", "ay", "bx", "by")}, x, y, limit)


def test_points_that_are_nowhere_find_nothing() -> None:
    for x in (np.nan, np.inf, -np.inf, 1e300):
        agree(CASES[3], x, 0.0, 1e9)


@pytest.mark.parametrize("spoil", [{"bx": np.array([np.nan] * 200)}, {"ay": np.zeros(3)}, {"ax": np.zeros(200, np.float32)},
                                   {"per_bucket": 0}, {"by": None}])
def test_wrong_arguments_are_refused(spoil: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        nearest_piece.buckets(**{**CASES[3], **spoil})


@pytest.mark.parametrize(("place", "value"), [(4, [0, 9]), (4, [5, 0]), (5, [99]), (5, [-1]), (8, 0.0), (9, 0), (10, 5)])
def test_buckets_that_do_not_hold_together_are_refused(place: int, value: object) -> None:
    buckets = [np.array([0, 1], np.int32), np.array([0], np.int32)]
    good = [np.zeros(1), np.zeros(1), np.ones(1), np.ones(1), *buckets, 0.0, 0.0, 1.0, 1, 1]
    fast.Index(*good)
    good[place] = np.array(value, np.int32) if isinstance(value, list) else value
    with pytest.raises(ValueError, match="hold together"):
        fast.Index(*good)


@pytest.mark.parametrize("spoil", [
    ("first", lambda a: a + 1), ("first", lambda a: a[::-1].copy()), ("first", lambda a: a[:-1]), ("grid", lambda a: a * 0),
    ("pieces", lambda a: a + 10**6), ("pieces", lambda a: a.astype(np.int64)), ("grid", lambda a: a * np.nan),
    ("grid", lambda a: a * 1e9),
])
def test_damaged_buckets_are_refused(spoil: tuple) -> None:
    kept = nearest_piece.buckets(**CASES[3])
    assert nearest_piece.index(**CASES[3], kept=kept).nearest(5, 5, 99) == nearest_piece.index(**CASES[3]).nearest(5, 5, 99)
    with pytest.raises(ValueError, match=r"expected|hold together"):
        nearest_piece.index(**CASES[3], kept={**kept, spoil[0]: spoil[1](kept[spoil[0]])})
