"""Bodies of trained networks: a quantised file gives back the floats that its weights stand for, without its roundings."""

import numpy as np
import pytest
from aisle.bench.device import trained

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


@pytest.fixture
def stored(tmp_path):
    """A file like a converted one: input of bytes, weights with a step for each channel, a head behind the pooling."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    weights = rng.integers(-90, 90, (4, 3, 3, 3)).astype(np.int8)
    steps = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
    constants = {"w": weights, "ws": steps, "wz": np.zeros(4, np.int8), "b": np.array([3, 0, -2, 9], np.int32),
                 "bs": np.array([0.5], np.float32), "s": np.float32(0.1), "z": np.uint8(128), "low": np.float32(0),
                 "high": np.float32(6)}
    nodes = [helper.make_node("DequantizeLinear", ["bytes", "s", "z"], ["x"]),
             helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2]),
             helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
             helper.make_node("DequantizeLinear", ["b", "bs"], ["bf"]),
             helper.make_node("Conv", ["planes", "wf", "bf"], ["c"], strides=[2, 2]),
             helper.make_node("Clip", ["c", "low", "high"], ["r"]),
             helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q"]),
             helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
             helper.make_node("AveragePool", ["d"], ["y"], kernel_shape=[111, 111])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("bytes", onnx.TensorProto.UINT8, [1, 224, 224, 3])],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
                              [onnx.numpy_helper.from_array(np.array(a), name) for name, a in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx")
    return trained.Stored("net.onnx", "AveragePool", *trained.HALF, True), weights * steps.reshape(-1, 1, 1, 1)


def test_weights_are_floats_again_and_nothing_is_rounded(stored, tmp_path):
    which, true = stored
    nodes, weights = trained.body(tmp_path, which)
    assert [node.op_type for node in nodes] == ["Conv", "Clip", "GlobalAveragePool", "Flatten"]
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in weights}
    assert np.allclose(arrays["wf"], true) and arrays["bf"].tolist() == [1.5, 0, -1, 4.5]
    image = np.random.default_rng(1).standard_normal((2, 3, 224, 224)).astype(np.float32)
    head = np.eye(4, 2, dtype=np.float32), np.array([1, 2], np.float32)
    answers = [ort.InferenceSession(trained.write(tmp_path / "out.onnx", nodes, weights, h)).run(None, {"image": image})[0]
               for h in (None, head)]
    assert answers[0].shape == (2, 4) and np.allclose(answers[0][:, :2] + [1, 2], answers[1], atol=1e-5)
