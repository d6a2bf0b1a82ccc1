"""A device profile: what a kind of machine offers, as data."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DeviceProfile:
    """`backends` and `precisions` are in order of preference; `threads` is the budget of all engines together."""

    name: str
    backends: tuple[str, ...] = ("onnx",)
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    precisions: tuple[str, ...] = ("int8", "fp32")
    max_batch: int = 8
    threads: int = 0
    memory_mb: int = 0
    unified_memory: bool = False
    power: str = ""


def profile_names() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(p.stem for p in (Path(__file__).parent / "profiles").glob("*.toml"))


def load_profile(name: str) -> DeviceProfile:
    """The shipped profile of that name; 0 threads means all the cores this process may use."""
    path = Path(__file__).parent / "profiles" / f"{name}.toml"
    if name not in profile_names():
        raise ValueError(f"device {name!r} is unknown; the profiles are {', '.join(profile_names())}")
    data = tomllib.loads(path.read_text())
    for key in ("backends", "providers", "precisions"):
        if key in data:
            data[key] = tuple(data[key])
    data["threads"] = data.get("threads") or len(os.sched_getaffinity(0))
    return DeviceProfile(name=name, **data)
