"""The backend `openvino`: the same ONNX files run by OpenVINO, in FP32, in bf16 where the CPU has it, or in INT8."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError, TensorSpec
from ..errors import Failed, Invalid
from . import onnx_engine
from .blocks import Blocks
from .dtypes import MEMORY
from .onnx import OnnxBackend
from .tensors import check_request, whole

# What the arithmetic is done in, by precision. An INT8 file says itself what is done in INT8; the rest of it runs in FP32.
HINTS = {"bf16": "bf16"}


class OpenvinoBackend:
    """Opens what ONNX Runtime's trial process has passed: OpenVINO sees no file that nobody looked into."""

    def __init__(self, cache: Path | None = None) -> None:
        self._onnx = OnnxBackend(cache)

    def missing(self) -> str | None:
        """None, or one sentence why OpenVINO is not usable here."""
        if find_spec("openvino") is None:
            return "OpenVINO is not installed; install it beside the engine: pip install 'aisle[cpu,openvino]'"
        why = onnx_engine.missing()
        return why and f"OpenVINO is installed, but ONNX Runtime, which looks into each file first, is not: {why}"

    def describe(self, bundle: Bundle) -> Bundle:
        """The bundle with inputs, outputs and max_batch as its file has them; see OnnxBackend.describe."""
        as_onnx = {("onnx", precision): path for (_, precision), path in bundle.files.items()}
        return replace(self._onnx.describe(replace(bundle, files=as_onnx)), files=bundle.files)

    def open(self, bundle: Bundle, device: DeviceProfile) -> OpenvinoSession | OpenvinoFreeSession:
        """Compile the file for the CPU. BundleError for a precision that the CPU lacks and for what OpenVINO cannot run."""
        (_, precision), relative = next(iter(bundle.files.items()))
        odd = [s for s in (*bundle.inputs, *bundle.outputs) if s.dtype not in MEMORY]
        if odd:      # texts too: an identity of strings ended the process (2026.4)
            raise BundleError(f"model {bundle.name!r} has {odd[0].name!r} of type {odd[0].dtype}, which OpenVINO does not take;"
                              " run it with the backend onnx")
        if precision in HINTS and "BF16" not in capabilities():
            raise BundleError(f"model {bundle.name!r} was to run in {precision}, which this CPU does not have; leave it out "
                              "of the profile's precisions")
        threads = device.threads or len(os.sched_getaffinity(0))
        try:
            compiled = core().compile_model(core().read_model(os.fspath(bundle.path(relative))), "CPU", {
                "INFERENCE_PRECISION_HINT": HINTS.get(precision, "f32"), "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False})
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"model file {bundle.name}/{bundle.version}/{relative} cannot be loaded by OpenVINO: "
                              f"{reason(error)}; run it with the backend onnx") from error
        static = all(s.static and s.dtype in MEMORY and not s.optional for s in (*bundle.inputs, *bundle.outputs))
        return OpenvinoSession(compiled, bundle, threads) if static else OpenvinoFreeSession(compiled, bundle, threads)


@cache
def core() -> Any:
    """OpenVINO's one entry point; a process needs one."""
    import openvino

    return openvino.Core()


@cache
def capabilities() -> tuple[str, ...]:
    """What the CPU computes in: BF16, INT8, ..."""
    return tuple(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def reason(error: BaseException) -> str:
    """What OpenVINO said, in one line without its source places."""
    text = re.sub(r"(Exception from|Check '.*?' failed at) \S+:\d+:?", "", str(error))
    return " ".join(text.split()).strip(" .;:")[:300] or type(error).__name__


def tensor(array: np.ndarray, dtype: str) -> Any:
    """OpenVINO's view of an array's memory."""
    import openvino

    if dtype == "bfloat16":
        return openvino.Tensor(array, array.shape, openvino.Type.bf16)
    return openvino.Tensor(array, shared_memory=True)


class OpenvinoSession:
    """Rows that OpenVINO reads and writes in place: one request for each number of rows, bound to the blocks once."""

    def __init__(self, compiled: Any, bundle: Bundle, threads: int) -> None:
        self.inputs = bundle.inputs
        self.outputs = bundle.outputs
        self.capacity = bundle.max_batch or 1
        self.threads = threads
        self._name = bundle.name
        self._blocks = Blocks(bundle, self.capacity, MEMORY)
        self._compiled: Any = compiled
        self._requests: dict[int, Any] = {}      # at most `capacity` of them
        self.row = self._blocks.row
        self.rows = self._blocks.rows

    def run(self, n: int) -> None:
        """Run rows 0..n-1; the GIL is released. Failed with a sentence where the model fails."""
        request = self._requests.get(n)
        try:
            if request is None:
                self._first(n)
            else:
                request.infer()
        except RuntimeError as error:
            raise Failed(f"model {self._name!r} failed on {n} row{'s' if n > 1 else ''}: {reason(error)}") from error

    def _first(self, n: int) -> None:
        """Bind and run n rows, and make sure that every output really was written into its block."""
        if not 1 <= n <= self.capacity:
            raise IndexError(f"run of {n} rows, capacity {self.capacity}")
        request = self._compiled.create_infer_request()
        rows = self._blocks.rows(0, n)
        for spec in (*self.inputs, *self.outputs):
            request.set_tensor(spec.name, tensor(rows[spec.name], spec.dtype))
        request.infer()
        for spec in self.outputs:
            made = request.get_tensor(spec.name)
            array = rows[spec.name]
            if tuple(made.shape) != array.shape or (array.size and made.data.ctypes.data != array.ctypes.data):
                raise Failed(f"output {spec.name!r} of model {self._name!r}: expected shape {list(array.shape)} in its own "
                             f"block, OpenVINO gave {list(made.shape)}; state the shape that the file really gives")
        self._requests[n] = request

    def close(self) -> None:
        """Forget the compiled model and the blocks."""
        self._requests.clear()
        self._compiled = None
        self._blocks.arrays.clear()


class OpenvinoFreeSession:
    """Whole requests of any shape."""

    def __init__(self, compiled: Any, bundle: Bundle, threads: int) -> None:
        self.inputs: tuple[TensorSpec, ...] = whole(bundle.inputs, bundle)
        self.outputs: tuple[TensorSpec, ...] = whole(bundle.outputs, bundle)
        self.threads = threads
        self._name = bundle.name
        self._request: Any = compiled.create_infer_request()
        self._dtypes = {s.name: s.dtype for s in (*self.inputs, *self.outputs)}

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        """Run once; the GIL is released. Empty `outputs` means all. Invalid or Failed with a sentence."""
        names = [s.name for s in self.outputs]
        check_request(self._name, self.inputs, inputs, names, outputs)
        absent = [s.name for s in self.inputs if s.name not in inputs]
        if absent:
            raise Invalid(f"model {self._name!r} runs by OpenVINO, which needs every input; {absent[0]!r} is missing")
        try:
            for name, array in inputs.items():
                self._request.set_tensor(name, tensor(np.ascontiguousarray(array), self._dtypes[name]))
            self._request.infer()
            return {name: self._made(name) for name in outputs or names}
        except RuntimeError as error:
            raise Failed(f"model {self._name!r} failed: {reason(error)}") from error

    def _made(self, name: str) -> np.ndarray:
        """A copy: the request's memory is used again."""
        array = np.array(self._request.get_tensor(name).data)
        return array.view(np.uint16) if self._dtypes[name] == "bfloat16" else array

    def close(self) -> None:
        """Forget the compiled model."""
        self._request = None
