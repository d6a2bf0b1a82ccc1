"""The tool over ONNX Runtime: which layers it finds, what stays in float whatever is asked, and files that it refuses."""

import numpy as np
import pytest
from aisle.models.bundle import BundleError
from aisle.models.make import nets
from aisle.models.make.onnx_models import identity
from aisle.models.make.onnx_proto import node, value, write
from aisle.runtime.backends import onnx_quantize as module

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
LIMIT = 1 << 33


def tool(path, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    return module.OnnxTool(path, work, "model file m", LIMIT)


@pytest.fixture
def ready(tmp_path):
    head = (np.eye(64, 3, dtype=np.float32), np.zeros(3, np.float32))
    made = tool(nets.classifier(tmp_path / "net.onnx", "residual", head, 32, 8), tmp_path)
    rng = np.random.default_rng(0)
    made.calibrate([{"image": rng.standard_normal((1, 3, 32, 32)).astype(np.float32)} for _ in range(4)])
    return made, tmp_path


def quantised(path):
    """Operators whose first input comes out of a DequantizeLinear, counted by type."""
    graph = onnx.load(path).graph
    dequantised = {name for n in graph.node if n.op_type == "DequantizeLinear" for name in n.output}
    found = {}
    for n in graph.node:
        if n.op_type in (*module.HEAVY, "GlobalAveragePool") and n.input[0] in dequantised and (
                len(n.input) < 2 or n.input[1] in dequantised):
            found[n.op_type] = found.get(n.op_type, 0) + 1
    return found


@pytest.mark.parametrize("kind", ["cpu", "trt"])
def test_every_convolution_is_quantised_and_the_head_is_not(ready, kind):
    made, folder = ready
    assert len(made.layers) == 17
    made.write(kind, folder / "a.onnx")
    assert quantised(folder / "a.onnx").get("Conv") == 17 and "Gemm" not in quantised(folder / "a.onnx")


def test_layers_that_are_named_stay_in_float_or_go_alone(ready):
    made, folder = ready
    made.write("cpu", folder / "a.onnx", floats=made.layers[:5])
    assert quantised(folder / "a.onnx")["Conv"] == 12
    made.write("cpu", folder / "a.onnx", only=made.layers[3:4])
    assert quantised(folder / "a.onnx") == {"Conv": 1}


@pytest.mark.parametrize("kind", ["cpu", "trt"])
def test_settled_biases_take_out_what_every_picture_is_off_by(ready, kind):
    made, folder = ready
    rng = np.random.default_rng(0)      # those of the calibration: so few say little of others
    shown = [{"image": rng.standard_normal((1, 3, 32, 32)).astype(np.float32)} for _ in range(4)]
    true = np.concatenate([made.run(None)(feed)["scores"] for feed in shown])

    def off(settle):
        made.write(kind, folder / "a.onnx", ranges=made.ways[0], settle=settle)
        options = onnxruntime.SessionOptions()      # as written: moved roundings would tell in a map of one pixel
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(folder / "a.onnx"), options)
        return np.abs((np.concatenate([session.run(["scores"], feed)[0] for feed in shown]) - true).mean(axis=0)).max()
    assert off(True) < 0.1 * off(False)


def test_the_work_is_shared_out_and_the_head_is_named(ready):
    made, _ = ready
    shares = made.work()
    assert set(shares) == set(made.layers) and sum(shares.values()) == pytest.approx(1)
    assert len(made.head) == 1 and made.head[0] not in shares
    first, second = 8 * 16 * 16 * (3 * 7 * 7 + module.MOVED), 8 * 8 * 8 * (8 * 3 * 3 + module.MOVED)
    assert shares[made.layers[0]] / shares[made.layers[1]] == pytest.approx(first / second)


def test_the_files_answer_nearly_as_fp32_and_half_keeps_its_inputs(ready):
    made, folder = ready
    feed = {"image": np.random.default_rng(9).standard_normal((1, 3, 32, 32)).astype(np.float32)}
    true = made.run(None)(feed)["scores"]
    made.write_half(folder / "half.onnx")
    for kind, least, most in (("cpu", 0, 0.3), ("trt", 0, 0.3)):
        made.write(kind, folder / "a.onnx")
        off = np.abs(made.run(folder / "a.onnx")(feed)["scores"] - true).max() / np.ptp(true)
        assert least < off < most
    half = made.run(folder / "half.onnx")(feed)["scores"]
    assert half.dtype == np.float32 and 0 < np.abs(half - true).max() < 0.02 * np.ptp(true)


def test_a_network_without_work_for_int8_is_refused_with_its_operators(tmp_path):
    with pytest.raises(BundleError, match=r"none of Conv, .*its operators are Identity"):
        tool(identity(tmp_path / "net.onnx", (3, 8, 8)), tmp_path)


def test_products_of_two_inputs_have_no_weights_to_quantise(tmp_path):
    path = write(tmp_path / "net.onnx", "g", [node("MatMul", ["a", "b"], ["y"])],
                 [value("a", "float32", [4, 4]), value("b", "float32", [4, 4])], [value("y", "float32", [4, 4])])
    with pytest.raises(BundleError, match="MatMul without constant weights"):
        tool(path, tmp_path)


def test_an_operator_that_nobody_knows_is_said(tmp_path):
    path = write(tmp_path / "net.onnx", "g", [node("Conv", ["x", "x"], ["y"]), node("Frobnicate", ["y"], ["z"])],
                 [value("x", "float32", [1, 3, 8, 8])], [value("z", "float32", [1, 1, 1, 1])])
    with pytest.raises(BundleError, match=r"model file m cannot be quantised: .*Frobnicate"):
        tool(path, tmp_path)


def test_an_old_file_is_renewed_first(tmp_path):
    """DequantizeLinear has a scale for each channel since operator set 13."""
    path = nets.features(tmp_path / "net.onnx", "residual", 32, 8)
    model = onnx.load(path)
    del model.opset_import[:]
    model.opset_import.extend([onnx.helper.make_opsetid("", 11)])
    onnx.save(model, path)
    made = tool(path, tmp_path)
    rng = np.random.default_rng(0)
    feeds = [{"image": rng.standard_normal((1, 3, 32, 32)).astype(np.float32)} for _ in range(3)]
    made.calibrate(feeds)
    made.write("cpu", tmp_path / "a.onnx")
    assert quantised(tmp_path / "a.onnx")["Conv"] == 17 and made.run(tmp_path / "a.onnx")(feeds[0])["features"].shape == (1, 64)


def test_a_torn_file_is_said(tmp_path):
    whole = nets.features(tmp_path / "net.onnx", "residual", 32, 8).read_bytes()
    (tmp_path / "net.onnx").write_bytes(whole[:len(whole) // 3])
    with pytest.raises(BundleError, match="model file m cannot be quantised"):
        tool(tmp_path / "net.onnx", tmp_path)


def test_without_onnx_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "pip install 'aisle[quantize]'" in module.missing()
