"""TensorRT's interface as far as we use it, over ONNX Runtime, and device memory that is checked: what CI runs instead.

Names, parameters and their order are TensorRT's own: `make check-tensorrt` holds them against the real bindings. Work is
queued on streams and done when somebody waits, as on a device, so a missing wait or a wrong stream shows.
"""

import ctypes
import json
import sys
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import onnxruntime
from aisle.kernels._cuda import CudaError

__version__ = "10.3.0"
onnxruntime.set_default_logger_severity(4)


# ---- the device

class DeviceMemory:
    """See `tensorrt_session.Memory`: a heap with bounds, host memory that is known to be pinned, one stream a thread."""

    def __init__(self, size=1 << 30, shared=False):
        self.size, self.used = size, 0
        self.heap = {}            # address -> array
        self.host = {}            # address -> array, of pinned memory
        self.queue = []           # what the stream has to do
        self.depth = 0
        self.copied = []          # (direction, bytes) of every copy asked for
        self.breaks = None        # a CudaError that every wait from now on raises

    @contextmanager
    def current(self, doing):
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def stream_handle(self):
        assert self.depth, "no context is current"
        return 0xABC

    def allocate(self, size):
        if self.used + size > self.size:
            raise CudaError(f"allocating {size} bytes failed with CUDA_ERROR_OUT_OF_MEMORY: the device's memory is full", False)
        array = np.full(size, 0xCD, np.uint8)
        self.used += size
        self.heap[array.ctypes.data] = array
        return array.ctypes.data, _Owner(self, array)

    def pinned(self, shape, dtype):
        count = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        raw = np.zeros(count + 64, np.uint8)
        start = -raw.ctypes.data % 64
        array = raw[start:start + count].view(dtype).reshape(shape)
        self.host[array.ctypes.data] = array
        return array

    def mapped(self, array):
        assert array.ctypes.data in self.host, "only pinned memory can be mapped"
        return array.ctypes.data

    def at(self, address, size):
        """The bytes there, which must lie within one allocation."""
        for start, array in [*self.heap.items(), *self.host.items()]:
            if start <= address and address + size <= start + array.nbytes:
                return (ctypes.c_uint8 * size).from_address(address)
        raise AssertionError(f"{size} bytes at {address:#x} are no memory of the device")

    def _pinned(self, values):
        start = values.ctypes.data
        assert any(a <= start and start + values.nbytes <= a + array.nbytes for a, array in self.host.items()), \
            "an asynchronous copy of memory that is not pinned"

    def upload_later(self, address, values):
        assert self.depth and values.flags.c_contiguous
        self._pinned(values)
        self.at(address, values.nbytes)
        self.copied.append(("up", values.nbytes))
        self.queue.append(lambda: ctypes.memmove(address, values.ctypes.data, values.nbytes))

    def download_later(self, address, values):
        assert self.depth and values.flags.c_contiguous
        self._pinned(values)
        self.at(address, values.nbytes)
        self.copied.append(("down", values.nbytes))
        self.queue.append(lambda: ctypes.memmove(values.ctypes.data, address, values.nbytes))

    def wait(self):
        assert self.depth, "no context is current"
        if self.breaks:
            self.queue.clear()
            raise self.breaks
        for work in self.queue:
            work()
        self.queue.clear()


class _Owner:
    """Frees its memory when it is dropped, as pycuda's do."""

    def __init__(self, memory, array):
        self.memory, self.array = memory, array

    def __del__(self, gone=sys.is_finalizing):
        if gone():
            return
        self.memory.used -= self.array.nbytes
        self.memory.heap.pop(self.array.ctypes.data, None)


MEMORY = []       # the device that engines run on; a test puts one there


# ---- the library

class TensorIOMode(IntEnum):
    NONE, INPUT, OUTPUT = range(3)


class DataType(IntEnum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8, FP8, BF16, INT64 = range(9)


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


TYPES = {"tensor(float)": DataType.FLOAT, "tensor(float16)": DataType.HALF, "tensor(int8)": DataType.INT8,
         "tensor(int32)": DataType.INT32, "tensor(int64)": DataType.INT64, "tensor(bool)": DataType.BOOL,
         "tensor(uint8)": DataType.UINT8, "tensor(bfloat16)": DataType.BF16}
NUMPY = {DataType.FLOAT: np.float32, DataType.HALF: np.float16, DataType.INT8: np.int8, DataType.INT32: np.int32,
         DataType.INT64: np.int64, DataType.BOOL: np.bool_, DataType.UINT8: np.uint8}


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity, msg):
        raise NotImplementedError


class IProgressMonitor:
    def phase_start(self, phase_name, parent_phase, num_steps):
        raise NotImplementedError

    def step_complete(self, phase_name, step):
        raise NotImplementedError

    def phase_finish(self, phase_name):
        raise NotImplementedError


class IOptimizationProfile:
    def __init__(self):
        self._shapes = {}

    def set_shape(self, input, min, opt, max):
        assert len(min) == len(opt) == len(max) and all(a <= b <= c for a, b, c in zip(min, opt, max, strict=True))
        self._shapes[input] = [list(min), list(opt), list(max)]


class IBuilderConfig:
    def __init__(self):
        self._profiles = []
        self._limits = {}
        self.progress_monitor = None

    def set_memory_pool_limit(self, pool, pool_size):
        self._limits[pool] = pool_size

    def add_optimization_profile(self, profile):
        self._profiles.append(profile)
        return len(self._profiles) - 1


