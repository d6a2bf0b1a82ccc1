"""CUDA through pycuda, the only file that imports it: context, streams, modules, arrays on the device, one error check.

An op's kernels are `fast.cu`, built into `fast.fatbin` beside it; `device.py` says grid, block and arguments. All goes
through a `Driver`, so that a test can put one there that runs the same source on the host.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from importlib import import_module, util
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, Protocol

import numpy as np

# What the driver says, its name, and what it means here. Texts are cuGetErrorString's.
MEANINGS = {
    "out of memory": ("CUDA_ERROR_OUT_OF_MEMORY", "the device's memory is full: load fewer models or smaller batches"),
    "illegal memory access": ("CUDA_ERROR_ILLEGAL_ADDRESS", "a kernel read or wrote outside its arrays"),
    "misaligned address": ("CUDA_ERROR_MISALIGNED_ADDRESS", "a kernel read an address that its type cannot have"),
    "unspecified launch failure": ("CUDA_ERROR_LAUNCH_FAILED", "a kernel stopped half-way"),
    "launch timed out": ("CUDA_ERROR_LAUNCH_TIMEOUT", "a kernel ran longer than the display's watchdog allows"),
    "too many resources": ("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "a block needs more registers than the device has"),
    "no kernel image": ("CUDA_ERROR_NO_BINARY_FOR_GPU", "the kernels were not built for this device: build on it"),
    "PTX was compiled": ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the driver is older than the compiler: renew the driver"),
    "invalid argument": ("CUDA_ERROR_INVALID_VALUE", "an argument of the call does not fit, the grid's size perhaps"),
    "invalid device context": ("CUDA_ERROR_INVALID_CONTEXT", "the thread holds no context of this device"),
    "no CUDA-capable device": ("CUDA_ERROR_NO_DEVICE", "the driver is there and finds no GPU"),
}


MOST_BLOCKS = 65_535      # of a grid along y and z


class CudaError(RuntimeError):
    """A call into CUDA failed. `sticky`: the context is lost, every later call fails too, the process must end."""

    def __init__(self, sentence: str, sticky: bool) -> None:
        super().__init__(sentence)
        self.sticky = sticky


class Driver(Protocol):
    """What arrays and launches need of a device."""

    def allocate(self, size: int) -> tuple[int, object]:
        """`size` bytes: their address, and an owner that frees them when it is dropped."""

    def upload(self, address: int, values: np.ndarray) -> None:
        """Copy a contiguous array there; done when this returns."""

    def download(self, address: int, values: np.ndarray) -> None:
        """Copy from there into a contiguous array, after all launches of this thread; done when this returns."""

    def copy(self, source: int, target: int, size: int) -> None:
        """Start a copy of `size` bytes from one address of the device to another."""

    def launch(self, package: str, kernel: str, grid: tuple[int, int, int], block: tuple[int, int, int], layout: str,
               arguments: Sequence[Any]) -> None:
        """Start `kernel` of the op `package`; `layout` is the arguments' struct format ("P" an address)."""


