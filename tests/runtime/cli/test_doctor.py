"""`aisle doctor`: sentences on this machine, and on trees of machines that are not here."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aisle.models.bundle import Bundle
from aisle.models.bundle_file import read_bundle, write_bundle_toml
from aisle.models.make.onnx_models import conv_net
from aisle.runtime.backends import BACKENDS, onnx_engine
from aisle.runtime.cli import doctor


@pytest.fixture(scope="module")
def found():
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "doctor", "--json"], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_this_machine_is_told_whole(found):
    code, told = found
    assert code == (1 if told["problems"] else 0)
    assert set(told["backends"]) == set(BACKENDS) and told["machine"]["cores"] >= 1 and told["device"]["name"]
    assert told["memory"].startswith("this configuration needs ") and told["heat"]["says"] and told["threads"]
    assert all("\n" not in line for line in doctor.plain(told).splitlines())


def test_an_unknown_device_is_said():
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "doctor", "--device", "toaster"], capture_output=True,
                          text=True)
    assert done.returncode == 2 and "device.profile: expected one of auto, arm-cpu" in done.stderr


def jetson(root: Path) -> Path:
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    (root / "proc/cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\nFeatures\t: asimd asimddp\n")
    (root / "proc/meminfo").write_text("MemTotal: 1500000 kB\n")
    zone = root / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("tj-thermal\n")
    (zone / "temp").write_text("61000\n")
    (root / "var/lib/nvpmodel").mkdir(parents=True)
    (root / "var/lib/nvpmodel/status").write_text("pmode:0001\n")
    return root


def test_a_jetson_with_little_memory(tmp_path):
    told = doctor.examine(root=jetson(tmp_path))
    assert told["device"]["name"] == "jetson-orin-nano" and told["heat"]["power_mode"] == "pmode:0001"
    assert "61 C now; from 85 C on for 5 s the server does less (variant, then rate), until 75 C" in told["heat"]["says"]
    assert any("prefers tensorrt, which does not work here" in note for note in told["device_notes"])
    assert "INT8 is fast here (asimddp)" in told["arithmetic"]
    assert any("of 1.4 GiB" in problem for problem in told["problems"])


def test_two_packages_of_onnx_runtime_are_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_engine, "installed", lambda name: True)
    assert any("overwrite each other" in problem for problem in doctor.examine(profile="cpu")["problems"])


def test_models_are_told_with_the_way_they_would_go(tmp_path, null_model):
    null_model(tmp_path, "a", "int32", (1,))
    assert doctor.examine(profile="cpu", models=tmp_path)["models"] == {"a": "as null fp32"}


def test_a_folder_that_holds_no_models_is_a_problem(tmp_path):
    assert doctor.examine(profile="cpu", models=tmp_path / "nowhere")["problems"] == [
        f"cannot read the model folder {tmp_path / 'nowhere'}: No such file or directory; name one that exists"]
    assert "holds no models; name the folder in which each model has a folder" in doctor.examine(
        profile="cpu", models=tmp_path)["problems"][0]


def test_a_model_that_would_not_run_is_said_and_a_problem(tmp_path, null_model):
    null_model(tmp_path, "good", "int32", (1,))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "bundle.toml").write_text("x = [")
    null_model(tmp_path, "changed", "int32", (1,))
    bundle = read_bundle(tmp_path / "changed" / "1")
    write_bundle_toml(replace(bundle, sha256=dict.fromkeys(bundle.files.values(), "0" * 64)), bundle.root)
    told = doctor.examine(profile="cpu", models=tmp_path)
    assert told["models"]["good"] == "as null fp32" and "is not TOML" in told["models"]["torn"]
    assert sorted(p.split("'")[1] for p in told["problems"]) == ["changed", "torn"]
    assert any(p.startswith("model 'changed' does not run here: checksum of") for p in told["problems"])


def test_a_bundle_with_files_for_engines_alone_is_run_as_a_server_runs_it(tmp_path):
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "net" / "1"
    conv_net(folder / "model.onnx", 16)
    write_bundle_toml(Bundle("net", "1", "model", folder, files={("tensorrt", "fp32"): "model.onnx"}), folder)
    assert doctor.examine(profile="cpu", models=tmp_path)["models"] == {"net": "as onnx fp32"}


def test_the_text_tells_alike_kernels_together_and_no_clouds(found):
    lines = doctor.plain(found[1] | {"kernels": {"a": "fast", "b": "plain", "c": "fast"},
                                     "providers": ["AzureExecutionProvider", "CPUExecutionProvider"]}).splitlines()
    assert "  fast: a, c" in lines and "  plain: b" in lines and "ONNX Runtime runs models on: CPU" in lines
