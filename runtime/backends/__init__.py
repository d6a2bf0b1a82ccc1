"""What opens a bundle's file and runs it: the protocols, and the table of backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, TensorSpec

Row = Mapping[str, Any]   # name -> array: views into the session's memory


@runtime_checkable
class Session(Protocol):
    """A model with static rows. It owns one block of memory per tensor, `(capacity, ...)`.

    Where the bundle's `max_batch` is 0 the block is one whole tensor and `capacity` is 1.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    capacity: int

    def row(self, i: int) -> Row:
        """Views of row i of every input and output, without the batch axis."""

    def rows(self, i: int, n: int) -> Row:
        """Views of rows i..i+n-1, with the batch axis (whole tensors where the model has none)."""

    def run(self, n: int) -> None:
        """Run rows 0..n-1. Blocking; the GIL is released."""

    def close(self) -> None:
        """Give the memory back; the session is not used again."""


@runtime_checkable
class FreeSession(Protocol):
    """A model with free dimensions, strings, sequences or optional inputs: no batching.

    `inputs` and `outputs` describe whole tensors (with a leading None where the bundle has a batch axis).
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        """Run once. Arrays in (object arrays of bytes for `bytes`), arrays or Python objects out."""

    def close(self) -> None:
        """Give the memory back; the session is not used again."""


class Backend(Protocol):
    """A way of running model files."""

    def missing(self) -> str | None:
        """None, or one sentence why it is not usable on this machine."""

    def describe(self, bundle: Bundle) -> Bundle:
        """The bundle with inputs, outputs and max_batch filled in from its file where it does not state them."""

    def open(self, bundle: Bundle, device: DeviceProfile) -> Session | FreeSession:
        """Load the bundle's file. Raises BundleError with a sentence for a file that cannot be used."""


BACKENDS = {
    "null": "aisle.runtime.backends.null:NullBackend",
    "onnx": "aisle.runtime.backends.onnx:OnnxBackend",
    "tensorrt": "aisle.runtime.backends.tensorrt:TensorrtBackend",
    "openvino": "aisle.runtime.backends.openvino:OpenvinoBackend",
}


# Which kinds of files a backend runs, the best first; without an entry only those under its own name.
TAKES: dict[str, tuple[str, ...]] = {"openvino": ("openvino", "onnx"), "tensorrt": ("tensorrt", "onnx")}
# What a backend runs in another precision than the file has: (backend, precision) -> the file's precision.
CASTS: dict[tuple[str, str], str] = {("openvino", "bf16"): "fp32"}
# (backend, kind, precision) of files that a backend cannot run: TensorRT takes no asymmetric INT8.
REFUSED: frozenset[tuple[str, str, str]] = frozenset({("tensorrt", "onnx", "int8")})


def make_backend(name: str) -> Backend:
    """The backend of that name; its library is imported only now."""
    if name not in BACKENDS:
        raise ValueError(f"backend {name!r} is unknown; the backends are {', '.join(BACKENDS)}")
    module, attribute = BACKENDS[name].split(":")
    backend: Backend = getattr(import_module(module), attribute)()
    return backend
