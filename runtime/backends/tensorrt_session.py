"""A TensorRT engine that answers: rows in pinned host memory, copies and runs on the thread's own stream."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...kernels._cuda import CudaError, DeviceArray
from ...models.bundle import Bundle, BundleError, TensorSpec
from ..engines import BuildError
from ..errors import Failed
from .blocks import Blocks
from .dtypes import MEMORY
from .tensorrt_library import DTYPES, Told, make_log, same_names

if TYPE_CHECKING:
    from ..engines.cache import Held

log = logging.getLogger("aisle.backends.tensorrt")


class Memory(Protocol):
    """What a session needs of the CUDA driver; see `kernels._cuda.PycudaDriver`."""

    def current(self, doing: str) -> Any: ...
    def stream_handle(self) -> int: ...
    def allocate(self, size: int) -> tuple[int, object]: ...
    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray: ...
    def mapped(self, array: np.ndarray) -> int: ...
    def upload_later(self, address: int, values: np.ndarray) -> None: ...
    def download_later(self, address: int, values: np.ndarray) -> None: ...
    def wait(self) -> None: ...


class DeviceRow(Mapping[str, np.ndarray]):
    """Host views of a row, or of rows; `device` gives the same on the device, for kernels that fill it there."""

    __slots__ = ("_count", "_first", "_host", "_session", "_single")

    def __init__(self, session: TensorrtSession, host: Mapping[str, np.ndarray], first: int, count: int, single: bool) -> None:
        self._session, self._host = session, host
        self._first, self._count, self._single = first, count, single

    def __getitem__(self, name: str) -> np.ndarray:
        return self._host[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._host)

    def __len__(self) -> int:
        return len(self._host)

    def device(self, name: str) -> DeviceArray:
        """This row of an input or output in the device's memory. An input's is not copied there in the next run.

        Fill it on the thread that runs the session: kernels and engine then share a stream, and nothing waits.
        """
        return self._session.device_rows(name, self._first, self._count, self._single)


class Loaded:
    """An engine that the library has read, once for all instances: its weights lie on the device once."""

    def __init__(self, trt: Any, name: str, held: Held, memory: Memory) -> None:
        self.trt, self.held, self.memory = trt, held, memory
        self.told = Told()
        self.log = make_log(trt, self.told)
        try:
            with memory.current(f"loading the engine of {name!r}"):
                self.runtime = trt.Runtime(self.log)
                with held.bytes() as engine:
                    self.engine = self.runtime.deserialize_cuda_engine(engine)
        except CudaError as error:
            raise BuildError(f"the engine of {name!r} cannot be loaded: {error}", innocent=True) from error
        if self.engine is None:
            raise BuildError(f"TensorRT cannot read the engine of {name!r}: {self.told.last('it gives no reason')}")


class TensorrtSession:
    """The batched path. One execution context for single rows and one for batches, as the engine has profiles.

    On a device whose memory is the host's (Jetson) the engine reads and writes the rows themselves: pinned memory, not
    managed one, which the CPU must not touch there while any kernel runs.
    """

    threads = 0           # of the CPU, while it runs

    def __init__(self, loaded: Loaded, bundle: Bundle, *, shared: bool = False) -> None:
        self.inputs: tuple[TensorSpec, ...] = bundle.inputs
        self.outputs: tuple[TensorSpec, ...] = bundle.outputs
        self.capacity = bundle.max_batch or 1
        self.lost = ""                # why nothing can be run any more by this process
        self._name = bundle.name
        self._batched = bundle.max_batch > 0
        self._loaded: Loaded | None = loaded
        self._trt, self._memory, self._shared, self._held = loaded.trt, loaded.memory, shared, loaded.held
        self._told = loaded.told
        self._resident: dict[str, set[int]] = {spec.name: set() for spec in bundle.inputs}
        self._engine: Any = loaded.engine
        self._contexts: list[Any] = []
        self._places: dict[str, tuple[int, object]] = {}         # address on the device, and what keeps that memory
        try:
            with self._memory.current(f"loading the engine of {bundle.name!r}"):
                self._check(bundle)
                self._make_contexts()
                self._blocks = Blocks(bundle, self.capacity, MEMORY, self._memory.pinned)
                self._make_places()
        except CudaError as error:
            self._forget()
            raise BuildError(f"the engine of {bundle.name!r} cannot be loaded: {error}", innocent=True) from error
        except BaseException:
            self._forget()
            raise
        self._rows = [DeviceRow(self, self._blocks.row(i), i, 1, True) for i in range(self._blocks.capacity)]
        self._bound: list[int] = [0] * len(self._contexts)       # rows that each context is set to
        self._held.retain()

    # ---- opening

    def _check(self, bundle: Bundle) -> None:
        """The engine has the bundle's tensors. Sizes that the file leaves free are those of the profiles: the stated ones."""
        engine = self._engine
        same_names(bundle, [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)])
        for spec, mode in [*((s, "INPUT") for s in self.inputs), *((s, "OUTPUT") for s in self.outputs)]:
            wanted = (*((-1,) if self._batched else ()), *(d or 0 for d in spec.shape))
            got = tuple(engine.get_tensor_shape(spec.name))
            dtype = engine.get_tensor_dtype(spec.name)
            same = len(got) == len(wanted) and all(
                g in (w, -1 if self._batched else w) for g, w in zip(got, wanted, strict=True))
            if engine.get_tensor_mode(spec.name) != getattr(self._trt.TensorIOMode, mode) or not same or \
                    dtype != getattr(self._trt.DataType, DTYPES[spec.dtype]):
                raise BundleError(f"the engine of {self._name!r} has {spec.name!r} as {mode.lower()} {dtype} {list(got)}, "
                                  f"expected {spec.dtype} {list(wanted)}")

    def _make_contexts(self) -> None:
        """A context a profile; the first is for single rows, the last for batches."""
        engine = self._engine
        for profile in range(max(1, engine.num_optimization_profiles) if self._batched else 1):
            context = engine.create_execution_context()
            if context is None:
                raise BuildError(f"the GPU's memory is full: the engine of {self._name!r} needs more beside what is loaded "
                                 f"({self._told.last('TensorRT gives no number')}); load fewer models or lower max_batch",
                                 innocent=True)
            if profile and not context.set_optimization_profile_async(profile, self._memory.stream_handle()):
                raise BuildError(f"the engine of {self._name!r} does not take its profile {profile}: "
                                 f"{self._told.last('TensorRT gives no reason')}")
            self._contexts.append(context)
        self._memory.wait()

    def _make_places(self) -> None:
        """Where each tensor lies on the device; every context is told."""
        places = self._places
        for spec in (*self.inputs, *self.outputs):
            array = self._blocks.arrays[spec.name]
            places[spec.name] = ((self._memory.mapped(array), array) if self._shared
                                 else self._memory.allocate(max(1, array.nbytes)))
            for context in self._contexts:
                context.set_tensor_address(spec.name, places[spec.name][0])

    # ---- rows

    def row(self, i: int) -> DeviceRow:
        """Views of row i without the batch axis; IndexError beyond the capacity."""
        if not 0 <= i < self._blocks.capacity:
            raise IndexError(f"row {i} of {self._blocks.capacity}")
        return self._rows[i]

    def rows(self, i: int, n: int) -> DeviceRow:
        """Views of rows i..i+n-1 with the batch axis; IndexError beyond the capacity."""
        return DeviceRow(self, self._blocks.rows(i, n), i, n, not self._batched)

    def device_rows(self, name: str, first: int, count: int, single: bool) -> DeviceArray:
        """Rows of a tensor on the device; an input's are taken as they are there in the next run."""
        array = self._blocks.arrays[name]
        address, owner = self._places[name]
        each = array.nbytes // self.capacity if self._batched else array.nbytes
        shape = array.shape if not self._batched else array.shape[1:] if single else (count, *array.shape[1:])
        if name in self._resident:
            self._resident[name].update(range(first, first + count))
        return DeviceArray.at(address + first * each, shape, array.dtype, owner)

    # ---- running

    def run(self, n: int) -> None:
        """Run rows 0..n-1; the GIL is released while it waits. Failed with a sentence where the engine or CUDA fails."""
        if not 1 <= n <= self.capacity:
            raise IndexError(f"run of {n} rows, capacity {self.capacity}")
        self._told.messages.clear()
        try:
            with self._memory.current(f"running {self._name!r}"):
                self._upload(n)
                self._execute(n)
                self._download(n)
                self._memory.wait()
        except CudaError as error:
            if error.sticky:
                self.lost = str(error)
            raise Failed(f"model {self._name!r} failed on {n} row{'s' if n > 1 else ''}: {error}") from error
        finally:
            for rows in self._resident.values():
                rows.clear()

    def _execute(self, n: int) -> None:
        which = 0 if n == 1 else len(self._contexts) - 1
        context = self._contexts[which]
        if self._batched and self._bound[which] != n:
            self._bind(context, n)
            self._bound[which] = n
        if not context.execute_async_v3(self._memory.stream_handle()):
            self._memory.wait()      # says it where the device itself is lost
            raise Failed(f"model {self._name!r} failed on {n} row{'s' if n > 1 else ''}: "
                         f"{self._told.last('TensorRT gives no reason')}")

    def _bind(self, context: Any, n: int) -> None:
        """Set a context to n rows, and make sure that it gives n."""
        for spec in self.inputs:
            if not context.set_input_shape(spec.name, (n, *(d or 0 for d in spec.shape))):
                raise Failed(f"the engine of {self._name!r} does not take {n} rows: {self._told.last('no reason is given')}")
        for spec in self.outputs:
            wanted, got = (n, *(d or 0 for d in spec.shape)), tuple(context.get_tensor_shape(spec.name))
            if got != wanted:
                raise Failed(f"output {spec.name!r} of model {self._name!r}: expected shape {list(wanted)}, the engine gives "
                             f"{list(got)}; state the shape that the file really gives")

    def _upload(self, n: int) -> None:
        """Rows that were filled on the host, in as few copies as may be."""
        if self._shared:
            return
        for spec in self.inputs:
            array, address = self._blocks.arrays[spec.name], self._places[spec.name][0]
            if not self._batched:
                if not self._resident[spec.name] and array.nbytes:
                    self._memory.upload_later(address, array)
                continue
            each = array.nbytes // self.capacity
            for first, end in stretches(n, self._resident[spec.name]):
                if each:
                    self._memory.upload_later(address + first * each, array[first:end])

    def _download(self, n: int) -> None:
        if self._shared:
            return
        for spec in self.outputs:
            array, address = self._blocks.arrays[spec.name], self._places[spec.name][0]
            if array.nbytes:
                self._memory.download_later(address, array[:n] if self._batched else array)

    def close(self) -> None:
        """Forget contexts, memory and engine; the session is not used again."""
        self._rows.clear()
        self._forget()
        self._blocks.arrays.clear()
        self._held.release()

    def _forget(self) -> None:
        """In the order that TensorRT wants: contexts, then the engine; what other instances use stays."""
        try:
            with self._memory.current(f"closing {self._name!r}"):
                self._contexts.clear()
                self._places.clear()
                self._engine = self._loaded = None
        except CudaError as error:
            log.warning("%s", error)


def stretches(n: int, without: set[int]) -> list[tuple[int, int]]:
    """0..n-1 without some of them, as (first, one after the last)."""
    if not without:
        return [(0, n)]
    found: list[tuple[int, int]] = []
    for i in range(n):
        if i in without:
            continue
        if found and found[-1][1] == i:
            found[-1] = found[-1][0], i + 1
        else:
            found.append((i, i + 1))
    return found
