"""ONNX files that are damaged or made to do harm: a sentence each, and the process that asked lives on."""

import os
import signal
import stat

import numpy as np
import onnx
import pytest
from aisle.models.bundle import BundleError
from aisle.runtime.backends import onnx_facts, onnx_file
from aisle.runtime.backends.onnx import OnnxBackend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

F = TensorProto.FLOAT


def value(name, shape=(None, 4), kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def relu():
    return model([helper.make_node("Relu", ["x"], ["y"])], [value("x")], [value("y")])


def refused(bundle, cache, said):
    with pytest.raises(BundleError, match=said) as caught:
        OnnxBackend(cache).describe(bundle)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 700 and "onnxruntime_src" not in sentence
    return sentence


@pytest.mark.parametrize(("data", "said"), [
    (b"", "is empty"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    (b"<html>404 Not Found</html>", "not an ONNX model"),
    (b"\x08", "ends within a number"),
    (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than 64 bits"),
    (b"\x3a\xff\xff\xff\xff\x0f", "announces"),
    (b"\x08\x08", "no graph"),
    (b"\x00\x01", "field number 0"),
    (b"\x3b", "wire type 3"),
])
def test_what_is_no_model_is_named(onnx_bundle, cache, data, said):
    refused(onnx_bundle(data), cache, said)


def test_a_missing_file_is_named(onnx_bundle, cache):
    bundle = onnx_bundle(b"x")
    (bundle.root / "model.onnx").unlink()
    refused(bundle, cache, "cannot read")


def test_a_truncated_model_is_refused_wherever_it_is_cut(onnx_bundle, cache):
    whole = relu().SerializeToString()
    for cut in range(4, len(whole) - 8, 17):
        refused(onnx_bundle(whole[:cut]), cache, "damaged|no graph|cannot be loaded")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_walk_survives_any_damage(tmp_path, data):
    whole = bytearray(relu().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(whole)
    try:
        onnx_file.look_into(path, "the file")
    except BundleError as error:
        assert str(error).startswith("the file")


def test_a_cycle_is_refused(onnx_bundle, cache):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Relu", ["b"], ["y"])]
    refused(onnx_bundle(model(nodes, [value("x")], [value("y")])), cache, "cannot be loaded")


def weights_at(location):
    weight = TensorProto(name="w", data_type=F, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    weight.external_data.add(key="length", value="16")
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [value("x")], [value("y")], [weight])


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "..\\secret.bin", "",
                                      "link.bin", "linked/secret.bin", "here/../w.bin"])
def test_weights_outside_the_bundle_are_not_read(onnx_bundle, cache, tmp_path, location):
    bundle = onnx_bundle(weights_at(location))
    outside = tmp_path.parent / "secret.bin"
    outside.write_bytes(bytes(16))
    (tmp_path / "link.bin").symlink_to(outside)
    (tmp_path / "linked").symlink_to(tmp_path.parent)
    refused(bundle, cache, "outside its folder|only a relative path")


def test_weights_hidden_in_a_subgraph_attribute_are_found_too(onnx_bundle, cache, tmp_path):
    inner = weights_at("../secret.bin").graph
    inner.ClearField("input")
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    (tmp_path.parent / "secret.bin").write_bytes(bytes(16))
    refused(onnx_bundle(model([node], [value("c", (), TensorProto.BOOL), value("x")], [value("y")])), cache,
            "outside its folder")


def test_weights_beside_the_model_are_read_and_a_change_is_noticed(onnx_bundle, cache, device, tmp_path):
    bundle = onnx_bundle(weights_at("w.bin"))
    refused(bundle, cache, "not there")
    (tmp_path / "w.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    backend = OnnxBackend(cache)
    session = backend.open(backend.describe(bundle), device)
    session.row(0)["x"][...] = 1
    session.run(1)
    assert list(session.row(0)["y"]) == [1, 2, 3, 4]
    (tmp_path / "w.bin").write_bytes(b"")
    refused(bundle, cache, "cannot be loaded")


def test_a_tiny_file_that_declares_terabytes_is_refused_unread(onnx_bundle, cache):
    huge = TensorProto(name="w", data_type=F, dims=[1 << 20, 1 << 20])
    bundle = onnx_bundle(model([helper.make_node("Add", ["x", "w"], ["y"])], [value("x")], [value("y")], [huge]))
    refused(bundle, cache, "declares 4,398,046,511,104 bytes")
    overflow = TensorProto(name="w", data_type=F, dims=[1 << 40, 1 << 40])
    refused(onnx_bundle(model([helper.make_node("Add", ["x", "w"], ["y"])], [value("x")], [value("y")], [overflow])),
            cache, "2\\^62")


def test_a_constant_that_grows_to_terabytes_dies_in_the_trial(onnx_bundle, cache):
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [1 << 20, 1 << 20])
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["big"]), helper.make_node("ReduceSum", ["big"], ["one"]),
             helper.make_node("Add", ["x", "one"], ["y"])]
    refused(onnx_bundle(model(nodes, [value("x")], [value("y")], [shape])), cache, "memory")