class PycudaDriver:
    """The first CUDA device, by its primary context, which ONNX Runtime and TensorRT share."""

    def __init__(self) -> None:
        self._cuda = import_module("pycuda.driver")
        self._lost: str | None = None
        self._modules: dict[str, Any] = {}
        self._functions: dict[tuple[str, str, str], Any] = {}
        self._threads = threading.local()
        self._streams: list[Any] = []      # kept: one dropped as its thread ends has no context to be destroyed in
        with self._check("starting CUDA"):
            self._cuda.init()
            self._device = self._cuda.Device(0)
            self._context = self._device.retain_primary_context()

    @property
    def name(self) -> str:
        """The device's name and compute capability."""
        major, minor = self._device.compute_capability()
        return f"{self._device.name()}, sm_{major}{minor}"

    @contextmanager
    def _check(self, doing: str) -> Iterator[None]:
        """The one check of every call: names the error, explains it, and finds out whether it is for good."""
        if self._lost:
            raise CudaError(self._lost, sticky=True)
        try:
            yield
        except self._cuda.Error as error:
            self._fail(doing, error)

    def _fail(self, doing: str, error: Exception) -> NoReturn:
        name, meaning = next((m for text, m in MEANINGS.items() if text in str(error)), (type(error).__name__, ""))
        sentence = f"{doing} failed with {name}: {meaning or 'the driver gives no more'} ({error})"
        if self._broken():
            sentence += "; a CUDA error of this kind is sticky: the context is lost, this process must be started again"
            self._lost = sentence
        raise CudaError(sentence, sticky=self._lost is not None) from error

    def _broken(self) -> bool:
        """After a sticky error every call fails, so one that does nothing tells."""
        if not hasattr(self, "_context"):
            return False
        try:
            self._cuda.Context.synchronize()
        except self._cuda.Error:
            return True
        return False

    @contextmanager
    def _current(self, doing: str) -> Iterator[None]:
        """The context current in this thread, for one call: a thread that ends holding one is killed by pycuda."""
        with self._check(doing):
            self._context.push()
            try:
                yield
            except self._cuda.Error as error:
                self._fail(doing, error)
            finally:
                self._cuda.Context.pop()

    def _stream(self) -> Any:
        """A stream a thread, so that the workers of two models do not wait for each other."""
        if not hasattr(self._threads, "stream"):
            self._threads.stream = self._cuda.Stream()
            self._streams.append(self._threads.stream)
        return self._threads.stream

    def allocate(self, size: int) -> tuple[int, object]:
        """See Driver."""
        with self._current(f"allocating {size} bytes"):
            allocation = self._cuda.mem_alloc(max(1, size))
        return int(allocation), Owner(self, allocation)

    def free(self, allocation: Any) -> None:
        """Give memory back, in whatever thread this is. A context that is lost took it along; the next call says so."""
        with suppress(CudaError), self._current("freeing memory"):
            allocation.free()

    def upload(self, address: int, values: np.ndarray) -> None:
        """See Driver."""
        with self._current(f"copying {values.nbytes} bytes to the device"):
            self._cuda.memcpy_htod_async(address, values, self._stream())
            self._stream().synchronize()

    def download(self, address: int, values: np.ndarray) -> None:
        """See Driver."""
        with self._current(f"copying {values.nbytes} bytes from the device"):
            self._cuda.memcpy_dtoh_async(values, address, self._stream())
            self._stream().synchronize()

    def copy(self, source: int, target: int, size: int) -> None:
        """See Driver."""
        with self._current(f"copying {size} bytes on the device"):
            self._cuda.memcpy_dtod_async(target, source, size, self._stream())

    def launch(self, package: str, kernel: str, grid: tuple[int, int, int], block: tuple[int, int, int], layout: str,
               arguments: Sequence[Any]) -> None:
        """See Driver."""
        with self._current(f"launching {kernel}, grid {grid}, block {block}"):
            self._function(package, kernel, layout).prepared_async_call(grid, block, self._stream(), *arguments)

    # ---- for engines, which have streams and memory of the host's own kind

    @property
    def versions(self) -> tuple[str, str]:
        """(CUDA that the driver offers, compute capability and name of the device)."""
        number = self._cuda.get_driver_version()
        major, minor = self._device.compute_capability()
        return f"{number // 1000}.{number % 1000 // 10}", f"sm_{major}{minor} {self._device.name()}"

    def current(self, doing: str) -> Any:
        """A with block in which this thread may call CUDA, and libraries above it; their errors become CudaError."""
        return self._current(doing)

    def stream_handle(self) -> int:
        """This thread's stream, as libraries want it; inside `current`."""
        return int(self._stream().handle)

    def pinned(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Zeros that the device reaches: copies of them are asynchronous, and `mapped` gives their address there."""
        size, flags = math.prod(shape) * np.dtype(dtype).itemsize, self._cuda.host_alloc_flags
        with self._current(f"pinning {size} bytes"):
            held = self._cuda.pagelocked_zeros((max(1, size),), np.uint8, mem_flags=flags.DEVICEMAP | flags.PORTABLE)
        return np.asarray(Pinned(self, held))[:size].view(dtype).reshape(shape)

    def unpin(self, held: Any) -> None:
        """Give pinned memory back, in whatever thread this is."""
        with suppress(CudaError), self._current("freeing pinned memory"):
            held.base.free()

    def mapped(self, array: np.ndarray) -> int:
        """The address by which the device reaches a `pinned` array without a copy."""
        base: Any = array
        while isinstance(base, np.ndarray):
            base = base.base
        with self._current("mapping host memory"):
            return int(base.held.base.get_device_pointer()) + array.ctypes.data - int(base.held.ctypes.data)

    def upload_later(self, address: int, values: np.ndarray) -> None:
        """Start a copy to the device on this thread's stream; inside `current`. `values` stay as they are until `wait`."""
        self._cuda.memcpy_htod_async(address, values, self._stream())

    def download_later(self, address: int, values: np.ndarray) -> None:
        """Start a copy from the device on this thread's stream; inside `current`."""
        self._cuda.memcpy_dtoh_async(values, address, self._stream())

    def wait(self) -> None:
        """Until this thread's stream has done everything; inside `current`."""
        self._stream().synchronize()

    def _function(self, package: str, kernel: str, layout: str) -> Any:
        key = package, kernel, layout
        if key not in self._functions:
            # A function of its own for each layout: preparing one again would change it for those that hold it.
            self._functions[key] = self._module(package).get_function(kernel).prepare(layout)
        return self._functions[key]

    def _module(self, package: str) -> Any:
        """An op's kernels, loaded (and compiled, where they are PTX) once."""
        if package not in self._modules:
            path = fatbin(package)
            if not path.exists():
                raise CudaError(f"{path.parent.name}/{path.name} is not built here: put nvcc on the PATH or set CUDA_HOME "
                                "and run `make setup`, or give the op arrays in host memory", sticky=False)
            self._modules[package] = self._cuda.module_from_file(str(path))
        return self._modules[package]


class Owner:
    """Frees an allocation when it is dropped: pycuda itself does so only in the thread that made the context."""

    def __init__(self, driver: PycudaDriver, allocation: Any) -> None:
        self._driver, self._allocation = driver, allocation

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._driver.free(self._allocation)


class Pinned:
    """Pinned memory as NumPy takes it; freed when the last array upon it is dropped."""

    def __init__(self, driver: PycudaDriver, held: np.ndarray) -> None:
        self._driver, self.held = driver, held
        self.__array_interface__ = held.__array_interface__

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._driver.unpin(self.held)


class DeviceArray:
    """A C-contiguous array in the device's memory, its contents undefined at first; give it to an op as `out` and inputs."""

    flags = SimpleNamespace(c_contiguous=True, aligned=True, writeable=True)

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape, self.dtype = tuple(int(n) for n in shape), np.dtype(dtype)
        self.ndim, self.size = len(self.shape), math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize
        self.address, self._owner = driver().allocate(self.nbytes)

    @classmethod
    def at(cls, address: int, shape: Sequence[int], dtype: Any, owner: object) -> DeviceArray:
        """A view of memory that `owner` keeps: a row of an engine's input."""
        made = cls.__new__(cls)
        made.shape, made.dtype, made.ndim = tuple(int(n) for n in shape), np.dtype(dtype), len(shape)
        made.size = math.prod(made.shape)
        made.nbytes = made.size * made.dtype.itemsize
        made.address, made._owner = address, owner
        return made

    @classmethod
    def of(cls, values: np.ndarray) -> DeviceArray:
        """A copy of a host array on the device."""
        made = cls(values.shape, values.dtype)
        made.set(values)
        return made

    def set(self, values: np.ndarray) -> None:
        """Copy a host array of the same shape and dtype here; ValueError otherwise."""
        if values.shape != self.shape or values.dtype != self.dtype:
            raise ValueError(f"expected {self.dtype} {self.shape}, got {values.dtype} {values.shape} - at `values`")
        if self.nbytes:
            driver().upload(self.address, np.ascontiguousarray(values))

    def host(self) -> np.ndarray:
        """A copy in host memory, after everything that this thread started has ended."""
        values = np.empty(self.shape, self.dtype)
        if self.nbytes:
            driver().download(self.address, values)
        return values

    def reshape(self, *shape: int) -> DeviceArray:
        """The same memory under another shape of as many elements; ValueError otherwise."""
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"expected {math.prod(self.shape)} elements, got a shape {shape} - at `shape`")
        view = copy(self)
        view.shape, view.ndim = shape, len(shape)
        return view

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.address, False), "version": 3, "strides": None}

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError(f"expected an array in host memory, got {self.dtype} {self.shape} on the device; copy it with .host()")


