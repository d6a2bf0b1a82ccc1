"""Ways of a bundle, each measured in a process of its own: figures, errors against FP32, sentences for what does not work."""

import json
import subprocess
import sys

import numpy as np
import pytest
from aisle.edge_devices.profile import load_profile
from aisle.models.bundle import Bundle, BundleError, TensorSpec
from aisle.models.bundle_file import read_bundle, write_bundle_toml
from aisle.models.make.onnx_models import conv_net
from aisle.runtime.variant_check import check, made_samples, measure, off
from aisle.runtime.ways import Way

CPU = load_profile("cpu")


@pytest.fixture
def null(tmp_path):
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    specs = (TensorSpec("x", "float32", (3, 16, 16)),), (TensorSpec("y", "float32", (3, 16, 16)),)
    (folder / "a").write_bytes(b"")
    write_bundle_toml(Bundle("m", "1", "model", folder, *specs, {("null", "int8"): "a", ("null", "fp32"): "a"}, 4), folder)
    return read_bundle(folder)


def test_every_way_and_batch_has_its_row_fp32_first(null):
    told = []
    rows, missing = check(null, CPU, (1, 4, 8), 0.02, lambda *one: told.append(one))
    assert [(r["way"], r["batch"]) for r in rows] == [("null fp32", 1), ("null fp32", 4), ("null int8", 1), ("null int8", 4)]
    assert missing == {} and told[-1][0] == 4
    for row in rows:
        assert not row["error"] and row["runs"] >= 10 and 0 < row["p50_ms"] <= row["p99_ms"] and row["max_error"] == 0
        assert row["rows_per_s"] > 0 and row["canary"] == "none"


def test_answers_come_back_stacked(null):
    samples = {"x": np.random.default_rng(1).random((3, 1, 3, 16, 16)).astype(np.float32)}
    told, answers = measure(null, Way("null", "fp32", ("null", "fp32")), CPU, 1, 0.01, samples)
    assert not told.error and np.array_equal(answers["y"], samples["x"])


def test_what_does_not_work_is_a_sentence_and_not_a_crash(tmp_path, null):
    write_bundle_toml(Bundle(**{**null.__dict__, "params": {"fail_every": 2}}), null.root)
    told, _ = measure(read_bundle(null.root), Way("null", "fp32", ("null", "fp32")), CPU, 1, 0.01)
    assert "as its param fail_every asks" in told.error
    told, _ = measure(null, Way("null", "fp16", ("null", "fp16")), CPU, 1, 0.01)
    assert "cannot be run as null fp16" in told.error
    told, _ = measure(null, Way("null", "fp32", ("null", "fp32")), CPU, 9, 0.01)
    assert told.error == "its batch is at most 4"


def test_errors_are_shares_of_the_span():
    true = {"y": np.array([0.0, 10.0])}
    assert off({"y": np.array([1.0, 10.0])}, true) == (pytest.approx(0.1), pytest.approx(0.05))
    assert np.isnan(off({}, true)[0])


def test_made_inputs_fit_and_are_the_same_again():
    specs = (TensorSpec("image", "float32", (3, 32, 32)), TensorSpec("ids", "int64", (5,)),
             TensorSpec("free", "float32", (None, 2)))
    bundle = Bundle("m", "1", "model", None, specs, max_batch=4)
    first, second = made_samples(bundle, 2), made_samples(bundle, 2)
    assert {k: (v.shape, v.dtype.name) for k, v in first.items()} == {
        "image": ((2, 1, 3, 32, 32), "float32"), "ids": ((2, 1, 5), "int64"), "free": ((2, 1, 1, 2), "float32")}
    assert all(np.array_equal(first[k], second[k]) for k in first)


def call(*words):
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "model", "check", *map(str, words), "--json"],
                          capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_the_command_keeps_what_it_measured(tmp_path):
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "net" / "1"
    conv_net(folder / "model.onnx", 16)
    write_bundle_toml(Bundle("net", "1", "model", folder, files={("onnx", "fp32"): "model.onnx"}), folder)
    code, told = call(tmp_path / "net", "--device", "cpu", "--seconds", "0.05", "--keep")
    assert code == 0 and [r["way"] for r in told["rows"]] == ["onnx fp32"]
    row = read_bundle(folder).variants[0]
    assert (row.backend, row.precision) == ("onnx", "fp32") and row.p50_ms > 0 and row.p99_ms >= row.p50_ms and row.on


def test_the_command_refuses_with_a_sentence(tmp_path, null):
    assert "is not a folder" in call(tmp_path / "absent")[1]["error"]
    assert "--batch of 1 or more" in call(null.root, "--batch", "0")[1]["error"]
    assert "--batch 999: no run of 'm' takes so many rows; name fewer" in call(null.root, "--batch", "999")[1]["error"]
    code, told = call(null.root, "--device", "toaster")
    assert code == 2 and "toaster" in told["error"]
    (null.root / "a").unlink()
    with pytest.raises(BundleError):
        from aisle.models.bundle import verify
        verify(Bundle(**{**null.__dict__, "sha256": {"a": "0" * 64}}))


def test_a_bundle_with_files_for_engines_alone_is_checked_as_a_server_runs_it(tmp_path):
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "net" / "1"
    conv_net(folder / "model.onnx", 16)
    write_bundle_toml(Bundle("net", "1", "model", folder, files={("tensorrt", "fp32"): "model.onnx"}), folder)
    code, told = call(folder, "--device", "cpu", "--seconds", "0.05", "--keep")
    assert code == 0 and [r["way"] for r in told["rows"]] == ["onnx fp32"] and told["choice"]["why"] == "it is the only one"
    kept = read_bundle(folder)
    assert list(kept.files) == [("tensorrt", "fp32")] and kept.variants[0].backend == "onnx"


def test_a_table_that_cannot_be_written_is_a_sentence(null, monkeypatch, capsys):
    from aisle.models import bundle_file
    from aisle.runtime.cli import main

    def full(bundle, folder):
        raise OSError(28, "No space left on device", str(folder / "bundle.toml"))
    monkeypatch.setattr(bundle_file, "write_bundle_toml", full)
    assert main(["model", "check", str(null.root), "--seconds", "0.05", "--keep"]) == 2
    said = capsys.readouterr().err
    assert "bundle.toml: No space left on device; what was measured cannot be kept" in said and "Traceback" not in said
