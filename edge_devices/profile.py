"""A device profile: what a kind of machine offers and how it is recognised, as data."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "profiles"


@dataclass(frozen=True)
class Heat:
    """When a device counts as hot and what is done then, one step after another while it stays hot.

    `zones` are the thermal zones that count, by their type (empty: all). Hot is `hot_c` or more for `after_s` seconds, cool
    again `cool_c` or less for as long. A step is "variant" (every model answers by its fastest variant) or "rate" (the
    device works only the share `rate` of the time). `hot_c` 0: never hot.
    """

    zones: tuple[str, ...] = ()
    hot_c: float = 0.0
    cool_c: float = 0.0
    after_s: float = 5.0
    steps: tuple[str, ...] = ("variant", "rate")
    rate: float = 0.5


@dataclass(frozen=True)
class DeviceProfile:
    """`backends` and `precisions` are in order of preference; `threads` is the budget of all engines together.

    `memory_mb` 0 is what the machine has. `power` is the file that names the power mode, `match` says by what the probe
    recognises the device; `order` decides where several match, the lowest first.
    """

    name: str
    backends: tuple[str, ...] = ("onnx",)
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    precisions: tuple[str, ...] = ("int8", "fp32")
    max_batch: int = 8
    threads: int = 0
    memory_mb: int = 0
    unified_memory: bool = False
    power: str = ""
    heat: Heat = Heat()
    match: Mapping[str, Any] = field(default_factory=dict)
    order: int = 100
    about: str = ""


def profile_names() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def load_profile(name: str) -> DeviceProfile:
    """The shipped profile of that name; 0 threads means all the cores this process may use."""
    if name not in profile_names():
        raise ValueError(f"device {name!r} is unknown; the profiles are {', '.join(profile_names())}")
    data = tuples(tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")))
    data["heat"] = Heat(**tuples(data.get("heat", {})))
    unknown = data.keys() - {f.name for f in fields(DeviceProfile)}
    assert not unknown, f"profile {name} has unknown keys {unknown}"
    cores = len(os.sched_getaffinity(0))
    data["threads"] = min(data.get("threads") or cores, cores)
    return DeviceProfile(name=name, **data)


def tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with tuples for its lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
