"""Running an ONNX model: rows that the engine reads and writes in place, or whole requests of any shape."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...models.bundle import Bundle, TensorSpec
from ..errors import Failed, Invalid
from . import onnx_engine
from .blocks import Blocks
from .dtypes import MEMORY
from .tensors import check_request, whole

KEPT_LENT = 64       # places that are remembered: the slots of a few clients


class OnnxSession:
    """The batched path. ONNX Runtime gets pointers into the blocks, once per number of rows, and copies nothing.

    Measured on one core: 2.5 us a call for a one-node model against 5.0 us for `session.run`, 4.0 against 8.9 us
    (with the copy that `run` makes needful) for 8 rows of 9 kB.
    """

    def __init__(self, session: Any, bundle: Bundle, capacity: int, threads: int = 1,
                 lendable: frozenset[str] = frozenset()) -> None:
        self.lendable = lendable          # inputs that `run_lent` may read elsewhere, see onnx_uses
        self.inputs = bundle.inputs
        self.outputs = bundle.outputs
        self.capacity = capacity if bundle.max_batch else 1
        self.threads = threads            # of the device, while it runs
        self._name = bundle.name
        self._blocks = Blocks(bundle, self.capacity, MEMORY)
        self._session: Any = session
        self._errors = onnx_engine.engine_errors()
        self._calls: dict[int, Callable[[], None]] = {}     # at most `capacity` of them
        self._lent: dict[tuple[int, ...], Callable[[], None]] = {}
        self.row = self._blocks.row
        self.rows = self._blocks.rows

    def run(self, n: int) -> None:
        """Run rows 0..n-1; the GIL is released. Failed with a sentence where the model fails."""
        call = self._calls.get(n)
        try:
            if call is None:
                self._first(n)
            else:
                call()
        except self._errors as error:
            raise Failed(f"model {self._name!r} failed on {n} row{'s' if n > 1 else ''}: "
                         f"{onnx_engine.reason(error)}") from error

    def run_lent(self, n: int, arrays: Mapping[str, np.ndarray]) -> None:
        """`run`, but the inputs in `arrays` are read where they are: C-contiguous, aligned, of n rows, names in `lendable`.

        They must stay until this returns. Their owner may change them meanwhile: then the outputs are as wrong.
        """
        key = (n, *(array.ctypes.data for array in arrays.values()))
        call = self._lent.get(key)
        try:
            if call is None:
                if n not in self._calls:
                    self._first(n)
                if len(self._lent) >= KEPT_LENT:
                    self._lent.clear()
                call = self._lent[key] = self._bound(n, arrays)
            call()
        except self._errors as error:
            raise Failed(f"model {self._name!r} failed on {n} row{'s' if n > 1 else ''}: "
                         f"{onnx_engine.reason(error)}") from error

    def _bound(self, n: int, arrays: Mapping[str, np.ndarray]) -> Callable[[], None]:
        binding, rows, session = self._session.io_binding(), self._blocks.rows(0, n), self._session
        for spec in self.inputs:
            array = arrays.get(spec.name, rows[spec.name])
            binding.bind_input(spec.name, "cpu", 0, onnx_engine.ELEMENTS[spec.dtype], array.shape, array.ctypes.data)
        for spec in self.outputs:
            array = rows[spec.name]
            binding.bind_output(spec.name, "cpu", 0, onnx_engine.ELEMENTS[spec.dtype], array.shape, array.ctypes.data)
        return lambda: session.run_with_iobinding(binding)

    def _first(self, n: int) -> None:
        """Bind and run n rows, and make sure that every output really was written into its block."""
        if not 1 <= n <= self.capacity:
            raise IndexError(f"run of {n} rows, capacity {self.capacity}")
        binding = self._session.io_binding()
        rows = self._blocks.rows(0, n)
        for spec in self.inputs:
            array = rows[spec.name]
            binding.bind_input(spec.name, "cpu", 0, onnx_engine.ELEMENTS[spec.dtype], array.shape, array.ctypes.data)
        for spec in self.outputs:
            array = rows[spec.name]
            binding.bind_output(spec.name, "cpu", 0, onnx_engine.ELEMENTS[spec.dtype], array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)
        for spec, value in zip(self.outputs, binding.get_outputs(), strict=True):
            array = rows[spec.name]
            if tuple(value.shape()) != array.shape or (array.size and value.data_ptr() != array.ctypes.data):
                raise Failed(f"output {spec.name!r} of model {self._name!r}: expected shape {list(array.shape)} in its "
                             f"own block, the engine gave {value.shape()}; state the shape that the file really gives")
        session = self._session
        self._calls[n] = lambda: session.run_with_iobinding(binding)

    def close(self) -> None:
        """Forget session and blocks."""
        self._calls.clear()
        self._lent.clear()
        self._session = None
        self._blocks.arrays.clear()


class OnnxFreeSession:
    """The unbatched path: any shape, strings, sequences and maps, optional inputs, bfloat16 as uint16."""

    def __init__(self, session: Any, bundle: Bundle, threads: int = 1) -> None:
        self.inputs: tuple[TensorSpec, ...] = whole(bundle.inputs, bundle)
        self.outputs: tuple[TensorSpec, ...] = whole(bundle.outputs, bundle)
        self.threads = threads
        self._name = bundle.name
        self._session: Any = session
        self._errors = onnx_engine.engine_errors()
        self._dtypes = {s.name: s.dtype for s in self.inputs}
        self._names = [s.name for s in self.outputs]
        self._odd = any(s.dtype == "bfloat16" for s in (*self.inputs, *self.outputs))

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        """Run once; the GIL is released. Empty `outputs` means all.

        Strings come and go as object arrays of bytes, bfloat16 as uint16; sequences and maps go as lists and dicts.
        Invalid for a request that does not fit, Failed where the model fails.
        """
        check_request(self._name, self.inputs, inputs, self._names, outputs)
        wanted = list(outputs or self._names)
        feed = {name: self._texts(name, array) if self._dtypes[name] == "bytes" else array
                for name, array in inputs.items()}
        try:
            values = self._run_values(wanted, feed) if self._odd else self._session.run(wanted, feed)
        except self._errors as error:
            raise Failed(f"model {self._name!r} failed: {onnx_engine.reason(error)}") from error
        return {name: _bytes(value) for name, value in zip(wanted, values, strict=True)}

    def _texts(self, name: str, array: np.ndarray) -> np.ndarray:
        """Strings as ONNX has them: UTF-8 text."""
        made = np.empty(array.shape, object)
        try:
            made.reshape(-1)[:] = [b.decode("utf-8") if isinstance(b, bytes) else str(b) for b in array.reshape(-1)]
        except UnicodeDecodeError as error:
            raise Invalid(f"expected UTF-8 text, got bytes that are not (byte {error.start} of an element) - at input "
                          f"{name!r} of model {self._name!r}; send binary data as UINT8") from error
        return made

    def _run_values(self, wanted: list[str], feed: Mapping[str, np.ndarray]) -> list[Any]:
        """For bfloat16, which ONNX Runtime takes and gives only as its own values."""
        value = onnx_engine.engine().OrtValue
        made = {}
        for name, array in feed.items():
            if self._dtypes[name] == "bfloat16":
                number = onnx_engine.ELEMENTS["bfloat16"]
                made[name] = value.ortvalue_from_numpy_with_onnx_type(np.ascontiguousarray(array), number)
            else:
                made[name] = value.ortvalue_from_numpy(array)
        return [_plain(out) for out in self._session.run_with_ort_values(wanted, made)]

    def close(self) -> None:
        """Forget the session."""
        self._session = None


def _plain(value: Any) -> Any:
    """A tensor as an array; the bits of bfloat16 as uint16."""
    if value.data_type() != "tensor(bfloat16)":
        return value.numpy()
    array = np.empty(value.shape(), np.uint16)
    if array.size:
        ctypes.memmove(array.ctypes.data, value.data_ptr(), array.nbytes)
    return array


def _bytes(value: Any) -> Any:
    """String tensors as object arrays of bytes; everything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype != object:
        return value
    made = np.empty(value.shape, object)
    made.reshape(-1)[:] = [text.encode("utf-8") for text in value.reshape(-1)]
    return made
