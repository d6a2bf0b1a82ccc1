"""The checker's sentences: what was expected, what came, and where."""

import numpy as np
import pytest
from aisle.kernels import _check


@pytest.mark.parametrize(("value", "sentence"), [
    (None, "expected float32 (h, 3), got NoneType - at `x`"),
    ([1.0], "expected float32 (h, 3), got list - at `x`"),
    (np.zeros((2, 3)), "expected float32 (h, 3), got float64 (2, 3) - at `x`"),
    (np.zeros(3, np.float32), "expected float32 (h, 3), got float32 (3,) - at `x`"),
    (np.zeros((0, 3), np.float32), "expected float32 (h, 3), got float32 (0, 3) - at `x`"),
    (np.zeros((3, 2), np.float32).T, "expected a C-contiguous array, got strides (4, 8) - at `x`; "
                                     "pass np.ascontiguousarray of it"),
])
def test_a_wrong_array_is_a_sentence(value: object, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        _check.array(value, "x", "float32", ("h", 3))
    assert str(caught.value) == sentence


def test_a_right_array_comes_back_itself() -> None:
    value = np.zeros((2, 3), np.float32)
    assert _check.array(value, "x", "float32", ("h", 3), writable=True) is value
    assert _check.array(value[:0], "x", "float32", (None, 3)).shape == (0, 3)


def test_a_read_only_array_is_refused_where_it_is_written() -> None:
    value = np.zeros(3, np.uint8)
    value.flags.writeable = False
    _check.array(value, "x", "uint8", (3,))
    with pytest.raises(ValueError, match="expected a writable array, got a read-only one - at `x`"):
        _check.array(value, "x", "uint8", (3,), writable=True)


def test_shared_memory_is_refused_and_neighbours_are_not() -> None:
    block = np.zeros(20, np.uint8)
    _check.apart(block[:10], "out", image=block[10:], mask=None)
    with pytest.raises(ValueError, match="got memory shared with `image` - at `out`"):
        _check.apart(block[:11], "out", image=block[10:])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1, "1", None, True, 1 + 0j, np.array([1.0])])
def test_a_wrong_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected a number from 0 to 1, got .* - at `part`"):
        _check.number(value, "part", 0, 1)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(1), np.int64(0)])
def test_a_number_within_its_bounds_comes_back(value: float) -> None:
    assert _check.number(value, "part", 0, 1) == value
