"""Memory of a static session: one block per tensor, aligned for vector loads, and views of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ...models.bundle import Bundle, BundleError, TensorSpec

ALIGNMENT = 64
MAX_BYTES = 4 << 30


class Blocks:
    """Blocks `(capacity, ...)` of every input and output; whole tensors and capacity 1 where `batched` is false.

    An output that bears the name of an input is that input (the file passes it through) and shares its block. `allocate`
    gives memory of another kind than plain aligned one.
    """

    def __init__(self, bundle: Bundle, capacity: int, dtypes: Mapping[str, Any],
                 allocate: Callable[[tuple[int, ...], Any], np.ndarray] | None = None) -> None:
        self.batched = bundle.max_batch > 0
        self.capacity = capacity if self.batched else 1
        specs: Sequence[TensorSpec] = (*bundle.inputs, *bundle.outputs)
        sizes = {s.name: _nbytes(s, dtypes) * self.capacity for s in specs}
        if sum(sizes.values()) > MAX_BYTES:
            raise BundleError(f"model {bundle.name!r} needs {sum(sizes.values()):,} bytes for {self.capacity} rows; "
                              f"the limit is {MAX_BYTES:,}: lower max_batch or use a smaller model")
        self.arrays: dict[str, np.ndarray] = {}
        for spec in specs:
            axis = (self.capacity,) if self.batched else ()
            self.arrays[spec.name] = (allocate or _aligned)((*axis, *_dims(spec)), dtypes[spec.dtype])
        if self.batched:
            self._rows = [MappingProxyType({k: a[i] if a.ndim > 1 else a[i:i + 1].reshape(())
                                            for k, a in self.arrays.items()}) for i in range(self.capacity)]
        else:
            self._rows = [MappingProxyType(self.arrays)]
        self._fronts: dict[int, Mapping[str, np.ndarray]] = {}     # the first n rows; at most `capacity` of them

    def row(self, i: int) -> Mapping[str, np.ndarray]:
        """Views of row i without the batch axis; IndexError beyond the capacity."""
        if not 0 <= i < self.capacity:
            raise IndexError(f"row {i} of {self.capacity}")
        return self._rows[i]

    def rows(self, i: int, n: int) -> Mapping[str, np.ndarray]:
        """Views of rows i..i+n-1 with the batch axis; IndexError beyond the capacity."""
        if i < 0 or n < 1 or i + n > self.capacity:
            raise IndexError(f"rows {i} to {i + n - 1} of {self.capacity}")
        if not self.batched:
            return self._rows[0]
        if i == 0 and n in self._fronts:
            return self._fronts[n]
        made = MappingProxyType({name: array[i:i + n] for name, array in self.arrays.items()})
        if i == 0:
            self._fronts[n] = made
        return made


def _dims(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(dim or 0 for dim in spec.shape)


def _nbytes(spec: TensorSpec, dtypes: Mapping[str, Any]) -> int:
    count = 1
    for dim in _dims(spec):
        count *= dim
    return count * np.dtype(dtypes[spec.dtype]).itemsize


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of zeros whose first byte is aligned; the memory is taken when it is first touched."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start:start + size].view(dtype).reshape(shape)