class INetworkDefinition:
    _model = b""


class ParserError:
    def __init__(self, text):
        self._text = text

    def desc(self):
        return self._text

    def node_name(self):
        return "n7"

    def node_operator(self):
        return "Odd" if "Odd" in self._text else ""


class OnnxParser:
    def __init__(self, network, logger):
        self._network, self._logger, self._errors = network, logger, []

    @property
    def num_errors(self):
        return len(self._errors)

    def parse_from_file(self, model):
        with open(model, "rb") as file:
            data = file.read()
        try:
            onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no base
            self._errors = [ParserError(str(error))]
            return False
        self._network._model = data
        return True

    def get_error(self, index):
        return self._errors[index]


class Builder:
    def __init__(self, logger):
        assert isinstance(logger, ILogger)
        self._logger = logger

    def create_network(self, flags=0):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED, "TensorRT 11 knows no others"
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig()

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        monitor = config.progress_monitor
        monitor.phase_start("Building engine", None, 2)
        monitor.step_complete("Building engine", 0)
        monitor.phase_start("Timing", "Building engine", 4)
        for step in range(4):
            monitor.step_complete("Timing", step)
        monitor.phase_finish("Timing")
        monitor.phase_finish("Building engine")
        inputs = onnxruntime.InferenceSession(network._model).get_inputs()
        if not config._profiles and any(not isinstance(d, int) for i in inputs for d in i.shape):
            self._logger.log(ILogger.ERROR, "Network has dynamic or shape inputs, but no optimization profile has been "
                                            "defined.")
            return None
        head = json.dumps([p._shapes for p in config._profiles]).encode()
        return len(head).to_bytes(4, "little") + head + network._model


class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine):
        data = bytes(serialized_engine)
        try:
            size = int.from_bytes(data[:4], "little")
            return ICudaEngine(json.loads(data[4:4 + size]), data[4 + size:], self._logger)
        except Exception:  # noqa: BLE001 - whatever it is, it is no engine
            self._logger.log(ILogger.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (magic tag does not "
                                            "match.)")
            return None


class ICudaEngine:
    def __init__(self, profiles, model, logger):
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._profiles, self._logger, self._memory = profiles, logger, MEMORY[-1]
        self._inputs = {t.name: t for t in self._session.get_inputs()}
        self._outputs = {t.name: t for t in self._session.get_outputs()}
        self._names = [*self._inputs, *self._outputs]

    @property
    def num_io_tensors(self):
        return len(self._names)

    @property
    def num_optimization_profiles(self):
        return max(1, len(self._profiles))

    def get_tensor_name(self, index):
        return self._names[index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def _tensor(self, name):
        return self._inputs.get(name) or self._outputs[name]

    def get_tensor_dtype(self, name):
        return TYPES[self._tensor(name).type]

    def get_tensor_shape(self, name):
        return tuple(d if isinstance(d, int) else -1 for d in self._tensor(name).shape)

    def create_execution_context(self):
        assert self._memory.depth, "no context is current"
        if self._memory.size - self._memory.used < 100:
            self._logger.log(ILogger.ERROR, "Out of memory: requested 4096 bytes")
            return None
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine):
        self._engine, self._profile = engine, 0
        self._addresses, self._shapes = {}, {}
        self._wrong = ""          # a test makes runs fail with this

    def set_optimization_profile_async(self, profile_index, stream_handle):
        assert stream_handle == self._engine._memory.stream_handle()
        self._profile = profile_index
        return True

    def set_tensor_address(self, name, memory):
        assert name in self._engine._names and memory
        self._addresses[name] = memory
        return True

    def set_input_shape(self, name, shape):
        least, _, most = self._engine._profiles[self._profile][name]
        if not all(a <= n <= b for a, n, b in zip(least, shape, most, strict=True)):
            self._engine._logger.log(ILogger.ERROR, f"Static dimension mismatch while setting input shape for {name}.")
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        shape = self._engine.get_tensor_shape(name)
        if -1 in shape[1:]:       # follows from the inputs' sizes
            session = self._engine._session
            feed = {i: np.zeros(s, NUMPY[self._engine.get_tensor_dtype(i)]) for i, s in self._shapes.items()}
            return session.run([name], feed)[0].shape
        rows = next(iter(self._shapes.values()))[0] if self._shapes else -1
        return tuple(rows if d == -1 else d for d in shape)

    def execute_async_v3(self, stream_handle):
        memory = self._engine._memory
        assert stream_handle == memory.stream_handle()
        if self._wrong:
            self._engine._logger.log(ILogger.ERROR, self._wrong)
            return False
        feeds = {name: self._shapes.get(name, self._engine.get_tensor_shape(name)) for name in self._engine._inputs}
        assert all(-1 not in shape for shape in feeds.values()), "a shape was not set"
        memory.queue.append(lambda: self._run(memory, feeds))
        return True

    def _array(self, memory, name, shape):
        dtype = np.dtype(NUMPY[self._engine.get_tensor_dtype(name)])
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return np.frombuffer(memory.at(self._addresses[name], size), dtype).reshape(shape)

    def _run(self, memory, shapes):
        feed = {name: self._array(memory, name, shape).copy() for name, shape in shapes.items()}
        for name, value in zip(self._engine._outputs, self._engine._session.run(None, feed), strict=True):
            self._array(memory, name, value.shape)[...] = value
