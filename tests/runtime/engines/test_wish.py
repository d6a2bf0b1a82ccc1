"""Which engine a bundle should have: the device's order decides, and everything that makes another engine is in its key."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.runtime.config import EnginesConfig
from aisle.runtime.engine_keeper import EngineKeeper
from aisle.runtime.engine_wish import Refused, wish_of
from aisle.runtime.engines.cycle import Stage
from aisle.runtime.engines.wish import Wish, without_engines

DEVICE = DeviceProfile("test", backends=("fake", "onnx"), precisions=("int8", "fp32"), threads=1)


def with_files(bundle, *files):
    for _, precision, path in files:
        (bundle.root / path).write_bytes((bundle.root / "m.onnx").read_bytes() + precision.encode()[:0])
    return replace(bundle, files={(b, p): path for b, p, path in files}, sha256={})


def test_the_device_s_order_decides(bundle, orders):
    assert isinstance(wish_of(bundle, DEVICE), Wish)
    assert wish_of(bundle, replace(DEVICE, backends=("onnx", "fake"))) is None
    assert wish_of(bundle, replace(DEVICE, backends=("onnx",))) is None


def test_without_the_library_there_is_nothing_to_wish(bundle, orders):
    orders(missing="it is not installed")
    assert wish_of(bundle, DEVICE) is None


def test_a_file_of_its_own_comes_before_the_plain_one(bundle, orders):
    both = with_files(bundle, ("onnx", "fp32", "m.onnx"), ("fake", "int8", "own.onnx"))
    assert (wish_of(both, DEVICE).precision, wish_of(both, DEVICE).source) == ("int8", "own.onnx")
    plain = wish_of(both, replace(DEVICE, precisions=("fp32",)))
    assert (plain.precision, plain.source) == ("fp32", "m.onnx")


def test_who_refuses_says_why_and_the_next_way_is_gone(bundle, orders):
    orders(refuses="it has strings")
    assert wish_of(bundle, DEVICE) == Refused("fake", "it has strings")


def test_a_file_that_cannot_be_read_is_refused_with_its_sentence(bundle, orders):
    (bundle.root / "m.onnx").write_bytes(b"nonsense")
    found = wish_of(replace(bundle, sha256={}), DEVICE)
    assert isinstance(found, Refused) and "m.onnx" in found.reason


@pytest.mark.parametrize("change", [
    lambda b, o: o(version="2"),
    lambda b, o: (b.root / "m.onnx").write_bytes((b.root / "m.onnx").read_bytes() + b"\x2a\x00"),
])
def test_what_makes_another_engine_makes_another_key(bundle, orders, change):
    plain = replace(bundle, sha256={})
    before = wish_of(plain, DEVICE).key.digest
    assert wish_of(plain, DEVICE).key.digest == before
    change(plain, orders)
    assert wish_of(plain, DEVICE).key.digest != before


def test_more_rows_are_another_engine_and_another_version_of_the_bundle_is_not(bundle, orders):
    key = wish_of(bundle, DEVICE).key
    assert wish_of(replace(bundle, max_batch=2), DEVICE).key.digest != key.digest
    assert wish_of(replace(bundle, name="other", version="7"), DEVICE).key.digest == key.digest
    assert [list(p["x"]) for p in key.profiles] == [[(1, 4)] * 3, [(1, 4), (4, 4), (4, 4)]]


def test_weights_outside_the_file_count(bundle, orders):
    weight = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    x, y = (onnx.helper.make_tensor_value_info(name, 1, ["n", 4]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, bundle.root / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    plain = replace(bundle, sha256={})
    before = wish_of(plain, DEVICE).key
    assert before.weights
    data = bytearray((bundle.root / "w.bin").read_bytes())
    data[0] ^= 1
    (bundle.root / "w.bin").write_bytes(data)
    after = wish_of(plain, DEVICE).key
    assert after.model == before.model and after.digest != before.digest


def test_what_serves_meanwhile_knows_no_engines(bundle, orders):
    both = with_files(bundle, ("onnx", "fp32", "m.onnx"), ("fake", "int8", "own.onnx"))
    served, device = without_engines(both, DEVICE)
    assert served.files == {("onnx", "fp32"): "m.onnx"} and device.backends == ("onnx",)
    only, device = without_engines(replace(both, files={("fake", "int8"): "own.onnx"}), replace(DEVICE, backends=("fake",)))
    assert only.files == {("onnx", "int8"): "own.onnx"} and device.backends == ("onnx",)


def test_other_variants_stay_behind_the_engine_where_they_are_asked_for(bundle, orders, tmp_path):
    keeper = EngineKeeper(EnginesConfig(path=str(tmp_path / "engines")), DEVICE)
    first = keeper.open(bundle, every=True)
    assert [rung.way.name for rung in first.rungs] == ["onnx fp32"] and first.cycle.stage is Stage.WAITING
    made = keeper._advance(first.cycle)
    assert [rung.way.name for rung in made.rungs] == ["fake fp32", "onnx fp32"]
    again = keeper.open(bundle)
    assert [rung.way.name for rung in again.rungs] == ["fake fp32"]
    for opened in (first, made, again):
        opened.close()


def test_a_bundle_without_a_network_wishes_for_none(bundle, orders, tmp_path):
    assert wish_of(replace(bundle, files={}), DEVICE) is None
