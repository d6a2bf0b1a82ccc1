"""Our builder over TensorRT-RTX, NVIDIA's library that parses and builds on a CPU, for a device that is not there."""

import tensorrt_rtx
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
