"""Reads what a machine is from /proc and /sys below a given root, so that fake trees test it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """Facts that decide a profile. `flags` are the CPU's instruction sets that the kernels care about."""

    model: str
    arch: str
    cores: int
    memory_mb: int
    flags: tuple[str, ...]
    nvidia_driver: str


WANTED_FLAGS = ("avx2", "fma", "avx512bw", "avx512vl", "avx512_vnni", "avx_vnni", "asimddp", "i8mm")


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
    tegra = read(root / "proc/device-tree/model").strip("\0\n ")
    return Machine(
        model=tegra or facts.get("model name", "") or platform.processor(), arch=platform.machine(), cores=cores,
        memory_mb=int(memory) >> 10, flags=tuple(f for f in WANTED_FLAGS if f in flags),
        nvidia_driver=driver[0].strip() if driver else "")


def read(path: Path) -> str:
    """The text of a small file; empty where it does not exist or may not be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
