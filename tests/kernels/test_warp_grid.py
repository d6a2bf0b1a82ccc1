"""`warp_grid`: every instruction set against the float64 reference on drawn input, and what its contract promises."""

import numpy as np
import pytest
from aisle.kernels.warp_grid import CELL, TOLERANCE, nodes, reference, warp_grid
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.warp_grid.fast")


def straight(h: int, w: int, shade: float = 1.0) -> np.ndarray:
    """The grid that shows the item pixel for pixel."""
    y, x = np.mgrid[:nodes(h), :nodes(w)].astype(np.float32) * CELL
    return np.stack([x, y, np.full_like(x, shade)], axis=2)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 70), st.integers(1, 70),
       st.sampled_from([0.1, 3.0, 40.0, 1e4, 1e6, 1e38]), st.booleans())
def test_every_instruction_set_agrees(seed: int, ih: int, iw: int, h: int, w: int, wild: float, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 256, (ih, iw, 4), dtype=np.uint8)
    grid = (straight(h, w) + rng.normal(0, 1, (nodes(h), nodes(w), 3)) * [wild, wild, 0.3]).astype(np.float32)
    grid[rng.random(grid.shape) < 0.02] = rng.choice([np.nan, np.inf, -np.inf, 5.0, -5.0])
    visible = rng.integers(0, 256, (h, w), dtype=np.uint8) if masked else None
    picture = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    truth = picture.copy()
    reference.warp_grid(item, grid, visible, truth)
    # float32 places are exact to 1/256 px only up to about 2**15; a wild grid is compared where it is not steep.
    for level in fast.levels():
        got = picture.copy()
        fast.warp_grid(item, grid, visible, got, level)
        if wild <= 40:
            assert np.abs(got.astype(int) - truth).max() <= TOLERANCE, f"level {level}"
        base = picture.copy()
        fast.warp_grid(item, grid, visible, base, 0)
        assert np.abs(got.astype(int) - base).max() <= 1


def test_an_opaque_item_on_its_own_pixels_replaces_the_picture() -> None:
    rng = np.random.default_rng(0)
    item = np.dstack([rng.integers(0, 256, (50, 70, 3), dtype=np.uint8), np.full((50, 70), 255, np.uint8)])
    out = np.zeros((50, 70, 3), np.uint8)
    warp_grid(item, straight(50, 70), out=out)
    np.testing.assert_array_equal(out, item[..., :3])


def test_shade_darkens_and_never_makes_more_than_the_alpha_allows() -> None:
    item = np.full((32, 32, 4), 100, np.uint8)
    item[..., 3] = 200
    for shade, colour in ((0.5, 50), (1.0, 100), (4.0, 200)):
        out = np.zeros((32, 32, 3), np.uint8)
        warp_grid(item, straight(32, 32, shade), out=out)
        assert (out[1:30, 1:30] == colour).all()


def test_what_is_hidden_invalid_or_beside_the_item_is_left_alone() -> None:
    item = np.full((64, 64, 4), 255, np.uint8)
    before = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    visible = np.full((64, 64), 255, np.uint8)
    visible[:, :20] = 0
    grid = straight(64, 64)
    grid[4, 4, 0] = np.nan
    grid[:, :, 1] += 32
    out = before.copy()
    warp_grid(item, grid, out=out, visible=visible)
    np.testing.assert_array_equal(out[:, :20], before[:, :20])
    np.testing.assert_array_equal(out[48:, 48:], before[48:, 48:])
    np.testing.assert_array_equal(out[33:], before[33:])
    assert (out[:32, 20:48] == 255).all()


@pytest.mark.parametrize(("shape", "grid"), [((16, 16), (2, 3)), ((17, 16), (2, 2)), ((16, 33), (2, 2))])
def test_a_grid_of_another_size_is_refused(shape: tuple[int, int], grid: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at `grid`"):
        warp_grid(np.zeros((4, 4, 4), np.uint8), np.zeros((*grid, 3), np.float32), out=np.zeros((*shape, 3), np.uint8))


def test_too_large_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match="sides of at most 16384"):
        warp_grid(np.zeros((1, 20000, 4), np.uint8), straight(8, 8), out=np.zeros((8, 8, 3), np.uint8))
