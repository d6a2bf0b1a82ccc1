"""Biases that make every layer right in the mean: in order, once, whatever the graph looks like."""

import numpy as np
import pytest
from aisle.models.make import nets
from aisle.models.make.onnx_proto import node, tensor, value, write

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from aisle.runtime.backends import onnx_bias as module  # noqa: E402
from aisle.runtime.backends.onnx_ranges import watch  # noqa: E402


def feeds(count=6, size=32):
    rng = np.random.default_rng(1)
    return [{"image": rng.standard_normal((1, 3, size, size)).astype(np.float32)} for _ in range(count)]


def layers(path):
    return {n.name or n.output[0]: n for n in onnx.load(path).graph.node if n.op_type == "Conv"}


def named(path):
    """The network with a name for every node."""
    model = onnx.load(path)
    for i, n in enumerate(model.graph.node):
        n.name = f"n{i}"
    onnx.save(model, path)
    return path


def means(path, shown):
    found = layers(path)
    seen = watch(path, shown, [], [n.output[0] for n in found.values()])
    return {name: seen.mean(n.output[0]) for name, n in found.items()}


@pytest.mark.parametrize("kind", nets.KINDS)
def test_biases_that_were_spoiled_are_found_again(tmp_path, kind):
    """Deep networks with sums: each layer is set with those before it set already, so that nothing is taken out twice."""
    path, shown = named(nets.features(tmp_path / "net.onnx", kind, 32, 8)), feeds()
    wanted = means(path, shown)
    model = onnx.load(path)
    true = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    rng = np.random.default_rng(2)
    for t in model.graph.initializer:
        if len(t.dims) == 1:
            t.CopyFrom(onnx.numpy_helper.from_array(true[t.name] + rng.normal(0, 0.3, t.dims).astype(np.float32), t.name))
    onnx.save(model, path)
    module.settle(path, shown, wanted)
    found = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    assert max(np.abs(found[name] - true[name]).max() for name in true) < 1e-3


def test_nodes_in_any_order_and_bodies_of_branches_are_read(tmp_path):
    inner = onnx.helper.make_graph([onnx.helper.make_node("Add", ["outer", "one"], ["sum"])], "then", [],
                                   [onnx.helper.make_empty_tensor_value_info("sum")],
                                   [onnx.numpy_helper.from_array(np.float32([1]), "one")])
    branch = onnx.helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)
    assert module.reads(branch) == {"flag", "outer"}
    path = named(nets.features(tmp_path / "net.onnx", "residual", 32, 8))
    model = onnx.load(path)
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    cut = list(module.pieces(model.graph, layers(path)))
    assert {piece.layer.name for piece in cut} == set(layers(path))
    known = {t.name for t in model.graph.initializer} | {"image"}
    for piece in cut:
        assert piece.nodes[-1] is piece.layer
        for n in piece.nodes:
            assert known.issuperset(n.input)
            known.update(n.output)


def test_nodes_that_wait_for_one_another_are_said(tmp_path):
    model = onnx.load(named(nets.features(tmp_path / "net.onnx", "residual", 32, 8)))
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]
    with pytest.raises(ValueError, match="wait for one another"):
        list(module.pieces(model.graph, {}))


def conv(name, weights, given, made, bias=None, op="Conv", **more):
    return node(op, [given, weights, *([bias] if bias else [])], [made], {"group": 1, **more} if op != "Gemm" else more)


def test_every_layer_gets_a_bias_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "net.onnx", "g", [
        conv("a", "w", "image", "a", "b"), conv("b", "w", "a", "c", "b"), conv("c", "w", "c", "d"),
        conv("d", "t", "d", "e", op="ConvTranspose"), node("GlobalAveragePool", ["e"], ["p"]), node("Flatten", ["p"], ["f"]),
        conv("e", "h", "f", "y", op="Gemm")],
        [value("image", "float32", [1, 3, 8, 8])], [value("y", "float32", [1, 2])],
        [tensor("w", rng.standard_normal((3, 3, 1, 1)).astype(np.float32)), tensor("b", np.float32([1, 2, 3])),
         tensor("t", rng.standard_normal((3, 5, 1, 1)).astype(np.float32)),
         tensor("h", rng.standard_normal((5, 2)).astype(np.float32))])
    model = onnx.load(named(path))
    shown = feeds(2, 8)
    plain = watch(path, shown, ["y"], []).high["y"]
    module.biased(model.graph)
    onnx.save(model, path)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    biases = [n.input[2] for n in model.graph.node if n.op_type in module.SET]
    assert len(set(biases)) == 5 and [stored[name].tolist() for name in biases] == [
        [1, 2, 3], [1, 2, 3], [0, 0, 0], [0] * 5, [0, 0]]
    assert watch(path, shown, ["y"], []).high["y"] == pytest.approx(plain)


def test_a_bias_in_steps_is_moved_by_whole_steps():
    stored = {t.name: t for t in (onnx.numpy_helper.from_array(np.array([5, -7], np.int32), "q"),
                                  onnx.numpy_helper.from_array(np.array([0.5, 0.25], np.float32), "step"))}
    layer = onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"])
    source = onnx.helper.make_node("DequantizeLinear", ["q", "step"], ["b"])
    added = module.shifted(layer, np.array([1.1, -0.3]), stored, {"b": source})
    assert added.tolist() == [1.0, -0.25] and onnx.numpy_helper.to_array(stored["q"]).tolist() == [7, -8]
