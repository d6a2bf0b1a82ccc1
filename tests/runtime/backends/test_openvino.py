"""OpenVINO beyond what every backend promises: precisions, what it refuses, and the same answers as ONNX Runtime."""

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, BundleError, TensorSpec
from aisle.models.make import nets
from aisle.models.make.onnx_models import identity
from aisle.runtime.backends import openvino as module
from aisle.runtime.backends.openvino import OpenvinoBackend, reason

DEVICE = DeviceProfile("d", threads=1)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "pip install 'aisle[cpu,openvino]'" in OpenvinoBackend().missing()


def test_it_needs_the_trial_of_onnx_runtime(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    monkeypatch.setattr(module.onnx_engine, "missing", lambda: "it is not there")
    assert "looks into each file first, is not: it is not there" in OpenvinoBackend().missing()


def test_reasons_are_one_line_without_source_places():
    said = "Exception from src/inference/src/cpp/core.cpp:84:\nCheck 'a == b' failed at src/x.cpp:12:\nNo such op"
    assert reason(RuntimeError(said)) == "No such op"


def bundle(tmp_path, precision, file):
    return Bundle("m", "1", "model", tmp_path, files={("openvino", precision): file.name})


@pytest.fixture
def backend(cache):
    made = OpenvinoBackend(cache)
    if made.missing():
        pytest.skip(made.missing())
    return made


def run(backend, described, picture):
    session = backend.open(described, DEVICE)
    session.row(1)["image"][...] = picture
    session.row(0)["image"][...] = 0
    session.run(2)
    answer = session.row(1)["features"].copy()
    session.close()
    return answer


def test_it_answers_as_onnx_runtime_does(backend, tmp_path, cache):
    from aisle.runtime.backends.onnx import OnnxBackend
    nets.features(tmp_path / "net.onnx", "mobile", 64, 8)
    picture = np.random.default_rng(1).standard_normal((3, 64, 64)).astype(np.float32)
    theirs = OnnxBackend(cache)
    plain = Bundle("m", "1", "model", tmp_path, files={("onnx", "fp32"): "net.onnx"})
    expected = run(theirs, theirs.describe(plain), picture)
    got = run(backend, backend.describe(bundle(tmp_path, "fp32", tmp_path / "net.onnx")), picture)
    assert np.abs(got - expected).max() < 1e-4 * np.abs(expected).max()
    if "BF16" not in module.capabilities():
        pytest.skip("this CPU has no bf16")
    rough = run(backend, backend.describe(bundle(tmp_path, "bf16", tmp_path / "net.onnx")), picture)
    assert 1e-4 < np.abs(rough - expected).max() / np.abs(expected).max() < 0.05


def test_bf16_on_a_cpu_without_it_is_refused(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "capabilities", lambda: ("FP32", "INT8"))
    described = backend.describe(bundle(tmp_path, "bf16", identity(tmp_path / "net.onnx", (4,))))
    with pytest.raises(BundleError, match="bf16, which this CPU does not have"):
        backend.open(described, DEVICE)


def test_what_it_cannot_compile_is_said_with_the_way_out(backend, tmp_path, monkeypatch):
    class Core:
        def read_model(self, path):
            raise RuntimeError("Exception from a.cpp:1:\nunsupported operator Foo")

        def compile_model(self, *_):
            raise AssertionError("not reached")

    described = backend.describe(bundle(tmp_path, "fp32", identity(tmp_path / "net.onnx", (4,))))
    monkeypatch.setattr(module, "core", Core)
    with pytest.raises(BundleError, match=r"m/1/net.onnx cannot be loaded by OpenVINO: unsupported operator Foo; run it with"):
        backend.open(described, DEVICE)


def test_bfloat16_travels_as_its_bits(backend, tmp_path):
    identity(tmp_path / "net.onnx", (4,), "bfloat16")
    described = backend.describe(bundle(tmp_path, "fp32", tmp_path / "net.onnx"))
    described = Bundle(**{**described.__dict__, "max_batch": 4, "inputs": (TensorSpec("INPUT0", "bfloat16", (4,)),),
                          "outputs": (TensorSpec("OUTPUT0", "bfloat16", (4,)),)})
    session = backend.open(described, DEVICE)
    sent = np.array([0x3F80, 0x4000, 0xBF80, 0x0000], np.uint16)
    session.row(0)["INPUT0"][...] = sent
    session.run(1)
    assert np.array_equal(session.row(0)["OUTPUT0"], sent)
