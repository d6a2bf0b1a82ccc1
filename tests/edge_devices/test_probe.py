"""What a machine is, read from fake trees."""

from pathlib import Path

import pytest
from aisle.edge_devices.probe import pick_profile, probe
from aisle.edge_devices.profile import load_profile, profile_names


def test_a_kiosk(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Celeron J6412\nflags\t\t: sse2 avx2 fma\n\n"
        "processor\t: 1\nmodel name\t: Celeron J6412\nflags\t\t: sse2 avx2 fma\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:        4028416 kB\nMemFree: 1 kB\n")
    machine = probe(tmp_path)
    assert (machine.model, machine.cores, machine.memory_mb) == ("Celeron J6412", 2, 3934)
    assert machine.flags == ("avx2", "fma") and machine.nvidia_driver == ""


def test_an_empty_tree_is_no_error(tmp_path: Path) -> None:
    machine = probe(tmp_path)
    assert machine.memory_mb == 0 and machine.flags == ()


def test_a_jetson_names_itself_in_the_device_tree(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    assert probe(tmp_path).model == "NVIDIA Jetson Orin Nano Developer Kit"


def test_this_machine() -> None:
    machine = probe()
    assert machine.cores >= 1 and machine.memory_mb > 0


def test_every_profile_loads() -> None:
    assert "cpu" in profile_names()
    for name in profile_names():
        assert load_profile(name).threads >= 1


def machine_tree(root: Path, cpuinfo: str = "", model: str = "", driver: bool = False, chassis: str = "") -> Path:
    """A tree of a machine with these texts."""
    (root / "proc").mkdir(parents=True)
    (root / "proc/cpuinfo").write_text(cpuinfo)
    (root / "proc/meminfo").write_text("MemTotal: 4028416 kB\n")
    if model:
        (root / "proc/device-tree").mkdir()
        (root / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    if driver:
        (root / "proc/driver/nvidia").mkdir(parents=True)
        (root / "proc/driver/nvidia/version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65\n")
    if chassis:
        (root / "sys/class/dmi/id").mkdir(parents=True)
        (root / "sys/class/dmi/id/chassis_type").write_text(chassis + "\n")
    return root


X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: {}\nflags\t\t: sse2 avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(("facts", "name", "why"), [
    ({"cpuinfo": X86.format("AMD EPYC 9454")}, "cpu", "nothing more special"),
    ({"cpuinfo": X86.format("AMD EPYC 9454"), "driver": True}, "gpu-host", "NVIDIA driver"),
    ({"cpuinfo": X86.format("Intel(R) Celeron(R) J6412 @ 2.00GHz")}, "kiosk-x86", "J6412"),
    ({"cpuinfo": X86.format("Intel(R) N100")}, "kiosk-x86", "N100"),
    ({"cpuinfo": X86.format("Intel(R) Core(TM) i5-1145G7"), "chassis": "35"}, "kiosk-x86", "chassis is of type 35"),
    ({"cpuinfo": X86.format("Intel(R) Core(TM) i5-1145G7"), "chassis": "3"}, "cpu", "nothing"),
    ({"cpuinfo": X86.format("Intel(R) Celeron(R) J6412"), "driver": True}, "gpu-host", "NVIDIA driver"),
    ({"cpuinfo": ARM, "model": "Raspberry Pi 5 Model B Rev 1.0"}, "arm-cpu", "aarch64"),
    ({"cpuinfo": ARM, "model": "NVIDIA Jetson Orin Nano Developer Kit", "driver": True}, "jetson-orin-nano", "Orin Nano"),
    ({"cpuinfo": ARM, "model": "NVIDIA Jetson Orin NX Engineering Reference"}, "jetson-orin-nano", "Orin NX"),
    ({"cpuinfo": ARM, "model": "NVIDIA Jetson AGX Orin Developer Kit"}, "jetson-agx-orin", "AGX Orin"),
    ({"cpuinfo": ARM, "driver": True}, "gpu-host", "NVIDIA driver"),
])
def test_a_machine_gets_its_profile_and_the_reason(tmp_path: Path, facts: dict, name: str, why: str) -> None:
    profile, reason = pick_profile(probe(machine_tree(tmp_path, **facts)))
    assert profile.name == name and why in reason


def test_a_container_has_the_memory_it_was_given(tmp_path: Path) -> None:
    root = machine_tree(tmp_path)
    place = root / "sys/fs/cgroup/memory.max"
    place.parent.mkdir(parents=True)
    for text, expected in (("max\n", 3934), ("1073741824\n", 1024), ("9223372036854771712\n", 3934), ("junk", 3934)):
        place.write_text(text)
        assert probe(root).memory_mb == expected


def test_every_profile_is_whole() -> None:
    assert set(profile_names()) == {"cpu", "kiosk-x86", "arm-cpu", "jetson-orin-nano", "jetson-agx-orin", "gpu-host"}
    for name in profile_names():
        profile = load_profile(name)
        assert profile.about and profile.backends and profile.precisions[-1] == "fp32" and profile.max_batch >= 1
        assert profile.heat.cool_c < profile.heat.hot_c and set(profile.heat.steps) <= {"variant", "rate"}
        assert 0 < profile.heat.rate < 1 and (profile.unified_memory == name.startswith("jetson"))
        assert profile.providers[-1] == "CPUExecutionProvider"
