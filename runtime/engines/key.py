"""What an engine is known by: everything that makes another engine of the same model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Shapes = tuple[tuple[int, ...], ...]      # least, usual and largest shape of an input
Profile = Mapping[str, Shapes]


@dataclass(frozen=True)
class Platform:
    """The machine's side: library, CUDA, driver and device. Empty texts are what a library does not depend on."""

    library: str
    version: str
    cuda: str = ""
    driver: str = ""
    device: str = ""          # compute capability and name: "sm_87 Orin"


@dataclass(frozen=True)
class EngineKey:
    """`model` and `weights` are SHA-256 of the model file and of what it keeps outside; `name` is who it is for.

    Two models of one content share an engine; `name` only finds the last good one of the same model, to say what changed.
    """

    name: str
    model: str
    weights: str
    precision: str
    platform: Platform
    profiles: tuple[Profile, ...] = ()
    form: int = 1             # of our own way of building; raise it when that changes

    def table(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "profiles": [{n: [list(s) for s in shapes] for n, shapes in sorted(one.items())}
                                             for one in self.profiles]}

    @property
    def digest(self) -> str:
        """64 hexadecimal digits: the engine's name in the cache."""
        content = {k: v for k, v in self.table().items() if k != "name"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


WORDS = {"library": "the library", "version": "its version", "cuda": "CUDA", "driver": "the driver", "device": "the GPU",
         "model": "the model file", "weights": "the model's weights", "precision": "the precision", "profiles": "the shapes",
         "form": "Aisle's way of building"}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two keys' tables, in words; empty where nothing does."""
    told = []
    flat_before, flat_now = _flat(before), _flat(now)
    for name, words in WORDS.items():
        old, new = flat_before.get(name), flat_now.get(name)
        if old == new:
            continue
        short = isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) < 40
        told.append(f"{words} changed from {old or 'none'} to {new or 'none'}" if short else f"{words} changed")
    return ", ".join(told)


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    platform = table.get("platform")
    return {**table, **(platform if isinstance(platform, dict) else {})}
