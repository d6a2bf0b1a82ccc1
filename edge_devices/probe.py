"""Reads what a machine is from /proc and /sys below a given root, so that fake trees test it, and picks its profile."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from .profile import DeviceProfile, load_profile, profile_names


@dataclass(frozen=True)
class Machine:
    """Facts that decide a profile. `flags` are the CPU's instruction sets that the kernels care about.

    `memory_mb` is what a process here may have: the machine's, or less where a container is bounded. `chassis` is the
    SMBIOS type, 0 where there is none; `tegra` the model of a Jetson, empty elsewhere.
    """

    model: str
    arch: str
    cores: int
    memory_mb: int
    flags: tuple[str, ...]
    nvidia_driver: str
    tegra: str = ""
    chassis: int = 0
    board: str = ""


WANTED_FLAGS = ("avx2", "fma", "avx512bw", "avx512vl", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm",
                "bf16")
UNBOUNDED_MB = 1 << 40      # what cgroup v1 writes where there is no bound is larger


def probe(root: Path = Path("/")) -> Machine:
    """What the tree below `root` says; what is not there is empty or zero."""
    cpuinfo = read(root / "proc/cpuinfo")
    memory = next((line.split()[1] for line in read(root / "proc/meminfo").splitlines()
                   if line.startswith("MemTotal:")), "0")
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set((facts.get("flags") or facts.get("Features", "")).split())
    cores = cpuinfo.count("processor\t:") or cpuinfo.count("processor :")
    if root == Path("/"):
        cores = len(os.sched_getaffinity(0))
    driver = read(root / "proc/driver/nvidia/version").splitlines()
    board = read(root / "proc/device-tree/model").strip("\0\n ")
    tegra = board if re.search("Jetson|Orin|Tegra", board) else ""
    chassis = read(root / "sys/class/dmi/id/chassis_type").strip()
    return Machine(
        model=board or facts.get("model name", "") or platform.processor(), arch=arch_of(cpuinfo), cores=cores,
        memory_mb=bounded(root, int(memory) >> 10), flags=tuple(f for f in WANTED_FLAGS if f in flags),
        nvidia_driver=driver[0].strip() if driver else "", tegra=tegra,
        chassis=int(chassis) if chassis.isdecimal() else 0, board=board or read(root / "sys/class/dmi/id/product_name").strip())


def arch_of(cpuinfo: str) -> str:
    """The architecture that the text of /proc/cpuinfo tells of; this process's where it tells nothing."""
    if "CPU implementer" in cpuinfo:
        return "aarch64"
    return "x86_64" if "flags\t" in cpuinfo else platform.machine()


def bounded(root: Path, memory_mb: int) -> int:
    """The machine's memory, or the bound of the container that this process is in (cgroup v2, then v1)."""
    for place in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = read(root / place).strip()
        if text.isdecimal() and 0 < int(text) >> 20 < (memory_mb or UNBOUNDED_MB):
            return int(text) >> 20
    return memory_mb


def pick_profile(machine: Machine) -> tuple[DeviceProfile, str]:
    """(the profile for a machine, why). Profiles that match by nothing come last; `cpu` fits everything."""
    profiles = sorted((load_profile(name) for name in profile_names()), key=lambda p: (p.order, p.name))
    for profile in profiles:
        why = matches(profile, machine)
        if why:
            return profile, why
    return load_profile("cpu"), "nothing more special was recognised"


def matches(profile: DeviceProfile, machine: Machine) -> str:
    """By what the profile recognises the machine; empty where it does not.

    `tegra` and `cpu` are patterns of the model, `chassis` SMBIOS types, `nvidia` a driver; of `chassis` and `cpu` one is
    enough. `arch` must agree wherever it is given.
    """
    match = profile.match
    if "arch" in match and match["arch"] != machine.arch:
        return ""
    if "tegra" in match:
        return f"the device tree says {machine.tegra!r}" if re.search(match["tegra"], machine.tegra) else ""
    if "nvidia" in match:
        return "there is an NVIDIA driver" if machine.nvidia_driver and not machine.tegra else ""
    if machine.chassis and machine.chassis in match.get("chassis", ()):
        return f"its chassis is of type {machine.chassis}"
    if "cpu" in match:
        found = re.search(match["cpu"], machine.model)
        return f"its CPU is a {machine.model!r}" if found else ""
    return f"it is an {machine.arch} machine" if "arch" in match else ""


def read(path: Path) -> str:
    """The text of a small file; empty where it does not exist or may not be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
