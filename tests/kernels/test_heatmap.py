"""The heatmap operations: known answers, agreement with OpenCV's components, and any map alike in every variant."""

import math

import cv2
import numpy as np
import pytest
from aisle.bench.kernels.catalogue import variants
from aisle.kernels import heatmap, regions, smooth, top_mean
from aisle.kernels._op import Op
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

SIDES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
MAPS = arrays(np.float32, SIDES, elements=st.floats(-8, 8, width=16))
MASKS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=150), elements=st.sampled_from([0.0, 1.0]))


@settings(max_examples=60, deadline=None)
@given(map=MAPS, size=SIDES, threshold=st.floats(-4, 4, width=16), count=st.integers(1, 50))
def test_any_map_is_alike_in_every_variant(map: np.ndarray, size: tuple[int, int], threshold: float, count: int) -> None:
    found = []
    for run in variants("heatmap").values():
        out = (np.zeros(size, np.float32), np.zeros((5, 6), np.float32))
        found.append((*out, run(map, threshold, count, *out)))
    for grown, boxes, (score, held) in found[1:]:
        np.testing.assert_array_equal(grown, found[0][0])
        np.testing.assert_array_equal(boxes, found[0][1])
        assert held == found[0][2][1] and score == pytest.approx(found[0][2][0], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(map=MASKS)
def test_regions_are_opencv_s_components(map: np.ndarray) -> None:
    count, _, boxes, _ = cv2.connectedComponentsWithStats((map > 0.5).astype(np.uint8), connectivity=8)
    for run in variants("heatmap.regions").values():
        out = np.zeros((map.size, 6), np.float32)
        assert run(map, 0.5, out) == count - 1
        want = sorted(tuple(box) for box in boxes[1:].tolist())
        assert sorted(tuple(row[:5]) for row in out[:count - 1].astype(int).tolist()) == want


def test_one_call_is_the_steps_one_by_one() -> None:
    map = np.random.default_rng(1).random((14, 20), np.float32)
    out = (np.empty((14, 20), np.float32), np.zeros((9, 6), np.float32))
    score, count = heatmap(map, 0.6, out=out)
    smoothed, boxes = np.empty_like(map), np.zeros((9, 6), np.float32)
    smooth(map, out=smoothed)
    np.testing.assert_array_equal(out[0], smoothed)
    assert (score, count) == (pytest.approx(top_mean(smoothed)), regions(smoothed, 0.6, out=boxes))
    np.testing.assert_array_equal(out[1], boxes)


def test_regions_come_highest_first_and_equal_ones_in_order() -> None:
    map = np.zeros((5, 9), np.float32)
    map[0, 0], map[0, 3], map[2:4, 5:8], map[4, 0] = 2, 1, 1, 5
    out = np.zeros((3, 6), np.float32)
    for run in variants("heatmap.regions").values():
        assert run(map, 0.5, out) == 4
        assert out.tolist() == [[0, 4, 1, 1, 1, 5], [0, 0, 1, 1, 1, 2], [3, 0, 1, 1, 1, 1]]


def test_a_spiral_and_a_comb_are_one_region_each() -> None:
    """Runs that meet late: labels must be joined through others."""
    comb = np.zeros((70, 131), np.float32)
    comb[:, ::2], comb[-1] = 1, 1
    vee = np.zeros((9, 17), np.float32)
    for i in range(9):
        vee[i, i] = vee[i, 16 - i] = 1
    for run in variants("heatmap.regions").values():
        out = np.zeros((2, 6), np.float32)
        assert run(comb, 0.5, out) == 1 and out[0].tolist() == [0, 0, 131, 70, comb.sum(), 1]
        assert run(vee, 0.5, out) == 1 and out[0].tolist() == [0, 0, 17, 9, 17, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_cell_that_is_no_number_makes_the_score_none(bad: float) -> None:
    map = np.zeros((6, 6), np.float32)
    map[2, 3] = bad
    for run in variants("heatmap").values():
        assert math.isnan(run(map, 1.0, 3, np.empty((12, 12), np.float32), np.empty((2, 6), np.float32))[0])


@pytest.mark.parametrize(("out", "sentence"), [
    (np.zeros((4, 4), np.float32), "expected a pair of arrays, got ndarray - at `out`"),
    ((np.zeros((4, 4), np.float32),), "expected a pair of arrays, got tuple - at `out`"),
    ((np.zeros((4, 4)), np.zeros((2, 6), np.float32)), r"expected float32 \(H, W\), got float64 \(4, 4\) - at `out\[0\]`"),
    ((np.zeros((4, 4), np.float32), np.zeros((2, 5), np.float32)), r"expected float32 \(k, 6\), got .* - at `out\[1\]`"),
    ((np.zeros((0, 4), np.float32), np.zeros((2, 6), np.float32)), r"at `out\[0\]`"),
    ((np.zeros((4, 4), np.float32), None), r"got NoneType - at `out\[1\]`"),
])
def test_a_wrong_out_is_a_sentence(out: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        heatmap(np.zeros((3, 3), np.float32), 0.5, out=out)  # type: ignore[arg-type]


def test_outs_that_share_memory_are_refused() -> None:
    room = np.zeros(64, np.float32)
    with pytest.raises(ValueError, match="memory shared with `regions`"):
        heatmap(np.zeros((3, 3), np.float32), 0.5, out=(room[:16].reshape(4, 4), room[10:22].reshape(2, 6)))
    assert Op.table["heatmap"].choice().variant in ("fast", "reference")
