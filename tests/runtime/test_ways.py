"""Which file a device runs by which backend: the profile's order, files under other kinds, what must not be run."""

from pathlib import Path

import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, BundleError, Variant
from aisle.runtime import ways as module
from aisle.runtime.ways import Way, file_for, narrowed, usable, ways


def bundle(*keys: tuple[str, str], variants: tuple[Variant, ...] = ()) -> Bundle:
    return Bundle("m", "1", "model", Path("."), files={key: f"{'-'.join(key)}.onnx" for key in keys}, variants=variants)


def names(found: list[Way]) -> list[str]:
    return [way.name for way in found]


FULL = (("onnx", "fp32"), ("onnx", "int8"), ("tensorrt", "int8"))


def test_backends_and_precisions_come_in_the_devices_order():
    device = DeviceProfile("d", backends=("openvino", "onnx"), precisions=("int8", "bf16", "fp32"))
    assert names(ways(bundle(*FULL), device))[:5] == [
        "openvino int8", "openvino bf16", "openvino fp32", "onnx int8", "onnx fp32",
    ]


def test_what_the_device_does_not_name_comes_last(monkeypatch):
    monkeypatch.setattr(module, "BACKENDS", {"onnx": ""})
    device = DeviceProfile("d", backends=("onnx",), precisions=("fp32",))
    assert names(ways(bundle(*FULL), device)) == ["onnx fp32", "onnx int8"]


def test_tensorrt_gets_its_own_int8_and_never_the_cpus():
    assert file_for(bundle(*FULL), "tensorrt", "int8") == ("tensorrt", "int8")
    assert file_for(bundle(("onnx", "int8")), "tensorrt", "int8") is None
    assert file_for(bundle(("onnx", "fp32")), "tensorrt", "fp32") == ("onnx", "fp32")


def test_bf16_runs_the_fp32_file_and_the_backend_is_told():
    device = DeviceProfile("d", backends=("openvino",), precisions=("bf16",))
    way = ways(bundle(("onnx", "fp32")), device)[0]
    assert way == Way("openvino", "bf16", ("onnx", "fp32"))
    assert narrowed(bundle(("onnx", "fp32")), way).files == {("openvino", "bf16"): "onnx-fp32.onnx"}


def test_a_way_knows_what_was_measured_of_it():
    row = Variant("onnx", "int8", p50_ms=2.0)
    found = ways(bundle(*FULL, variants=(row,)), DeviceProfile("d"))
    assert found[0].measured is row and found[1].measured is None


def test_a_backend_that_is_missing_is_passed_over_with_its_reason(monkeypatch):
    class Gone:
        def missing(self):
            return "it is gone."

    class There:
        def missing(self):
            return None

    monkeypatch.setattr(module, "make_backend", lambda name: There() if name == "onnx" else Gone())
    device = DeviceProfile("d", backends=("openvino", "onnx"))
    kept, missing = usable(bundle(*FULL), device)
    assert names(kept) == ["onnx int8", "onnx fp32"] and missing["openvino"] == "it is gone."
    with pytest.raises(BundleError, match="it is gone"):
        usable(bundle(("openvino", "int8")), device)


def test_a_model_that_states_no_batch_gets_no_more_rows_than_the_device_takes(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    from aisle.models.make.onnx_models import identity
    from aisle.runtime.loading import open_bundle
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    identity(tmp_path / "a.onnx", (4,))
    plain = Bundle("m", "1", "model", tmp_path, files={("onnx", "fp32"): "a.onnx"})
    for most, rows in ((2, 2), (64, 8)):
        opened = open_bundle(plain, DeviceProfile("d", max_batch=most, threads=1))
        assert opened.bundle.max_batch == opened.sessions[0].capacity == rows
        opened.close()
