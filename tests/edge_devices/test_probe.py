"""What a machine is, read from fake trees."""

from pathlib import Path

from aisle.edge_devices.probe import probe
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
