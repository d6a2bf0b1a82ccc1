"""The small ONNX models: valid for the official checker, and they compute what they say."""

import numpy as np
import pytest
from aisle.models.make import onnx_models

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def opened(path):
    onnx.checker.check_model(str(path), full_check=True)
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint8", "int32", "int64", "bool", "float16"])
def test_identity_returns_its_input(tmp_path, dtype):
    session = opened(onnx_models.identity(tmp_path / "deep" / "m.onnx", (3, "n"), dtype))
    given = np.arange(24).reshape(2, 3, 4).astype(dtype)
    (got,) = session.run(None, {"INPUT0": given})
    assert got.dtype == given.dtype and np.array_equal(got, given)
    assert session.get_inputs()[0].shape == ["batch", 3, "n"]


def test_identity_of_strings(tmp_path):
    session = opened(onnx_models.identity(tmp_path / "m.onnx", (2,), "bytes", batch=False))
    (got,) = session.run(None, {"INPUT0": np.array(["one", "zwei ż"], object)})
    assert list(got) == ["one", "zwei ż"]


def test_add_sub_is_tritons_simple(tmp_path):
    session = opened(onnx_models.add_sub(tmp_path / "m.onnx"))
    a, b = np.arange(16, dtype=np.int32)[None], np.full((1, 16), 3, np.int32)
    total, difference = session.run(["OUTPUT0", "OUTPUT1"], {"INPUT0": a, "INPUT1": b})
    assert np.array_equal(total, a + b) and np.array_equal(difference, a - b)


def test_conv_net_is_deterministic_and_gives_probabilities(tmp_path):
    path = onnx_models.conv_net(tmp_path / "m.onnx", size=32, classes=5)
    assert path.read_bytes() == onnx_models.conv_net(tmp_path / "n.onnx", size=32, classes=5).read_bytes()
    image = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    features, scores = opened(path).run(["features", "scores"], {"image": image})
    assert features.shape == (3, 16, 8, 8) and scores.shape == (3, 5)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5) and np.ptp(scores[:, 0]) > 0


def test_conv_net_refuses_a_size_it_cannot_halve_twice(tmp_path):
    with pytest.raises(ValueError, match="multiple of 4, got 30"):
        onnx_models.conv_net(tmp_path / "m.onnx", size=30)