def test_deep_subgraphs_are_refused_before_any_engine_sees_them(onnx_bundle, cache):
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "leaf", [], [value("y")])
    for i in range(20):
        node = helper.make_node("Loop", ["n", "c"], ["y"], body=branch)
        branch = helper.make_graph([node], f"g{i}", [], [value("y")])
    made = model([helper.make_node("Loop", ["n", "c"], ["y"], body=branch)], [value("x")], [value("y")])
    refused(onnx_bundle(made), cache, "nested deeper than")


def test_a_file_over_the_limit_is_refused_unread(onnx_bundle, cache):
    bundle = onnx_bundle(relu())
    with (bundle.root / "model.onnx").open("r+b") as file:
        file.truncate(onnx_file.MAX_FILE_BYTES + 1)     # sparse: takes no disk
    refused(bundle, cache, "the limit for a model")


@pytest.mark.parametrize(("sent", "said"), [(signal.SIGSEGV, "crashed \\(SIGSEGV\\)"), (signal.SIGKILL, "killed")])
def test_a_trial_that_dies_is_a_sentence(onnx_bundle, tmp_path, monkeypatch, sent, said):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\nkill -{int(sent)} $$\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(onnx_facts.sys, "executable", os.fspath(fake))
    refused(onnx_bundle(relu()), tmp_path / "own", said)


def test_a_trial_that_never_ends_is_a_sentence(onnx_bundle, tmp_path, monkeypatch):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(onnx_facts.sys, "executable", os.fspath(fake))
    monkeypatch.setattr(onnx_facts, "PROBE_SECONDS", 0.2)
    refused(onnx_bundle(relu()), tmp_path / "own", "not loaded within")


def test_facts_are_remembered_and_a_changed_file_is_tried_again(onnx_bundle, tmp_path, monkeypatch):
    own = tmp_path / "own"
    first = OnnxBackend(own).describe(onnx_bundle(relu()))
    monkeypatch.setattr(onnx_facts, "_probe", lambda *_: pytest.fail("tried again"))
    assert OnnxBackend(own).describe(onnx_bundle(relu())) == first
    with pytest.raises(pytest.fail.Exception, match="tried again"):
        OnnxBackend(own).describe(onnx_bundle(model([helper.make_node("Abs", ["x"], ["y"])], [value("x")],
                                                    [value("y")])))


@pytest.mark.parametrize("spoil", [b"{", b"[]", b"\xff\xfe", b'{"x": 3}', b'{"1": {"facts": []}}'])
def test_a_spoiled_memory_costs_a_trial_and_nothing_else(onnx_bundle, tmp_path, spoil):
    own = tmp_path / "own"
    bundle = onnx_bundle(relu())
    first = OnnxBackend(own).describe(bundle)
    (own / "onnx_facts.json").write_bytes(spoil)
    assert OnnxBackend(own).describe(bundle) == first


def test_a_memory_that_cannot_be_written_is_said_and_survived(onnx_bundle, tmp_path, caplog):
    (tmp_path / "own").write_text("a file where a folder should be")
    assert OnnxBackend(tmp_path / "own").describe(onnx_bundle(relu())).max_batch == 8
    assert "each start tries every model anew" in caplog.text


def test_the_memory_is_bounded(onnx_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_facts, "MAX_ENTRIES", 2)
    for name in ("Relu", "Abs", "Neg", "Exp"):
        OnnxBackend(tmp_path / "own").describe(
            onnx_bundle(model([helper.make_node(name, ["x"], ["y"])], [value("x")], [value("y")])))
    assert (tmp_path / "own" / "onnx_facts.json").read_text().count('"batches"') == 2


def test_names_of_any_kind_work(onnx_bundle, cache, device):
    odd = "ż 大/\"quoted\"\n "
    made = model([helper.make_node("Relu", [odd], ["y y"])], [value(odd)], [value("y y")])
    onnx.checker.check_model(made)
    backend = OnnxBackend(cache)
    session = backend.open(backend.describe(onnx_bundle(made)), device)
    session.row(0)[odd][...] = -1
    session.run(1)
    assert (session.row(0)["y y"] == 0).all()
