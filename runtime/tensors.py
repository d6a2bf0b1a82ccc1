"""Element types of the wire and how a tensor's bytes and JSON values become arrays and back."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from .errors import Invalid

# Arrays that carry the wire's datatypes; bfloat16 travels as uint16, strings as objects.
ARRAY_DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(kind) for name, kind in {
        "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
        "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
        "BF16": "uint16", "BYTES": "object",
    }.items()
}
BINARY_ONLY = ("FP16", "BF16")     # JSON has no exact form of them
MAX_NESTING = 100

LENGTH = struct.Struct("<I")


def unpack_bytes(raw: memoryview | bytes, shape: Sequence[int], where: str) -> np.ndarray:
    """An object array of `bytes` from elements with a 4-byte little-endian length each; Invalid where it does not fit.

    `raw` must hold exactly as many elements as `shape` has.
    """
    count, at, size = prod(shape), 0, len(raw)
    items: list[bytes] = []
    while at < size:
        if at + 4 > size or len(items) == count:
            raise Invalid(f"unexpected BYTES data for {where}: expected {count} elements, each a 4-byte length and its "
                          f"bytes; after {len(items)} of them {size - at} bytes are left over")
        end = at + 4 + LENGTH.unpack_from(raw, at)[0]
        if end > size:
            raise Invalid(f"unexpected BYTES data for {where}: the length of element {len(items)} says {end - at - 4} "
                          f"bytes and only {size - at - 4} are left")
        items.append(bytes(raw[at + 4:end]))
        at = end
    if len(items) != count:
        raise Invalid(f"unexpected number of string elements {len(items)} for {where}, expecting {count}")
    return as_objects(items, shape)


def as_objects(items: Sequence[Any], shape: Sequence[int]) -> np.ndarray:
    """An object array of that shape with `items` in row-major order."""
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def pack_bytes(array: np.ndarray) -> bytes:
    """The wire form of an object array of `bytes` (or `str`, sent as UTF-8), row-major."""
    parts: list[bytes] = []
    for item in array.ravel().tolist():
        data = item.encode() if isinstance(item, str) else item
        parts += (LENGTH.pack(len(data)), data)
    return b"".join(parts)


def from_json(data: Any, wire: str, shape: Sequence[int], where: str) -> np.ndarray:
    """JSON values, nested or flat, as an array of `shape`; only the number of elements is compared with the nesting.

    Raises Invalid for values that are not of the datatype or outside its range.
    """
    flat = flatten(data if type(data) is list else [data], where)
    if len(flat) != prod(shape):
        raise Invalid(f"Unable to parse 'data': Shape does not match true shape of 'data' field: {where} has shape "
                      f"{list(shape)} ({prod(shape)} elements), got {len(flat)}")
    dtype = ARRAY_DTYPES[wire]
    kinds = set(map(type, flat))
    allowed, words = ACCEPTED[dtype.kind]
    if not kinds <= allowed:
        wrong = next(x for x in flat if type(x) not in allowed)
        raise Invalid(f"Unable to parse 'data' of {where}: expected {words} for {wire}, got {quoted(wrong)}")
    try:
        if dtype.kind == "O":
            return as_objects([text.encode() for text in flat], shape)
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype).reshape(shape)
    except (OverflowError, UnicodeEncodeError) as error:
        raise Invalid(f"Unable to parse 'data' of {where}: a value is out of range for {wire}: {error}") from None
    if dtype == np.float32 and not np.isfinite(array).all() and np.isinf(array.ravel()).tolist() != [
            x in (float("inf"), float("-inf")) for x in flat]:
        raise Invalid(f"Unable to parse 'data' of {where}: a value is out of range for FP32; the largest is 3.4e38")
    return array


ACCEPTED: dict[str, tuple[set[type], str]] = {
    "b": ({bool}, "true or false"), "u": ({int}, "an integer"), "i": ({int}, "an integer"),
    "f": ({int, float}, "a number"), "O": ({str}, "a string"),
}


def flatten(data: list[Any], where: str) -> list[Any]:
    """All scalars below nested lists, in order; Invalid beyond MAX_NESTING levels."""
    for _ in range(MAX_NESTING):
        kinds = set(map(type, data))
        if list not in kinds:
            return data
        if len(kinds) > 1:
            return list(walk(data, where))
        data = list(chain.from_iterable(data))
    raise too_deep(where)


def walk(data: list[Any], where: str) -> Iterator[Any]:
    """The same for lists that hold scalars and lists side by side, in one pass."""
    stack = [iter(data)]
    while stack:
        for item in stack[-1]:
            if type(item) is list:
                if len(stack) >= MAX_NESTING:
                    raise too_deep(where)
                stack.append(iter(item))
                break
            yield item
        else:
            stack.pop()


def too_deep(where: str) -> Invalid:
    """The refusal of data nested beyond any use."""
    return Invalid(f"Unable to parse 'data' of {where}: it is nested deeper than {MAX_NESTING} lists")


def quoted(value: Any) -> str:
    """A wrong value as the sentence shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
