"""What describes a cell: nothing on flat light, the direction of lines, colour; and the size it is computed at."""

from __future__ import annotations

import numpy as np
import pytest
from aisle.models.inspect.features import DEPTH, DIRECTIONS, GABOR, describe, even_light, gather, working_size
from aisle.models.inspect.synth import KINDS, spoil
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(8, 8000), st.integers(8, 8000))
def test_working_sizes_are_whole_cells_and_bounded(height, width):
    h, w = working_size(height, width, 1024)
    assert h % 8 == w % 8 == 0 and h >= 32 and w >= 32
    if max(height, width) <= 16 * min(height, width):
        assert 700 <= h * w // 64 <= 1500


def test_flat_light_has_no_energy_and_its_colour():
    found = describe(np.full((64, 96, 3), (40, 90, 200), np.uint8))
    assert found.shape == (8, 12, DEPTH) and found.dtype == np.float32
    assert found[..., :GABOR].max() < 0.1
    assert np.ptp(found[..., GABOR:], axis=(0, 1)).max() == 0


@pytest.mark.parametrize("turn", range(DIRECTIONS))
def test_lines_have_most_energy_in_their_own_direction(turn):
    angle = np.pi * (turn + 0.5) / DIRECTIONS
    y, x = np.mgrid[:64, :64]
    wave = 128 + 60 * np.cos(2 * np.pi / 4 * (np.cos(angle) * x + np.sin(angle) * y))
    found = describe(np.repeat(wave[..., None], 3, axis=2).astype(np.uint8))[2:-2, 2:-2, :DIRECTIONS].mean(axis=(0, 1))
    assert found.argmax() == turn


def test_even_light_takes_out_brightness_and_contrast(good):
    image = good(1)
    dim = (image * 0.7 + 10).astype(np.uint8)
    plain = np.abs(describe(image) - describe(dim))[..., :GABOR].mean()
    evened = np.abs(describe(even_light(image)) - describe(even_light(dim)))[..., :GABOR].mean()
    assert evened < 0.5 * plain


def test_taps_of_any_size_become_cells():
    taps = (np.ones((2, 40, 50), np.float32), np.full((3, 4, 5), 2, np.float16))
    found = gather(taps, (8, 10))
    assert found.shape == (8, 10, 5) and found.dtype == np.float32
    np.testing.assert_allclose(found[..., :2], 1)
    np.testing.assert_allclose(found[..., 2:], 2)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_spoiling_changes_a_small_place_the_same_for_the_same_seed(good, kind):
    image = good(2)
    one, two = (spoil(image, np.random.default_rng(4), kind) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    changed = (np.abs(one.astype(int) - image).max(axis=2) > 2).mean()
    assert 0 < changed < 0.1 and one.dtype == np.uint8
