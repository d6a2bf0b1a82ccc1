"""The one checker of what a kernel is given: shape, dtype, layout, writability, aliasing; a mistake is a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ._cuda import DeviceArray

Shape = Sequence[int | str | None]
_dtype = lru_cache(64)(np.dtype)     # by name: asked at every call


def _words(dtype: str, shape: Sequence[int | str | None]) -> str:
    dims = ", ".join("any" if d is None else str(d) for d in shape)
    return f"{dtype} ({dims}{',' if len(shape) == 1 else ''})"


def array(value: object, name: str, dtype: str, shape: Shape, *, writable: bool = False) -> np.ndarray:
    """`value`, if it is a C-contiguous ndarray of `dtype` and `shape`; ValueError with expected, got and place otherwise.

    A DeviceArray passes alike: for shape and dtype it is one (`apart` sees to it that all of a call live in one place).
    In `shape` a number must match, None is any length, and text is any length from 1, named for the sentence.
    """
    if not isinstance(value, (np.ndarray, DeviceArray)):
        raise ValueError(f"expected {_words(dtype, shape)}, got {type(value).__name__} - at `{name}`")
    if value.dtype != _dtype(dtype) or not _fits(value.shape, shape):
        raise ValueError(f"expected {_words(dtype, shape)}, got {_words(str(value.dtype), value.shape)} - at `{name}`")
    flags = value.flags
    if not (flags.c_contiguous and flags.aligned):
        raise ValueError(f"expected a C-contiguous array, got strides {getattr(value, 'strides', None)} - at `{name}`; "
                         "pass np.ascontiguousarray of it")
    if writable and not flags.writeable:
        raise ValueError(f"expected a writable array, got a read-only one - at `{name}`")
    return value   # type: ignore[return-value]


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    """A plain loop: a generator would take half the time of the whole check."""
    if len(shape) != len(wanted):
        return False
    for got, want in zip(shape, wanted, strict=True):
        if got != want and (isinstance(want, int) or (want is not None and got < 1)):
            return False
    return True


def is_array(value: object) -> bool:
    """Whether it is an array, in host memory or on a device."""
    return isinstance(value, (np.ndarray, DeviceArray))


def host(value: np.ndarray) -> np.ndarray:
    """The values themselves, copied where they live on a device: for the few numbers that a check must look at."""
    return value.host() if isinstance(value, DeviceArray) else value


def _place(value: object) -> str:
    return "on the device" if isinstance(value, DeviceArray) else "in host memory"


def _touch(a: object, b: object) -> bool:
    if isinstance(a, DeviceArray) and isinstance(b, DeviceArray):
        return a.address < b.address + b.nbytes and b.address < a.address + a.nbytes
    return np.may_share_memory(a, b)


def apart(out: np.ndarray, name: str, **others: np.ndarray | None) -> None:
    """ValueError if another argument touches the memory of `out` (a kernel reads while it writes), or lives elsewhere."""
    for other, value in others.items():
        if value is not None and isinstance(out, DeviceArray) != isinstance(value, DeviceArray):
            raise ValueError(f"expected an array {_place(out)}, where `{name}` is, got one {_place(value)} - at `{other}`")
        if value is not None and _touch(out, value):
            raise ValueError(f"expected memory of its own, got memory shared with `{other}` - at `{name}`")


def number(value: object, name: str, low: float, high: float) -> float:
    """`value`, if it is a finite number within `low`..`high` (both included); ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or not low <= value <= high:
        raise ValueError(f"expected a number from {low:g} to {high:g}, got {value!r} - at `{name}`")
    return value  # type: ignore[return-value]
