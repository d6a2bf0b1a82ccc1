"""The one checker of what a kernel is given: shape, dtype, layout, writability, aliasing; a mistake is a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Shape = Sequence[int | str | None]


def _words(dtype: str, shape: Sequence[int | str | None]) -> str:
    dims = ", ".join("any" if d is None else str(d) for d in shape)
    return f"{dtype} ({dims}{',' if len(shape) == 1 else ''})"


def array(value: object, name: str, dtype: str, shape: Shape, *, writable: bool = False) -> np.ndarray:
    """`value`, if it is a C-contiguous ndarray of `dtype` and `shape`; ValueError with expected, got and place otherwise.

    In `shape` a number must match, None is any length, and text is any length from 1, named for the sentence.
    """
    if not isinstance(value, np.ndarray):
        raise ValueError(f"expected {_words(dtype, shape)}, got {type(value).__name__} - at `{name}`")
    fits = len(shape) == value.ndim and all(
        got == want if isinstance(want, int) else want is None or got > 0
        for got, want in zip(value.shape, shape, strict=True))
    if value.dtype != np.dtype(dtype) or not fits:
        raise ValueError(f"expected {_words(dtype, shape)}, got {_words(str(value.dtype), value.shape)} - at `{name}`")
    if not (value.flags.c_contiguous and value.flags.aligned):
        raise ValueError(f"expected a C-contiguous array, got strides {value.strides} - at `{name}`; "
                         "pass np.ascontiguousarray of it")
    if writable and not value.flags.writeable:
        raise ValueError(f"expected a writable array, got a read-only one - at `{name}`")
    return value


def apart(out: np.ndarray, name: str, **others: np.ndarray | None) -> None:
    """ValueError if the memory of `out` touches that of another argument: a kernel reads while it writes."""
    for other, value in others.items():
        if value is not None and np.may_share_memory(out, value):
            raise ValueError(f"expected memory of its own, got memory shared with `{other}` - at `{name}`")


def number(value: object, name: str, low: float, high: float) -> float:
    """`value`, if it is a finite number within `low`..`high` (both included); ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or not low <= value <= high:
        raise ValueError(f"expected a number from {low:g} to {high:g}, got {value!r} - at `{name}`")
    return value  # type: ignore[return-value]
