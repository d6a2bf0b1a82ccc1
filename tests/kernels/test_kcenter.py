"""`kcenter`: every instruction set chooses what NumPy chooses, and what is chosen covers as promised."""

import numpy as np
import pytest
from aisle.kernels.kcenter import MAX_DEPTH, kcenter, reference
from hypothesis import given, settings
from hypothesis import strategies as st

fast = pytest.importorskip("aisle.kernels.kcenter.fast")


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 140), st.integers(1, 60), st.sampled_from([1, 4, 128]))
def test_every_instruction_set_chooses_the_same(seed: int, n: int, d: int, k: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-reach, reach, (n, d), dtype=np.int8)
    first, want = int(rng.integers(n)), np.empty(min(k, n), np.int32)
    cover = reference.kcenter(codes, first, want)
    for level in fast.levels():
        got = np.full_like(want, 77)
        assert fast.kcenter(codes, first, got, level) == cover
        np.testing.assert_array_equal(got, want, f"level {level}")


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 20))
def test_every_code_lies_within_the_distance_returned_and_one_lies_at_it(seed: int, n: int, k: int) -> None:
    codes = np.random.default_rng(seed).integers(-128, 128, (n, 5), dtype=np.int8)
    out = np.empty(min(k, n), np.int32)
    cover = kcenter(codes, out=out)
    gaps = ((codes[:, None].astype(int) - codes[out][None]) ** 2).sum(2)
    assert gaps.min(1).max() == cover and len(set(out.tolist())) == len(out) and out[0] == 0


def test_equal_codes_are_taken_by_id_and_none_twice() -> None:
    out = np.empty(5, np.int32)
    assert kcenter(np.full((5, 3), 9, np.int8), out=out, first=2) == 0
    assert out.tolist() == [2, 0, 1, 3, 4]


def test_the_deepest_and_most_distant_codes_do_not_overflow() -> None:
    codes = np.full((3, MAX_DEPTH), -128, np.int8)
    codes[2] = 127
    for level in fast.levels():
        out = np.empty(1, np.int32)
        assert fast.kcenter(codes, 0, out, level) == 255 * 255 * MAX_DEPTH
        assert fast.kcenter(codes, 2, out, level) == 255 * 255 * MAX_DEPTH


@pytest.mark.parametrize(("changed", "place"), [
    ({"codes": np.zeros((0, 4), np.int8)}, "codes"), ({"codes": np.zeros((9, 4), np.uint8)}, "codes"),
    ({"codes": np.zeros((2, 4), np.int8)}, "codes"), ({"codes": np.zeros((9, MAX_DEPTH + 1), np.int8)}, "codes"),
    ({"out": np.zeros(0, np.int32)}, "out"), ({"out": np.zeros(3, np.int64)}, "out"),
    ({"first": 9}, "first"), ({"first": -1}, "first"), ({"first": 0.5}, "first"), ({"first": "a"}, "first"),
])
def test_what_does_not_fit_is_a_sentence(changed: dict, place: str) -> None:
    given_ = {"codes": np.zeros((9, 4), np.int8), "out": np.zeros(3, np.int32)} | changed
    with pytest.raises(ValueError, match=f"expected .* got .* - at `{place}`"):
        kcenter(**given_)
