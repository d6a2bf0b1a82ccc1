"""`tint`: every instruction set against float64 on drawn input, and what the contract promises."""

import numpy as np
import pytest
from aisle.kernels.tint import TOLERANCE, reference, tint
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.tint.fast")
LIGHT, HUE, SHARE = st.floats(0, 100, width=32), st.floats(-128, 128, width=32), st.floats(0, 1, width=32)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 150), st.tuples(LIGHT, HUE, HUE),
       st.tuples(LIGHT, HUE, HUE), SHARE, SHARE, st.floats(0, 4, width=32))
def test_every_instruction_set_agrees(seed: int, h: int, w: int, base: tuple, target: tuple, keep: float, strength: float,
                                      gloss: float) -> None:
    rng = np.random.default_rng(seed)
    picture, mask = rng.integers(0, 256, (h, w, 3), dtype=np.uint8), rng.integers(0, 256, (h, w), dtype=np.uint8)
    numbers = np.array([*base, *target, keep, strength, gloss], np.float32)
    want = picture.copy()
    reference.tint(mask, numbers, want)
    for level in fast.levels():
        got = picture.copy()
        fast.tint(mask, numbers, got, level)
        assert np.abs(got.astype(int) - want).max() <= TOLERANCE, f"level {level}"


def test_every_colour_comes_back_where_nothing_changes() -> None:
    steps = np.linspace(0, 255, 32).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(64, -1, 3).copy()
    out = cube.copy()
    tint(np.full(cube.shape[:2], 255, np.uint8), (50, 10, 10), (50, 10, 10), out=out, keep=1.0)
    assert np.abs(out.astype(int) - cube).max() <= TOLERANCE


def test_the_base_colour_becomes_the_target() -> None:
    base, target = np.array([[[60, 90, 180]]], np.uint8), np.array([[[120, 40, 200]]], np.uint8)
    out = np.repeat(base, 40, axis=1)
    mask = np.full((1, 40), 255, np.uint8)
    mask[0, :3] = 0
    tint(mask, tuple(reference.to_lab(base)[0, 0]), tuple(reference.to_lab(target)[0, 0]), out=out)
    assert (out[0, :3] == base[0, 0]).all() and np.abs(out[0, 3:].astype(int) - target[0, 0]).max() <= 1


def test_strength_nought_changes_nothing() -> None:
    out = np.random.default_rng(0).integers(0, 256, (9, 80, 3), dtype=np.uint8)
    before = out.copy()
    tint(np.full((9, 80), 255, np.uint8), (50, 0, 0), (90, 50, 50), out=out, strength=0)
    np.testing.assert_array_equal(out, before)


def test_gloss_lifts_only_what_is_lighter_than_the_base() -> None:
    out = np.array([[[60] * 3, [119] * 3, [180] * 3]], np.uint8)
    plain, glossy = out.copy(), out.copy()
    mask = np.full((1, 3), 255, np.uint8)
    tint(mask, (50, 0, 0), (50, 0, 0), out=plain, keep=1)
    tint(mask, (50, 0, 0), (50, 0, 0), out=glossy, keep=1, gloss=0.5)
    assert (glossy[0, 0] == plain[0, 0]).all() and (glossy[0, 2] > plain[0, 2] + 20).all()


@pytest.mark.parametrize(("changed", "place"), [
    ({"base": (101, 0, 0)}, "base"), ({"target": (0, 129, 0)}, "target"), ({"target": None}, "target"),
    ({"base": "abc"}, "base"), ({"base": (1, 2)}, "base"), ({"base": (float("nan"), 0, 0)}, "base"),
    ({"keep": 1.5}, "keep"), ({"gloss": -1}, "gloss"),
    ({"strength": float("inf")}, "strength"), ({"mask": np.zeros((4, 5), np.uint8)}, "mask"),
])
def test_what_does_not_fit_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"mask": np.zeros((4, 4), np.uint8), "base": (50, 0, 0), "target": (50, 0, 0),
              "out": np.zeros((4, 4, 3), np.uint8)} | changed
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}"):
        tint(**given_)