_held: list[Driver] = []
_lock = threading.Lock()


def driver() -> Driver:
    """The device's driver, made at first use; CudaError says why there is none."""
    with _lock:
        if not _held:
            try:
                _held.append(PycudaDriver())
            except ImportError as error:
                raise CudaError(f"pycuda cannot be loaded ({error}): pip install 'aisle[gpu]' on a machine with NVIDIA's "
                                "driver, or give the op arrays in host memory", sticky=False) from error
        return _held[0]


@contextmanager
def using(other: Driver) -> Iterator[None]:
    """Another driver for as long as this lasts: the tests' own, which runs kernels on the host."""
    before = _held[:]
    _held[:] = [other]
    try:
        yield
    finally:
        _held[:] = before


def fatbin(package: str) -> Path:
    """Where an op's built kernels lie, or would."""
    spec = util.find_spec(package)
    assert spec is not None and spec.origin is not None, package
    return Path(spec.origin).parent / "fast.fatbin"


def launch(package: str, kernel: str, size: Sequence[int], layout: str, *arguments: Any,
           block: tuple[int, int, int] | None = None) -> None:
    """Start a thread for each element of `size` (x, y, z); arrays in `arguments` go by their address."""
    x, y, z = (*size, 1, 1)[:3]
    threads = block or ((256, 1, 1) if y == 1 else (32, 8, 1))
    grid = tuple(-(-n // t) for n, t in zip((x, y, z), threads, strict=True))
    if max(grid[1:]) > MOST_BLOCKS:
        raise ValueError(f"expected at most {MOST_BLOCKS * threads[1]} rows and {MOST_BLOCKS} layers, got {y} and {z} - at "
                         f"the arrays of {kernel}, which are on the device; split them")
    plain = [a.address if isinstance(a, DeviceArray) else 0 if a is None else a for a in arguments]
    driver().launch(package, kernel, grid, threads, layout, plain)   # type: ignore[arg-type]


def parameter(values: np.ndarray | DeviceArray) -> DeviceArray:
    """A small array that an op made for itself on the host, on the device; one that is there already as it is."""
    return values if isinstance(values, DeviceArray) else DeviceArray.of(values)


def missing(present: Callable[[str], object] = util.find_spec) -> str | None:
    """None, or one sentence why arrays cannot live on a device here; nothing is started."""
    packages = [p.parent.name for p in sorted(Path(__file__).parent.glob("*/fast.cu"))
                if not (p.parent / "fast.fatbin").exists()]
    if packages:
        return f"no CUDA kernels for {', '.join(packages)}: nvcc was not found when they were built; they run on the CPU"
    if present("pycuda") is None:
        return "CUDA kernels are built, but pycuda is not installed: pip install 'aisle[gpu]'"
    return None
