"""The backend `tensorrt` as it is, over the fake library and device; `open` builds the engine first, as a server would."""


import fake_tensorrt
from aisle.models.bundle import BundleError
from aisle.runtime.backends.tensorrt import TensorrtBackend
from aisle.runtime.backends.tensorrt_build import TensorrtBuilder
from aisle.runtime.engines import BuildError, Job
from aisle.runtime.engines.cache import EngineCache
from aisle.runtime.engines.key import EngineKey, Platform
from aisle.runtime.engines.store import write_engine
from aisle.runtime.engines.wish import profiles


class FakedBuilder(TensorrtBuilder):
    """Builds with the fake library."""

    def missing(self):
        return None

    def platform(self):
        return Platform("tensorrt", fake_tensorrt.__version__, "13.0", "600.1", "sm_00 none")

    def load(self):
        return fake_tensorrt


class FakedBackend(TensorrtBackend):
    """Runs on a fake device of its own."""

    def __init__(self, memory=None):
        self.memory = memory or fake_tensorrt.DeviceMemory()
        fake_tensorrt.MEMORY.append(self.memory)

    def missing(self):
        return None

    def _library(self):
        return fake_tensorrt

    def _memory(self):
        fake_tensorrt.MEMORY.append(self.memory)
        return self.memory

    def open(self, bundle, device):
        builder, ((_, precision), source) = FakedBuilder(), next(iter(bundle.files.items()))
        if sentence := builder.refuses(bundle):
            raise BundleError(sentence)
        shapes = profiles(bundle)
        key = EngineKey(bundle.name, f"{abs(hash(shapes.__repr__() + repr(bundle.inputs))):064x}", "", precision,
                        builder.platform(), shapes)
        cache = EngineCache(bundle.root / "engines", 1 << 30)
        try:
            engine = builder.build(Job(bundle.path(source), precision, shapes), lambda part, doing: None)
            write_engine(cache.candidate(key), key.table(), engine)
            cache.accept(key)
            held = cache.get(key)
            try:
                return self.load(bundle, device, held)
            finally:
                held.release()
        except BuildError as error:
            raise BundleError(str(error)) from error


