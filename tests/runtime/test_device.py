"""Which profile counts, and whether a configuration fits the memory: sentences, and a refusal that can be overruled."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aisle.edge_devices.probe import probe
from aisle.edge_devices.profile import DeviceProfile, load_profile
from aisle.models.bundle import Bundle, QueuePolicy, TensorSpec, Variant
from aisle.runtime import device as module
from aisle.runtime.config import Config, DeviceConfig
from aisle.runtime.device import bundles_in, choose_device, fits, model_mb, needs
from aisle.runtime.errors import Busy
from aisle.runtime.heat import HeatKeeper
from aisle.runtime.shares import Member, Shares

MACHINE = probe()


def config(**device) -> Config:
    return replace(Config(), device=DeviceConfig(**device))


def test_a_named_profile_is_taken_as_it_is():
    device, said = choose_device(config(profile="jetson-agx-orin", threads=3, memory_mb=2048))
    assert (device.name, device.threads, device.memory_mb, device.providers[0]) == ("jetson-agx-orin", 3, 2048,
                                                                                   "CUDAExecutionProvider")
    assert "the configuration says so" in said[0]


def test_a_gpu_that_the_installed_runtime_cannot_use_is_said(tmp_path, monkeypatch):
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text("NVRM version: 580\n")

    class Engine:
        @staticmethod
        def get_available_providers():
            return ["CPUExecutionProvider"]
    monkeypatch.setattr(module.onnx_engine, "engine", lambda: Engine)
    device, said = choose_device(config(), tmp_path)
    assert device.name == "gpu-host" and device.providers == ("CPUExecutionProvider",)
    assert "has no CUDAExecutionProvider, so that models run on CPUExecutionProvider" in said[1]


def test_two_packages_of_onnx_runtime_are_said(monkeypatch):
    monkeypatch.setattr(module.onnx_engine, "installed", lambda name: name != "onnxruntime-openvino")
    _, said = choose_device(config(profile="cpu"))
    assert "onnxruntime and onnxruntime-gpu are both installed and overwrite each other" in said[-1]


def bundle(tmp_path: Path, **facts) -> Bundle:
    (tmp_path / "a.onnx").write_bytes(b"x" * (4 << 20))
    return Bundle("m", "1", "model", tmp_path, files={("onnx", "fp32"): "a.onnx"}, **facts)


def test_a_model_is_judged_by_file_rows_and_instances(tmp_path):
    device = DeviceProfile("d")
    plain = model_mb(bundle(tmp_path), device, False)
    assert plain == pytest.approx(32 + 2.5 * 4)
    rows = TensorSpec("x", "float32", (1024, 1024)),
    assert model_mb(bundle(tmp_path, inputs=rows, max_batch=8), device, False) == pytest.approx(plain + 32)
    pictures = TensorSpec("x", "float32", (1, 512, 512)),
    assert model_mb(bundle(tmp_path, inputs=pictures, max_batch=2), device, False) == pytest.approx(plain + 2 * 21)
    assert model_mb(bundle(tmp_path, queue=QueuePolicy(instances=3)), device, False) == pytest.approx(3 * plain)
    assert model_mb(bundle(tmp_path, variants=(Variant("onnx", "fp32", memory_mb=77.0),)), device, False) == 77


def test_the_sentence_has_both_numbers():
    device, machine = DeviceProfile("d"), replace(MACHINE, memory_mb=3891)
    parts = needs(Config(), device, [])
    good, sentence = fits(parts, device, machine)
    assert good and sentence.startswith("this configuration needs 1."), sentence
    assert sentence.endswith("of 3.8 GiB")
    good, sentence = fits(parts, replace(device, memory_mb=512), machine)
    assert not good and "of 0.5 GiB: request bodies (server.max_bodies_mb) 1024 MiB; " in sentence
    assert "memory_check" in sentence


def serve(tmp_path, *lines):
    (tmp_path / "models").mkdir(exist_ok=True)
    (tmp_path / "aisle.toml").write_text("\n".join(lines) + "\n")
    return [sys.executable, "-m", "aisle.runtime", "serve", "--models", str(tmp_path / "models"), "--port", "0", "--config",
            str(tmp_path / "aisle.toml")]


def test_a_server_that_does_not_fit_does_not_start(tmp_path):
    done = subprocess.run(serve(tmp_path, "[device]", "memory_mb = 600"), capture_output=True, text=True)
    assert done.returncode == 2 and "of 0.6 GiB" in done.stderr and "Traceback" not in done.stderr


def test_unless_it_is_allowed_to(tmp_path, launch):
    server = launch(tmp_path, "--config", str(write(tmp_path)), ready=False)
    health = server.ask("GET", "/healthz").json
    assert health["device"] == "cpu" and "the configuration says so" in health["device_notes"][0]
    assert set(health["heat"]) >= {"hot", "level", "temperatures_c", "power_mode"}
    assert b"aisle_heat_level 0.0" in server.ask("GET", "/metrics").body


def write(tmp_path):
    path = tmp_path / "aisle.toml"
    path.write_text('[device]\nprofile = "cpu"\nmemory_mb = 600\nmemory_check = "warn"\n')
    return path


def test_bundles_are_those_that_would_be_served(tmp_path, null_model):
    null_model(tmp_path, "a", "int32", (1,))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "bundle.toml").write_text("name = ")
    assert [b.name for b in bundles_in(tmp_path)] == ["a"]
    assert bundles_in(tmp_path / "absent") == []


# ---- heat

class Models:
    def __init__(self):
        self.shares = Shares(1)
        self.pool = None
        self.cooled = []

    def cool(self, on):
        self.cooled.append(on)
        return 2


def hot_tree(root, degrees):
    zone = root / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "type").write_text("cpu-thermal")
    (zone / "temp").write_text(str(degrees * 1000))


def test_a_hot_jetson_works_less_and_recovers(tmp_path, caplog):
    models = Models()
    keeper = HeatKeeper(models, load_profile("jetson-orin-nano"), tmp_path)

    def seconds(degrees, start, count):
        hot_tree(tmp_path, degrees)
        for second in range(start, start + count):
            keeper.look(float(second), keeper.sense(float(second)))
    seconds(60, 0, 10)
    assert keeper.told()["hot"] is False and models.cooled == []
    seconds(92, 10, 6)
    assert models.cooled == [True] and models.shares.duty == 1 and keeper.told()["doing"] == ["variant"]
    seconds(92, 16, 6)
    assert models.shares.duty == 0.5 and keeper.told()["level"] == 2 and keeper.metrics()["aisle_heat_level"] == 2
    seconds(80, 22, 20)
    assert keeper.told()["level"] == 2
    seconds(70, 42, 20)
    assert models.cooled == [True, False] and models.shares.duty == 1 and keeper.told()["hot"] is False
    said = [r.getMessage() for r in caplog.records]
    assert any("the device is hot (92 C, the rule begins at 85): 2 models answer by their fastest variants" in s for s in said)
    assert any("has cooled to 70 C: models run all the time again" in s for s in said)


def test_the_power_mode_and_the_power_are_told(tmp_path, caplog):
    keeper = HeatKeeper(Models(), load_profile("jetson-orin-nano"), tmp_path)
    status = tmp_path / "var/lib/nvpmodel/status"
    status.parent.mkdir(parents=True)
    energy = tmp_path / "sys/class/powercap/intel-rapl:0"
    energy.mkdir(parents=True)
    (energy / "name").write_text("package-0")
    for second, mode, joules in ((1.0, "pmode:0000", 10), (3.0, "pmode:0001", 40)):
        status.write_text(mode)
        (energy / "energy_uj").write_text(str(joules * 1_000_000))
        keeper.look(second, keeper.sense(second))
    assert keeper.told()["power_mode"] == "pmode:0001" and keeper.told()["watts"] == {"package-0": 15.0}
    assert "changed from pmode:0000 to pmode:0001" in caplog.text


async def test_a_machine_without_sensors_is_looked_at_once(tmp_path):
    await HeatKeeper(Models(), DeviceProfile("d"), tmp_path).run()


async def test_a_busy_pool_costs_a_look_and_no_more(tmp_path, monkeypatch):
    class Pool:
        asked = 0

        async def run(self, fn, *arguments):
            self.asked += 1
            if self.asked == 1:
                raise Busy("full")
            raise KeyboardInterrupt
    hot_tree(tmp_path, 40)
    monkeypatch.setattr("aisle.runtime.heat.EVERY_S", 0)
    models = Models()
    models.pool = Pool()
    with pytest.raises(KeyboardInterrupt):
        await HeatKeeper(models, DeviceProfile("d"), tmp_path).run()
    assert models.pool.asked == 2


def test_a_device_at_half_duty_rests_as_long_as_it_worked(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("aisle.runtime.shares.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("aisle.runtime.shares.time.perf_counter_ns", lambda: int(clock[0] * 1e9))
    shares, member = Shares(2), Member("m", 1)
    shares.duty = 0.5
    turn = shares.take(member)
    clock[0] += 3
    shares.give_back(turn)
    assert shares._resting
    clock[0] += 2.9
    assert shares._resting
    clock[0] += 0.2
    assert not shares._resting and shares.take(member).called.is_set()
