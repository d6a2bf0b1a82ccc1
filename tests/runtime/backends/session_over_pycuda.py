"""Part of `make check-pycuda`: the TensorRT session on the real pycuda, with the library's stand-in for the network alone."""

import ctypes
import gc
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import fake_tensorrt
import numpy as np
import over_fakes
from aisle.edge_devices.profile import DeviceProfile
from aisle.kernels import _cuda, letterbox
from aisle.models.bundle import Bundle, BundleError, TensorSpec
from aisle.models.make.onnx_models import conv_net

DEVICE = DeviceProfile("test", threads=1)


class Device:
    """What the library's stand-in wants of a device, as pycuda has it: what it is given to do waits for the stream."""

    size, used, depth = 1 << 62, 0, 1

    def __init__(self):
        self.queue = self

    def append(self, work):
        _cuda.driver().wait()
        work()

    def stream_handle(self):
        return _cuda.driver().stream_handle()

    def at(self, address, size):
        """Device addresses are the host's here; the driver's stand-in checks the copies."""
        return (ctypes.c_uint8 * size).from_address(address)


class Backend(over_fakes.FakedBackend):
    """Ours on pycuda's driver."""

    def __init__(self):
        fake_tensorrt.MEMORY.append(Device())

    def _memory(self):
        return _cuda.driver()


def bundle_in(folder):
    conv_net(folder / "m.onnx", 32)
    return Bundle("m", "1", "model", folder, (TensorSpec("image", "float32", (3, 32, 32)),),
                  (TensorSpec("features", "float32", (16, 8, 8)), TensorSpec("scores", "float32", (4,))),
                  {("tensorrt", "fp32"): "m.onnx"}, 4)


def run(free_bytes):
    """AssertionError where anything is not as it must be; `free_bytes` says what the device has left."""
    left = free_bytes()
    with TemporaryDirectory() as folder:
        bundle = bundle_in(Path(folder))
        plain = over_fakes.FakedBackend().open(bundle, DEVICE)
        for unified in (False, True):
            session = Backend().open(bundle, replace(DEVICE, unified_memory=unified))
            rows_agree(session, plain)
            kernel_fills(session, plain)
            session.close()
            del session
            gc.collect()
            assert free_bytes() == left, f"{left - free_bytes()} bytes were not given back"
        too_large(replace(bundle, max_batch=4096), left, free_bytes)
    print("sessions of TensorRT over pycuda: rows, rows filled by a kernel on the device, shared memory, memory given back")


def rows_agree(session, plain):
    rng = np.random.default_rng(0)
    for n in (4, 1, 3, 4):
        images = rng.random((n, 3, 32, 32)).astype(np.float32)
        for one in (session, plain):
            one.rows(0, n)["image"][...] = images
            one.run(n)
        for name in ("features", "scores"):
            assert np.array_equal(session.rows(0, n)[name], plain.rows(0, n)[name])


def kernel_fills(session, plain):
    """A picture on the device becomes row 1 of the engine's input there; row 0 and 2 come from the host."""
    picture = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    for one in (session, plain):
        one.rows(0, 3)["image"][...] = 0.25
    letterbox(picture, out=plain.row(1)["image"])
    letterbox(_cuda.DeviceArray.of(picture), out=session.row(1).device("image"))
    for one in (session, plain):
        one.run(3)
    for i in range(3):
        assert np.allclose(session.row(i)["scores"], plain.row(i)["scores"], atol=1e-6), i
    assert not np.allclose(plain.row(0)["scores"], plain.row(1)["scores"])


def too_large(bundle, left, free_bytes):
    try:
        Backend().open(bundle, DEVICE)
    except BundleError as error:
        assert "the limit is" in str(error) or "OUT_OF_MEMORY" in str(error), error
    gc.collect()
    assert free_bytes() == left
