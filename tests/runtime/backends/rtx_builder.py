"""Our builder and backend over TensorRT-RTX, which parses and builds on a CPU for a device that is not there."""

import fake_tensorrt
import tensorrt_rtx
from aisle.runtime.backends.tensorrt import TensorrtBackend
from aisle.runtime.backends.tensorrt_build import TensorrtBuilder
from aisle.runtime.engines.key import Platform

TARGET = "SM86"


class RtxBuilder(TensorrtBuilder):
    """What differs: the module, and that it has to be told for which device it builds."""

    module = "tensorrt_rtx"

    def missing(self):
        return None

    def platform(self):
        return Platform(self.module, tensorrt_rtx.__version__, "", "", f"{TARGET}, ahead of time")

    def settle(self, trt, config):
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, TARGET), 0)


class RtxBackend(TensorrtBackend):
    """Reads engines with the real library, which says that there is no device to run them."""

    def missing(self):
        return None

    def _library(self):
        return tensorrt_rtx

    def _memory(self):
        return fake_tensorrt.DeviceMemory()
