"""A part is found where it lies, and one that is not there is said not to be."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from aisle.models.inspect.align import align
from aisle.models.inspect.register import back, move, register, small
from aisle.models.inspect.score import LOST, examine, grey, prepare


def shifted(image: np.ndarray, dx: float, dy: float, turn: float) -> np.ndarray:
    h, w = image.shape[:2]
    warp = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), -turn, 1)
    warp[:, 2] += dx, dy
    return cv2.warpAffine(image, warp, (w, h), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("dx, dy, turn", [(0, 0, 0), (4, -3, 0), (-9, 6, 0), (1.5, 0.5, 2), (0, 0, -3)])
def test_shift_and_turn_are_found(good, dx, dy, turn):
    image = good(3)
    work = image.shape[:2]
    found = register(small(grey(image)), small(grey(shifted(image, dx, dy, turn))), gate=0.5, work=work)
    assert found.found and found.correlation > 0.9
    assert (found.dx, found.dy, found.turn) == pytest.approx((dx, dy, turn), abs=0.4)


def test_moving_undoes_the_shift_and_back_lays_the_map_on_the_part(good):
    image = good(3)
    seen = shifted(image, 6, 4, 0)
    found = register(small(grey(image)), small(grey(seen)), gate=0.5, work=image.shape[:2])
    inner = (slice(16, -16), slice(16, -16))
    assert np.abs(move(seen, found).astype(int) - image)[inner].mean() < 4
    map = np.zeros((15, 20), np.float32)
    map[7, 10] = 1
    y, x = np.unravel_index(back(map, found, 2).argmax(), map.shape)
    assert (x, y) == (13, 9)      # 6 and 4 px at 2 px a cell


def pictures(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1])[None, :, None], shape).astype(np.uint8)
    return {"black": np.zeros(shape, np.uint8), "white": np.full(shape, 255, np.uint8), "ramp": ramp,
            "noise": rng.integers(0, 256, shape, dtype=np.uint8)}


@pytest.mark.parametrize("name", ["black", "white", "ramp", "noise"])
def test_a_part_that_is_not_there_is_not_found_and_scores_far_above_the_threshold(learned, name):
    assert learned.recipe.register
    seen = examine(np.ascontiguousarray(pictures((120, 160, 3))[name]), learned.recipe)
    assert not seen.registration.found
    assert seen.score >= LOST * learned.recipe.threshold


def test_good_parts_are_found(learned, good):
    assert all(prepare(good(seed), learned.recipe).registration.found for seed in range(900, 920))


def test_textures_without_a_common_shape_are_not_moved():
    rng = np.random.default_rng(0)
    aligned = align([rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(4)])
    assert not aligned.register and all(found.found for found in aligned.found)
