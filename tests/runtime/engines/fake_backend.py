"""A backend that runs what FakeBuilder built: engines that are the model's own bytes."""

import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

from aisle.models.bundle import BundleError
from aisle.runtime.backends import onnx_engine
from aisle.runtime.backends.onnx import OnnxBackend
from aisle.runtime.backends.onnx_sessions import OnnxSession
from aisle.runtime.engines import BuildError
from fake_engines import orders


class FakeBackend(OnnxBackend):
    """Runs what FakeBuilder built; otherwise like any other."""

    def missing(self):
        return orders().get("missing")

    def describe(self, bundle):
        (precision, path), = [(p, path) for (b, p), path in bundle.files.items() if b == "fake"]
        described = super().describe(replace(bundle, files={("onnx", precision): path}))
        return replace(described, files=bundle.files)

    def open(self, bundle, device):
        raise AssertionError("an engine's backend is given an engine")

    loads = 0

    def load(self, bundle, device, held):
        type(self).loads += 1
        if orders().get("no_memory"):
            raise BuildError("the GPU's memory is full", innocent=True)
        if orders().get("dies_checking"):
            os.kill(os.getpid(), signal.SIGKILL)
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file, held.bytes() as engine:
            file.write(engine)
            file.flush()
            try:
                session = onnx_engine.open_session(Path(file.name), 1, ["CPUExecutionProvider"], onnx_engine.memory_limit())
            except onnx_engine.engine_errors() as error:
                raise BundleError(f"the engine cannot be loaded: {onnx_engine.reason(error)}") from error
        return FakeSession(session, bundle, held)


class FakeSession(OnnxSession):
    """Holds its engine while it is open."""

    def __init__(self, session, bundle, held):
        super().__init__(session, bundle, bundle.max_batch)
        self.held = held.retain()
        self.lost = "the driver is gone" if orders().get("loses_device") else ""

    def close(self):
        super().close()
        self.held.release()
