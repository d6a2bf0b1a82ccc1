"""The ONNX backend beyond what every backend promises: facts against the file, providers, failures, bfloat16."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import BundleError, TensorSpec
from aisle.runtime.backends import Session, onnx_engine
from aisle.runtime.backends.onnx import DEFAULT_MAX_BATCH, OnnxBackend
from aisle.runtime.errors import Failed, Invalid
from onnx import TensorProto, helper

F = TensorProto.FLOAT


def value(name, shape=(None, 4), kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs, constants=()):
    made = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, list(constants)),
                             opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def relu(shape=(None, 4)):
    return model([helper.make_node("Relu", ["x"], ["y"])], [value("x", shape)], [value("y", shape)])


@pytest.fixture
def opened(onnx_bundle, cache, device):
    def make(proto, **facts):
        backend = OnnxBackend(cache)
        return backend.open(backend.describe(onnx_bundle(proto, **facts)), device)
    return make


def test_rows_that_are_independent_get_a_batch_axis(onnx_bundle, cache):
    got = OnnxBackend(cache).describe(onnx_bundle(relu()))
    assert got.max_batch == DEFAULT_MAX_BATCH and got.inputs == (TensorSpec("x", "float32", (4,)),)


def test_rows_that_look_at_one_another_get_none(onnx_bundle, cache):
    softmax = model([helper.make_node("Softmax", ["x"], ["y"], axis=0)], [value("x")], [value("y")])
    got = OnnxBackend(cache).describe(onnx_bundle(softmax))
    assert got.max_batch == 0 and got.inputs == (TensorSpec("x", "float32", (None, 4)),)


def test_a_fixed_first_dimension_is_not_a_batch(onnx_bundle, cache):
    got = OnnxBackend(cache).describe(onnx_bundle(relu((1, 4))))
    assert got.max_batch == 0 and got.outputs == (TensorSpec("y", "float32", (1, 4)),)


X, Y = TensorSpec("x", "float32", (4,)), TensorSpec("y", "float32", (4,))


@pytest.mark.parametrize(("facts", "said"), [
    ({"inputs": (replace(X, name="z"),)}, "input 'z' is not in the file"),
    ({"inputs": (replace(X, dtype="int32"),)}, "stated as int32, the file has float32"),
    ({"inputs": (replace(X, shape=(5,)),)}, r"stated as \[5\], the file has \[4\] without the batch axis"),
    ({"inputs": (replace(X, shape=(4, 1)),)}, r"stated as \[4, 1\]"),
    ({"outputs": (Y, replace(Y, name="z"))}, "output 'z' is not in the file"),
    ({"inputs": (replace(X, name="z"),), "outputs": (replace(Y, dtype="int8"),)}, "'z'.*int8.*needs input 'x'"),
])
def test_facts_that_differ_from_the_file_are_named(onnx_bundle, cache, facts, said):
    with pytest.raises(BundleError, match=said):
        OnnxBackend(cache).describe(onnx_bundle(relu(), max_batch=4, **facts))


def test_a_batch_that_the_file_does_not_leave_free_is_named(onnx_bundle, cache):
    with pytest.raises(BundleError, match="no free first dimension"):
        OnnxBackend(cache).describe(onnx_bundle(relu((1, 4)), max_batch=4))


def test_stated_facts_are_completed_from_the_file(onnx_bundle, cache):
    labels = replace(Y, shape=(None,), labels=("a", "b"))
    got = OnnxBackend(cache).describe(onnx_bundle(relu(), max_batch=3, outputs=(labels,)))
    assert got.max_batch == 3 and got.inputs == (X,) and got.outputs == (replace(Y, labels=("a", "b")),)


def test_control_inputs_need_not_be_stated(onnx_bundle, cache):
    add = model([helper.make_node("Add", ["x", "START"], ["y"])], [value("x"), value("START")], [value("y")])
    config = {"sequence_batching": {"control_input": [{"name": "START", "control": []}]}}
    got = OnnxBackend(cache).describe(onnx_bundle(add, max_batch=2, inputs=(X,), outputs=(Y,), config=config))
    assert [s.name for s in got.inputs] == ["x", "START"]
    with pytest.raises(BundleError, match="needs input 'START'"):
        OnnxBackend(cache).describe(onnx_bundle(add, max_batch=2, inputs=(X,), outputs=(Y,)))


def test_another_output_shape_than_declared_is_a_sentence_and_no_stray_write(onnx_bundle, cache, device):
    halves = helper.make_tensor("s", TensorProto.INT64, [2], [-1, 2])
    lies = model([helper.make_node("Reshape", ["x", "s"], ["y"])], [value("x")], [value("y", (None, "n"))], [halves])
    bundle = replace(OnnxBackend(cache).describe(onnx_bundle(lies)), max_batch=4, inputs=(X,), outputs=(Y,))
    session = OnnxBackend(cache).open(bundle, device)
    with pytest.raises(Failed, match=r"'m' failed on 2 rows: .* output"):
        session.run(2)


def test_an_input_passed_through_as_an_output_is_there(opened):
    both = model([helper.make_node("Relu", ["x"], ["y"])], [value("x")], [value("x"), value("y")])
    session = opened(both)
    session.row(1)["x"][...] = -2
    session.run(2)
    assert (session.row(1)["x"] == -2).all() and (session.row(1)["y"] == 0).all()


def test_the_same_value_under_two_names_fills_both(opened):
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["y"], ["z"])]
    session = opened(model(nodes, [value("x")], [value("y"), value("z")]))
    session.row(0)["x"][...] = 3
    session.run(1)
    assert (session.row(0)["y"] == 3).all() and (session.row(0)["z"] == 3).all()


def test_initializers_among_the_inputs_are_optional(opened):
    added = model([helper.make_node("Add", ["x", "w"], ["y"])], [value("x"), value("w", (4,))], [value("y")],
                  [helper.make_tensor("w", F, [4], [1, 2, 3, 4])])
    session = opened(added)
    assert not isinstance(session, Session) and [s.optional for s in session.inputs] == [False, True]
    x = np.zeros((2, 4), np.float32)
    assert session.run({"x": x}, ["y"])["y"][1].tolist() == [1, 2, 3, 4]
    assert session.run({"x": x, "w": np.full(4, 9, np.float32)}, ["y"])["y"][0].tolist() == [9, 9, 9, 9]


def test_all_weights_listed_as_inputs_do_not_cost_the_batched_path(opened):
    names = [f"w{i}" for i in range(6)]
    nodes = [helper.make_node("Sum", ["x", *names], ["y"])]
    session = opened(model(nodes, [value("x"), *(value(n, (4,)) for n in names)], [value("y")],
                           [helper.make_tensor(n, F, [4], [1] * 4) for n in names]))
    assert isinstance(session, Session) and [s.name for s in session.inputs] == ["x"]


def test_bfloat16_travels_as_its_bits(opened):
    kind = TensorProto.BFLOAT16
    nodes = [helper.make_node("Cast", ["x"], ["f"], to=F), helper.make_node("Relu", ["f"], ["g"]),
             helper.make_node("Cast", ["g"], ["y"], to=kind)]
    bits = np.array([[0x3F80, 0xBF80, 0x4000, 0x0000]], np.uint16)      # 1, -1, 2, 0
    wanted = [[0x3F80, 0, 0x4000, 0]]
    static = opened(model(nodes, [value("x", (1, 4), kind)], [value("y", (1, 4), kind)]))
    static.row(0)["x"][...] = bits
    static.run(1)
    assert static.row(0)["y"].tolist() == wanted
    free = opened(model(nodes, [value("x", ("n", 4), kind)], [value("y", ("n", 4), kind)]))
    assert free.run({"x": bits}, ["y"])["y"].tolist() == wanted


def test_text_that_is_not_utf8_is_refused(opened):
    same = model([helper.make_node("Identity", ["x"], ["y"])], [value("x", ("n",), TensorProto.STRING)],
                 [value("y", ("n",), TensorProto.STRING)])
    with pytest.raises(Invalid, match="UTF-8"):
        opened(same).run({"x": np.array([b"\xff\xfe"], object)}, [])


def test_a_failing_run_is_a_sentence_and_the_next_one_works(opened):
    table = helper.make_tensor("t", F, [3], [5, 6, 7])
    gather = model([helper.make_node("Gather", ["t", "i"], ["y"])], [value("i", ("n",), TensorProto.INT64)],
                   [value("y", ("n",))], [table])
    session = opened(gather, max_batch=4)
    session.row(0)["i"][...] = 9
    for _ in range(2):
        with pytest.raises(Failed, match="model 'm' failed on 1 row: failed in Gather node"):
            session.run(1)
    session.row(0)["i"][...] = 2
    session.run(1)
    assert session.row(0)["y"] == 7


def test_a_request_for_more_memory_than_the_bound_fails_alone(opened):
    fill = model([helper.make_node("ConstantOfShape", ["s"], ["y"])], [value("s", (None,), TensorProto.INT64)],
                 [value("y", (None, None))])
    session = opened(fill)
    with pytest.raises(Failed, match="memory"):
        session.run({"s": np.array([1 << 20, 1 << 20], np.int64)}, ["y"])
    assert session.run({"s": np.array([2, 3], np.int64)}, ["y"])["y"].shape == (2, 3)


def test_a_provider_that_is_not_there_is_said_and_not_replaced(onnx_bundle, cache):
    backend, bundle = OnnxBackend(cache), onnx_bundle(relu())
    described = backend.describe(bundle)
    with pytest.raises(BundleError, match="'MagicProvider'; known are CPU"):
        backend.open(described, DeviceProfile("odd", threads=1, providers=("MagicProvider",)))
    if "CUDAExecutionProvider" not in onnx_engine.engine().get_available_providers():
        with pytest.raises(BundleError, match=r"was to run on CUDAExecutionProvider, .* can only offer CPUExecutionProvider;"):
            backend.open(described, DeviceProfile("gpu", threads=1, providers=("CUDAExecutionProvider",)))


def test_the_device_chooses_the_precision(onnx_bundle, cache, device):
    bundle = onnx_bundle(relu())
    (bundle.root / "half.onnx").write_bytes(relu((None, 2)).SerializeToString())
    both = replace(bundle, files={("onnx", "fp32"): "model.onnx", ("onnx", "int8"): "half.onnx"},
                   inputs=(replace(X, shape=(2,)),), outputs=(replace(Y, shape=(2,)),), max_batch=2)
    session = OnnxBackend(cache).open(both, device)     # prefers int8
    session.run(1)
    with pytest.raises(BundleError, match="takes"):
        OnnxBackend(cache).open(both, replace(device, precisions=("fp16",)))


def test_the_interpreter_is_free_while_a_model_runs(opened):
    size = 700
    weight = helper.make_tensor("w", F, [size, size], np.zeros(size * size, np.float32).tobytes(), raw=True)
    nodes = [helper.make_node("MatMul", [f"t{i}", "w"], [f"t{i + 1}"]) for i in range(12)]
    session = opened(model(nodes, [value("t0", (size, size))], [value("t12", (size, size))], [weight]))
    worker, steps = threading.Thread(target=session.run, args=(1,)), 0
    worker.start()
    while worker.is_alive():
        steps += 1
    assert steps > 1000     # a held lock leaves this loop a handful of turns


def test_missing_says_how_to_install(monkeypatch):
    assert OnnxBackend().missing() is None
    monkeypatch.setattr(onnx_engine, "find_spec", lambda name: None)
    assert "pip install 'aisle[cpu]'" in OnnxBackend().missing()
