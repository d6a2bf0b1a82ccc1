"""Bytes and JSON values to arrays and back."""

import struct
from math import prod
from typing import Any

import numpy as np
import pytest
from aisle.runtime.errors import Invalid
from aisle.runtime.tensors import ARRAY_DTYPES, as_objects, from_json, pack_bytes, unpack_bytes
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_packed_bytes_come_back(items: list[bytes]) -> None:
    packed = pack_bytes(as_objects(items, (len(items),)))
    assert unpack_bytes(packed, (len(items),), "x").tolist() == items


@given(st.binary(max_size=60), st.integers(0, 6))
def test_any_bytes_are_read_or_refused(raw: bytes, count: int) -> None:
    try:
        array = unpack_bytes(raw, (count,), "x")
    except Invalid:
        return
    assert array.shape == (count,) and sum(4 + len(x) for x in array) == len(raw)


@pytest.mark.parametrize(("raw", "shape", "text"), [
    (b"\x01\x00", (1,), "4-byte length"),
    (struct.pack("<I", 5) + b"abc", (1,), "says 5 bytes and only 3 are left"),
    (struct.pack("<I", 0xffffffff), (1,), "only 0 are left"),
    (struct.pack("<I", 1) + b"a" + struct.pack("<I", 1) + b"b", (1,), "left over"),
    (struct.pack("<I", 1) + b"a", (2,), "elements 1 for x, expecting 2"),
    (b"", (1 << 40,), "expecting"),
])
def test_bytes_that_do_not_fit_are_refused(raw: bytes, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(Invalid, match=text):
        unpack_bytes(raw, shape, "x")


def nested(values: list[Any], shape: list[int]) -> Any:
    """Row-major values as nested lists."""
    if len(shape) < 2:
        return values
    step = prod(shape[1:])
    return [nested(values[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_nested_and_flat_values_are_the_same_tensor(shape: list[int], data: st.DataObject) -> None:
    n = prod(shape)
    values = data.draw(st.lists(st.integers(-2**31, 2**31 - 1), min_size=n, max_size=n))
    flat = from_json(values, "INT32", shape, "x")
    assert flat.dtype == np.int32 and flat.shape == tuple(shape) and flat.ravel().tolist() == values
    assert (from_json(nested(values, shape), "INT32", shape, "x") == flat).all()


@given(st.sampled_from(["INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64"]),
       st.integers(-2**70, 2**70))
def test_integers_are_exact_or_refused(wire: str, number: int) -> None:
    facts = np.iinfo(ARRAY_DTYPES[wire])
    if facts.min <= number <= facts.max:
        assert from_json([number], wire, [1], "x").tolist() == [number]
    else:
        with pytest.raises(Invalid, match=f"out of range for {wire}"):
            from_json([number], wire, [1], "x")


@pytest.mark.parametrize(("data", "wire", "text"), [
    ([True], "INT32", "expected an integer for INT32, got True"),
    ([1.0], "INT32", "expected an integer"),
    ([1], "BOOL", "expected true or false"),
    (["1"], "FP32", "expected a number"),
    ([None], "FP32", "expected a number"),
    ([1], "BYTES", "expected a string"),
    ([{"a": 1}], "INT32", "expected an integer"),
    ([1e39], "FP32", "out of range for FP32"),
    (["\ud800"], "BYTES", "out of range for BYTES"),
    ([1, 2], "INT32", r"has shape \[1\] \(1 elements\), got 2"),
    ([], "INT32", "got 0"),
])
def test_values_of_the_wrong_kind_are_refused(data: list[Any], wire: str, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        from_json(data, wire, [1], "x")


def test_infinities_and_nan_are_numbers() -> None:
    array = from_json([float("inf"), float("-inf"), float("nan"), 1], "FP32", [4], "x")
    assert array[:2].tolist() == [float("inf"), float("-inf")] and np.isnan(array[2]) and array[3] == 1


def test_uneven_nesting_counts_elements_only() -> None:
    assert from_json([1, [2, [3]], [], 4], "INT32", [2, 2], "x").tolist() == [[1, 2], [3, 4]]
    assert from_json([[], []], "INT32", [2, 0], "x").shape == (2, 0)
    assert from_json(7, "INT32", [], "x").shape == ()


@pytest.mark.parametrize("mixed", [False, True])
def test_deep_nesting_is_refused(mixed: bool) -> None:
    data: Any = [1]
    for _ in range(5000):
        data = [0, data] if mixed else [data]
    with pytest.raises(Invalid, match="nested deeper than 100"):
        from_json(data, "INT32", [1], "x")
