"""The backend `tensorrt`: engines that were built for this device, see `runtime/engines`, run through TensorRT's Python API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError
from ..engines import BUILDERS, BuildError
from ..engines.cache import EngineCache, Held
from ..engines.wish import make_wish
from . import tensorrt_library as library
from .onnx import OnnxBackend
from .onnx_facts import cache_folder
from .tensorrt_session import Loaded, Memory, TensorrtSession

if TYPE_CHECKING:
    from types import ModuleType


class TensorrtBackend:
    """Its files are ONNX files: what runs is the engine that was built from one."""

    _last: Loaded | None = None

    def missing(self) -> str | None:
        """None, or one sentence why TensorRT is not usable here."""
        return library.missing()

    def describe(self, bundle: Bundle) -> Bundle:
        """The bundle with its tensors as its ONNX file has them. BundleError where ONNX Runtime cannot say and it does not."""
        plain = OnnxBackend()
        if plain.missing():
            if not bundle.inputs or not bundle.outputs:
                raise BundleError(f"bundle {bundle.name!r} does not state its inputs and outputs, and without ONNX Runtime "
                                  "nothing here reads them from the file: state them in bundle.toml")
            return bundle
        files = {("onnx", precision): path for (_, precision), path in bundle.files.items()}
        return replace(plain.describe(replace(bundle, files=files)), files=bundle.files)

    def open(self, bundle: Bundle, device: DeviceProfile) -> TensorrtSession:
        """A session on the engine in the user's cache. BundleError where none was built yet; a server builds it by itself."""
        (_, precision), source = next(iter(bundle.files.items()))
        folder = cache_folder()
        try:
            wish = make_wish(bundle, "tensorrt", precision, source, BUILDERS["tensorrt"], device)
            held = EngineCache(folder / "engines", 1 << 40).get(wish.key) if folder else None
        except (BuildError, OSError) as error:
            raise BundleError(f"model {bundle.name!r} cannot run on TensorRT: {error}") from error
        if held is None:
            raise BundleError(f"no TensorRT engine of {bundle.name!r} ({precision}) is built for this machine; build it with "
                              f"`aisle model compile {bundle.root}`, or serve the model: the server builds it by itself")
        try:
            return self.load(bundle, device, held)
        except BuildError as error:
            raise BundleError(str(error)) from error
        finally:
            held.release()

    def load(self, bundle: Bundle, device: DeviceProfile, held: Held) -> TensorrtSession:
        """A session on this engine, which is read once for all sessions of it. BuildError or BundleError with a sentence."""
        if self._last is None or self._last.held is not held:
            self._last = Loaded(self._library(), bundle.name, held, self._memory())
        return TensorrtSession(self._last, bundle, shared=device.unified_memory)

    def _library(self) -> ModuleType | Any:
        return library.load()

    def _memory(self) -> Memory:
        memory: Memory = library.driver()
        return memory
