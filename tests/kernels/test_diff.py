"""`diff` and `find_shift`: every instruction set against NumPy on drawn input, and what the contract promises."""

import numpy as np
import pytest
from aisle.kernels.diff import DARKER, LIGHTER, board, diff, find_shift, reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.diff.fast")
SIDE = st.integers(1, 150)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), SIDE, SIDE, st.integers(0, 255), st.integers(0, 6), st.integers(0, 3),
       st.integers(-40, 40), st.integers(-160, 160), st.booleans())
def test_every_instruction_set_marks_the_same(seed: int, h: int, w: int, band: int, reach: int, opening: int, down: int,
                                              right: int, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    golden, test = rng.integers(0, 256, (2, h, w), dtype=np.uint8)
    mask = rng.integers(0, 2, (h, w), dtype=np.uint8) if masked else None
    want = np.empty_like(golden)
    reference.diff(golden, test, mask, band, reach, opening, down, right, want)
    for level in fast.levels():
        got = np.full_like(golden, 77)
        fast.diff(golden, test, mask, band, reach, opening, down, right, got, level)
        np.testing.assert_array_equal(got, want, f"level {level}")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), SIDE, SIDE, st.sampled_from([1, 2, 256]))
def test_every_instruction_set_finds_the_same_shift(seed: int, reach: int, h: int, w: int, greys: int) -> None:
    rng = np.random.default_rng(seed)
    golden, test = rng.integers(0, greys, (2, h + 2 * reach, w + 2 * reach)).astype(np.uint8)
    want = reference.find_shift(golden, reach, test)
    assert [fast.find_shift(golden, reach, test, level) for level in fast.levels()] == [want] * len(fast.levels())


def test_the_longest_rows_do_not_overflow() -> None:
    golden, test = np.zeros((3, 16384), np.uint8), np.full((3, 16384), 255, np.uint8)
    for level in fast.levels():
        assert fast.find_shift(golden, 1, test, level) == (0, 0)


def test_a_moved_board_is_found_and_its_defects_are_marked() -> None:
    rng = np.random.default_rng(0)
    golden, test = board(rng, 200, 240), board(rng, 200, 240)
    test[50:60, 100:112] = 255 - test[50:60, 100:112]
    test = np.roll(test, (-2, 3), (0, 1))
    shift = find_shift(golden, test, reach=4)
    assert shift == (-2, 3)
    out = np.empty_like(golden)
    diff(golden, test, out=out, band=60, reach=1, shift=shift)
    ys, xs = np.nonzero(out)
    assert len(ys) and ys.min() >= 49 and ys.max() <= 60 and xs.min() >= 99 and xs.max() <= 112


def test_a_thin_line_that_is_missing_is_seen_though_edges_may_move() -> None:
    golden, test = np.full((2, 40, 40), 50, np.uint8)
    golden[:, 20] = 200
    out = np.empty_like(golden)
    diff(golden, test, out=out, band=30, reach=2, opening=0)
    assert (out[:, 20] == DARKER).all() and not np.delete(out, 20, 1).any()
    diff(test, golden, out=out, band=30, reach=2, opening=0)
    assert (out[:, 20] == LIGHTER).all()
    test[:, 22] = 200
    diff(golden, test, out=out, band=30, reach=2, opening=0)
    assert not out.any()


def test_opening_drops_specks_and_keeps_what_is_as_large_as_its_square() -> None:
    golden, test = np.full((2, 40, 40), 50, np.uint8)
    test[5, 5], test[20:23, 20:23] = 200, 200
    out = np.empty_like(golden)
    diff(golden, test, out=out, band=30, reach=0, opening=1)
    assert out.sum() == 9 * LIGHTER and (out[20:23, 20:23] == LIGHTER).all()


@pytest.mark.parametrize(("changed", "place"), [
    ({"band": 256}, "band"), ({"band": 0.5}, "band"), ({"reach": 17}, "reach"), ({"opening": -1}, "opening"),
    ({"shift": (1,)}, "shift"), ({"shift": "ab"}, "shift"), ({"shift": (0, 1 << 40)}, "shift"), ({"shift": (0, 1.5)}, "shift"),
    ({"mask": np.zeros((3, 3), np.uint8)}, "mask"), ({"test": np.zeros((8, 9), np.uint8)}, "test"),
])
def test_what_does_not_fit_is_a_sentence(changed: dict, place: str) -> None:
    golden = np.zeros((8, 8), np.uint8)
    given_ = {"golden": golden, "test": golden.copy(), "out": np.empty_like(golden), "band": 10} | changed
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        diff(**given_)


def test_a_picture_too_small_for_the_search_is_refused() -> None:
    with pytest.raises(ValueError, match="sides of more than 6"):
        find_shift(np.zeros((6, 9), np.uint8), np.zeros((6, 9), np.uint8))
