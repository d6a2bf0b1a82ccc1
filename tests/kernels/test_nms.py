"""Suppression: known answers, OpenCV's answers, and any heap of boxes alike in every variant."""

import cv2
import numpy as np
import pytest
from aisle.bench.kernels.catalogue import variants
from aisle.kernels import nms
from hypothesis import given, settings
from hypothesis import strategies as st

SQUARES = np.array([[[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 10]]], np.float32)


def each(boxes: np.ndarray, scores: np.ndarray, room: int, iou: float, least: float = 0.0,
         classes: np.ndarray | None = None) -> list[np.ndarray]:
    """What every variant writes, the reference first."""
    found = []
    for run in variants("nms").values():
        found.append(np.full((len(boxes), room), 77, np.int32))
        run(boxes, scores, classes, iou, least, found[-1])
    return found


@pytest.mark.parametrize(("scores", "iou", "want"), [
    ([0.9, 0.8, 0.7, 0.6], 0.5, [0, 2, -1, -1]),
    ([0.9, 0.8, 0.7, 0.6], 0.7, [0, 1, 2, -1]),
    ([0.9, 0.8, 0.7, 0.6], 1.0, [0, 1, 2, 3]),
    ([0.5, 0.5, 0.5, 0.5], 0.5, [0, 2, -1, -1]),
    ([0.1, 0.2, 0.3, np.nan], 0.5, [2, 1, -1, -1]),
    ([0.0, -0.0, -1.0, 0.0], 0.5, [-1, -1, -1, -1]),
    ([1e-40, np.inf, 0.3, 0.2], 0.5, [1, 2, -1, -1]),
])
def test_known_heaps(scores: list[float], iou: float, want: list[int]) -> None:
    for found in each(SQUARES, np.array([scores], np.float32), 4, iou):
        assert found[0].tolist() == want


def test_classes_do_not_cover_each_other_and_pictures_are_apart() -> None:
    boxes, scores = np.repeat(SQUARES, 2, axis=0), np.array([[0.9, 0.8, 0.7, 0.6]] * 2, np.float32)
    classes = np.array([[0, 1, 0, 0], [0, 0, 0, 5]], np.int32)
    for found in each(boxes, scores, 4, 0.5, classes=classes):
        assert found.tolist() == [[0, 1, 2, -1], [0, 2, 3, -1]]


def test_room_for_few_takes_the_best() -> None:
    for found in each(SQUARES, np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), 2, 0.5):
        assert found.tolist() == [[3, 2]]


def test_boxes_that_are_none_are_left_out() -> None:
    boxes = np.array([[[0, 0, np.nan, 1], [5, 5, 4, 9], [0, 0, 2e9, 1], [-np.inf, 0, 1, 1], [3, 3, 3, 3]]], np.float32)
    for found in each(boxes, np.ones((1, 5), np.float32), 5, 0.5):
        assert found.tolist() == [[4, -1, -1, -1, -1]]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), b=st.integers(1, 3), n=st.integers(1, 300), room=st.integers(1, 300),
       iou=st.floats(0, 1), least=st.floats(-1, 1), kinds=st.integers(1, 4), levels=st.integers(1, 50))
def test_any_heap_is_alike_in_every_variant(seed: int, b: int, n: int, room: int, iou: float, least: float, kinds: int,
                                            levels: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 60, (b, n, 2))
    boxes = np.concatenate([corner, corner + rng.integers(-1, 30, (b, n, 2))], axis=2).astype(np.float32)
    scores = (rng.integers(-levels, levels, (b, n)) / levels).astype(np.float32)
    want, *got = each(boxes, scores, room, iou, least, rng.integers(0, kinds, (b, n), dtype=np.int32))
    for found in got:
        np.testing.assert_array_equal(found, want)


def test_opencv_keeps_the_same() -> None:
    rng = np.random.default_rng(2)
    corner, size = rng.random((1, 500, 2)) * 300, rng.random((1, 500, 2)) * 80 + 1
    boxes, scores = np.concatenate([corner, corner + size], axis=2).astype(np.float32), rng.random((1, 500), np.float32)
    want = cv2.dnn.NMSBoxes(np.concatenate([boxes[0, :, :2], boxes[0, :, 2:] - boxes[0, :, :2]], axis=1), scores[0], 0.3, 0.4)
    for found in each(boxes, scores, 500, 0.4, 0.3):
        assert found[found >= 0].tolist() == np.ravel(want).tolist()


@pytest.mark.parametrize(("named", "sentence"), [
    ({"iou": 1.5}, "expected a number from 0 to 1, got 1.5 - at `iou`"),
    ({"scores": np.zeros((1, 3), np.float32)}, r"expected float32 \(1, 4\), got float32 \(1, 3\) - at `scores`"),
    ({"classes": np.zeros((1, 4))}, r"expected int32 \(1, 4\), got float64 \(1, 4\) - at `classes`"),
    ({"out": np.zeros((2, 4), np.int32)}, r"expected int32 \(1, k\), got int32 \(2, 4\) - at `out`"),
])
def test_a_wrong_call_is_a_sentence(named: dict, sentence: str) -> None:
    call = {"scores": np.zeros((1, 4), np.float32), "out": np.zeros((1, 4), np.int32), "iou": 0.5} | named
    with pytest.raises(ValueError, match=sentence):
        nms(SQUARES, call.pop("scores"), **call)
