"""Quantising a bundle on disk: a new version that serves, and a sentence and nothing left for everything that is wrong."""

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle, BundleError, TensorSpec, Variant, verify
from aisle.models.bundle_file import read_bundle, write_bundle_toml
from aisle.models.make import nets
from aisle.models.make.onnx_models import conv_net, identity
from aisle.runtime import quantizing
from aisle.runtime.errors import Invalid
from aisle.runtime.examples import make_example, write_pictures
from aisle.runtime.loading import open_bundle
from aisle.runtime.pictures import encode_png
from aisle.runtime.quantizing import find_bundle, quantize_bundle, table

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A small classifier and pictures; tests copy it."""
    folder = tmp_path_factory.mktemp("shop")
    make_example(folder / "models", "sorter", "residual", 64, width=8, learnt=12)
    write_pictures(folder / "pictures", 4)
    return folder


@pytest.fixture
def sorter(shop, tmp_path):
    shutil.copytree(shop / "models", tmp_path / "models")
    return tmp_path / "models" / "sorter"


@pytest.fixture(scope="module")
def made(shop, tmp_path_factory):
    """The sorter, quantised."""
    root = tmp_path_factory.mktemp("made")
    shutil.copytree(shop / "models", root / "models")
    return quantize_bundle(root / "models" / "sorter", shop / "pictures", bound=0.5, half=True), root / "models"


def test_the_new_version_holds_both_files_and_says_what_was_measured(made):
    told, models = made
    bundle = read_bundle(models / "sorter" / "2")
    verify(bundle)
    assert bundle.files == {("onnx", "fp32"): "model.onnx", ("onnx", "int8"): "model.cpu.onnx",
                            ("tensorrt", "int8"): "model.trt.onnx", ("tensorrt", "fp16"): "model.fp16.onnx"}
    rows = {(v.backend, v.precision): v for v in bundle.variants}
    assert rows["onnx", "int8"].agreement >= 0.5 and rows["onnx", "int8"].p50_ms > 0
    assert rows["tensorrt", "int8"].p50_ms is None and rows["onnx", "fp32"].agreement == 1
    told_there = bundle.params["quantized"]
    assert told_there["from_version"] == "1" and bundle.params["picture"]["height"] == 64
    assert told_there["ranges"] == told.result.ranges and told_there["looks_at_held_out"] == told.result.looks >= 1
    assert told_there["head_in_float"] == list(told.result.head) and len(told.result.head) == 1
    assert set(told.bytes) == set(bundle.files.values()) and told.as_json()["ratio"] > 0
    assert read_bundle(models / "sorter" / "1").files == {("onnx", "fp32"): "model.onnx"}


def test_the_server_opens_it_and_prefers_int8(made, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    opened = open_bundle(read_bundle(made[1] / "sorter" / "2"), DeviceProfile("d", threads=1), every=True)
    assert [rung.way.name for rung in opened.rungs] == ["onnx int8", "onnx fp32"]
    answers = []
    for rung in opened.rungs:
        row = rung.sessions[0].row(0)
        row["image"][...] = np.random.default_rng(1).standard_normal(row["image"].shape)
        rung.sessions[0].run(1)
        answers.append(row["scores"].copy())
    opened.close()
    assert 0 < np.abs(answers[0] - answers[1]).max() < 0.5 * np.ptp(answers[1]) + 0.5


def kinds_of(path):
    """(kinds of zero points by operator, types of convolutions' biases) of a quantised file."""
    import onnx
    graph = onnx.load(path).graph
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    activations = {(stored[n.input[2]].dtype.name, bool(stored[n.input[2]].any())) for n in graph.node
                   if n.op_type == "QuantizeLinear" and len(n.input) > 2}
    biases = {n.input[2] in stored for n in graph.node if n.op_type == "Conv" and len(n.input) > 2}
    channels = any(stored[n.input[1]].ndim == 1 for n in graph.node
                   if n.op_type == "DequantizeLinear" and n.input[0] in stored)
    return activations, biases, channels


def test_the_cpus_file_is_unsigned_and_tensorrts_symmetric_with_float_bias(made):
    activations, _, channels = kinds_of(made[1] / "sorter" / "2" / "model.cpu.onnx")
    assert {kind for kind, _ in activations} == {"uint8"} and channels
    activations, biases, channels = kinds_of(made[1] / "sorter" / "2" / "model.trt.onnx")
    assert activations == {("int8", False)} and biases == {True} and channels


def test_a_quantised_version_can_be_the_source_of_the_next(made, shop, tmp_path):
    shutil.copytree(made[1], tmp_path / "models")
    again = quantize_bundle(tmp_path / "models" / "sorter" / "2", shop / "pictures", bound=0.5)
    assert again.version == "3" and set(read_bundle(tmp_path / "models/sorter/3").files) >= {("onnx", "int8")}


# ---- what is wrong gets a sentence, and leaves nothing

def refused(sorter, calibrate, match, kind=(Invalid, BundleError), **options):
    before = sorted(p.name for p in sorter.iterdir())
    with pytest.raises(kind, match=match):
        quantize_bundle(sorter, calibrate, **options)
    assert sorted(p.name for p in sorter.iterdir()) == before


def test_no_pictures(sorter, tmp_path):
    (tmp_path / "none").mkdir()
    refused(sorter, tmp_path / "none", r"holds no pictures and no .npz files .*\(0 other")
    (tmp_path / "none" / "notes.txt").write_text("hello")
    refused(sorter, tmp_path / "none", r"\(1 other files\)")
    refused(sorter, tmp_path / "absent", "is not a folder")


def test_files_that_are_not_pictures(sorter, shop, tmp_path):
    shutil.copytree(shop / "pictures", tmp_path / "p")
    (tmp_path / "p" / "a.png").write_bytes(b"not a picture")
    refused(sorter, tmp_path / "p", r"picture a.png: ")
    whole = next((shop / "pictures").iterdir()).read_bytes()
    (tmp_path / "p" / "a.png").write_bytes(whole[:len(whole) // 2])
    refused(sorter, tmp_path / "p", r"picture a.png: ")


def test_one_picture_again_and_again(sorter, tmp_path):
    (tmp_path / "p").mkdir()
    for i in range(12):
        (tmp_path / "p" / f"{i}.png").write_bytes(encode_png(nets.texture("dots", 1)))
    refused(sorter, tmp_path / "p", "all 12 samples are the same")


def test_a_bound_that_cannot_be_held(sorter, shop, monkeypatch):
    monkeypatch.setattr("aisle.models.quantize.Truth.compare", lambda self, run, samples: (0.5, 0.1))
    refused(sorter, shop / "pictures", "INT8 is refused.*at best 50.00%")


def test_a_full_disk_leaves_nothing(sorter, shop, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(shutil, "copyfile", full)
    refused(sorter, shop / "pictures", "No space", OSError, bound=0.9)


def test_a_truncated_model(sorter, shop):
    data = (sorter / "1" / "model.onnx").read_bytes()
    (sorter / "1" / "model.onnx").write_bytes(data[:len(data) // 2])
    refused(sorter, shop / "pictures", "checksum of 'model.onnx'")
    bundle = read_bundle(sorter / "1")
    write_bundle_toml(replace(bundle, sha256={}), sorter / "1")
    refused(sorter, shop / "pictures", "damaged|cannot be loaded")


def plain_bundle(folder, file, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle_toml(Bundle(folder.parent.name, "1", "model", folder, files={("onnx", "fp32"): file.name}, **facts), folder)
    return folder.parent


def test_a_model_that_int8_cannot_help(tmp_path, shop):
    model = plain_bundle(tmp_path / "m" / "1", identity(tmp_path / "m" / "1" / "model.onnx", (3, 8, 8), input_name="image"),
                         params={"picture": {"input": "image", "height": 8, "width": 8}}, outputs=())
    refused(model, shop / "pictures", "no output that is a row of scores")


def test_a_model_that_says_nothing_of_pictures(tmp_path, shop):
    model = plain_bundle(tmp_path / "m" / "1", conv_net(tmp_path / "m" / "1" / "model.onnx", 16))
    refused(model, shop / "pictures", r"add `picture` to \[params\]")


@pytest.mark.parametrize(("table", "said"), [
    ({"input": "image", "height": 16, "width": 16, "layout": "CHW"}, "layout NCHW or NHWC"),
    ({"input": "image", "height": 16, "width": 16, "colour": 1}, "its keys are input"),
    ({"input": "image", "height": 8, "width": 16}, "describes input 'image' as float32"),
    ({"input": "other", "height": 16, "width": 16}, "describes input 'other'"),
])
def test_a_table_of_pictures_that_is_wrong(tmp_path, shop, table, said):
    model = plain_bundle(tmp_path / "m" / "1", conv_net(tmp_path / "m" / "1" / "model.onnx", 16), params={"picture": table})
    refused(model, shop / "pictures", said)


def test_a_file_that_is_quantised_already(made, shop, tmp_path):
    folder = tmp_path / "q" / "1"
    folder.mkdir(parents=True)
    shutil.copy(made[1] / "sorter" / "2" / "model.cpu.onnx", folder / "model.onnx")
    model = plain_bundle(folder, folder / "model.onnx", params={"picture": {"input": "image", "height": 64, "width": 64}})
    refused(model, shop / "pictures", "quantised already")


def test_stored_inputs_serve_where_there_are_no_pictures(tmp_path):
    model = plain_bundle(tmp_path / "m" / "1", conv_net(tmp_path / "m" / "1" / "model.onnx", 16))
    (tmp_path / "c").mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        np.savez(tmp_path / "c" / f"{i:02d}.npz", image=rng.standard_normal((1, 3, 16, 16)).astype(np.float32))
    made = quantize_bundle(model, tmp_path / "c", bound=0.5)
    assert made.result.kept["cpu"].samples == 8
    np.savez(tmp_path / "c" / "00.npz", image=np.zeros((1, 3, 16, 15), np.float32))
    refused(model, tmp_path / "c", r"00.npz: expected 'image' float32 \[-1, 3, 16, 16\], got float32 \[1, 3, 16, 15\]")
    (tmp_path / "c" / "00.npz").write_bytes(b"PK\x03\x04 torn")
    refused(model, tmp_path / "c", "00.npz cannot be read")
    (tmp_path / "c" / "00.npz").write_bytes(b"garbage")
    refused(model, tmp_path / "c", r"00.npz cannot be read as an .npz file of arrays \(it is none, or holds Python objects\)")


def test_bundles_are_found_by_model_and_by_version(sorter):
    for path in (sorter, sorter / "1"):
        bundle, root = find_bundle(path)
        assert (bundle.name, bundle.version, root) == ("sorter", "1", sorter.parent)
    with pytest.raises(BundleError, match="is not a folder"):
        find_bundle(sorter / "9")


def test_the_command_says_it_in_json(sorter, shop):
    def call(*words):
        done = subprocess.run([sys.executable, "-m", "aisle.runtime", "model", "quantize", str(sorter), *words, "--json"],
                              capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout)
    code, told = call("--calibrate", str(shop / "pictures"), "--agree", "0.5")
    assert code == 0 and told["version"] == "2" and told["result"]["kept"]["cpu"]["samples"] == 11
    code, told = call("--calibrate", str(shop))
    assert code == 2 and "holds no pictures" in told["error"]
    assert call("--calibrate", str(shop), "--agree", "2")[0] == 2


def test_without_the_packages_it_says_what_to_install(sorter, shop, monkeypatch):
    monkeypatch.setattr(quantizing, "missing", lambda: "quantising needs the package onnx")
    refused(sorter, shop / "pictures", "needs the package onnx")


def test_a_spec_of_another_shape_is_no_score():
    from aisle.models.calibrate import top_one
    with pytest.raises(BundleError, match="row of scores"):
        top_one(Bundle("m", "1", "model", None, outputs=(TensorSpec("y", "float32", (4, 4)),), max_batch=2))


@pytest.fixture
def coarse(monkeypatch):
    """A grid of few cells and few spoiled pictures: teaching takes a moment."""
    from aisle.models.inspect import select, teach
    monkeypatch.setattr(teach, "CELLS", 96)
    monkeypatch.setattr(select, "SPOILED", 6)


def test_a_station_with_a_network_is_judged_by_its_verdicts(tmp_path, coarse):
    from aisle.models.inspect.network import Network
    from aisle.models.inspect.recipe import Backbone
    from aisle.models.inspect.teach import teach
    from aisle.models.make import parts
    from aisle.runtime.backends import make_backend
    net = conv_net(tmp_path / "net.onnx", 64)
    backend = make_backend("onnx")
    plain = Bundle("net", "1", "model", tmp_path, files={("onnx", "fp32"): "net.onnx"})
    session = backend.open(backend.describe(plain), DeviceProfile("d", threads=1))

    def run(batch):
        session.row(0)["image"][...] = batch[0]
        session.run(1)
        return {"features": session.row(0)["features"][None].copy()}
    small = [np.ascontiguousarray(parts.good(i)[::4, ::4]) for i in range(12)]
    bad = [np.ascontiguousarray(parts.defective(i, "missing_hole")[0][::4, ::4]) for i in range(12, 24)]
    network = Network(net, Backbone("image", ("features",), 64, 64), run)
    teach("flange", small, out_dir=tmp_path / "stations", version="1", backbone=network)
    (tmp_path / "seen").mkdir()
    for i, picture in enumerate([*small, *bad]):
        (tmp_path / "seen" / f"{i:02d}.png").write_bytes(encode_png(picture))
    made = quantize_bundle(tmp_path / "stations" / "flange", tmp_path / "seen", bound=0.8)
    assert made.version == "2" and made.result.kept["cpu"].samples == 8
    untimed = replace(read_bundle(tmp_path / "stations" / "flange" / "2"), variants=())     # INT8 may be the slower one here
    opened = open_bundle(untimed, DeviceProfile("d", threads=1))
    assert opened.job == "inspect" and opened.precision == "int8" and opened.asset.backbone.taps == ("features",)
    opened.close()
    (tmp_path / "seen" / "99.png").write_bytes(encode_png(small[0][:-1]))
    refused(tmp_path / "stations" / "flange", tmp_path / "seen", "picture 99.png: expected a picture of 160 x 120")


def test_a_station_without_a_network_has_nothing_to_quantise(tmp_path, coarse):
    from aisle.runtime.teaching import teach_station
    (tmp_path / "good").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        picture = nets.texture("checks", 5, 96) // 2 + rng.integers(0, 9, (96, 96, 3), np.uint8)
        (tmp_path / "good" / f"{i}.png").write_bytes(encode_png(picture))
    teach_station("plain", sorted((tmp_path / "good").iterdir()), [], tmp_path / "stations")
    refused(tmp_path / "stations" / "plain", tmp_path / "good", "has no ONNX file in FP32 to begin with; it has no model files")


def test_the_table_forgets_what_the_old_int8_file_did(tmp_path):
    had = tuple(Variant(backend, precision, "this CPU", 1.0) for backend, precision in
                (("openvino", "int8"), ("openvino", "bf16"), ("onnx", "small"), ("onnx", "int8")))
    bundle = Bundle("net", "1", "model", tmp_path, (), (), {}, variants=had)
    judged = SimpleNamespace(agreement=1.0, max_error=0.0, mean_error=0.0)
    rows = table(bundle, SimpleNamespace(kept={"cpu": judged}), (2.0, 1.0))
    assert [(v.backend, v.precision) for v in rows] == [("openvino", "bf16"), ("onnx", "small"), ("onnx", "fp32"),
                                                        ("onnx", "int8")]
