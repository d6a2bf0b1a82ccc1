"""Which device profile counts here, and whether the configuration fits into the machine's memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from ..edge_devices.probe import Machine, pick_profile, probe
from ..edge_devices.profile import DeviceProfile, load_profile
from ..models.bundle import Bundle, BundleError
from .backends import onnx_engine
from .backends.dtypes import MEMORY
from .choice import choose
from .config import Config
from .discover import chosen, discover, read
from .ways import Way, ways

log = logging.getLogger("aisle.device")
AUTO = "auto"
SERVER_MB = 150            # the process with its libraries and no model: 120 to 140 measured, docs/serving.md
# Fitted to what a residual and a mobile net took (105 and 193 MiB with 8 rows; judged so: 155 and 149).
MODEL_MB = 32              # an engine's own memory for a small model
WEIGHTS = 2.5              # of a file's size: as read, and as repacked for the engine
ACTIVATIONS = 20           # of the size of rows that are pictures: what the layers keep meanwhile
PIXEL_BYTES = 6            # a picture while it is decoded: the pixels and what is made of them


def choose_device(config: Config, root: Path = Path("/")) -> tuple[DeviceProfile, list[str]]:
    """The profile that the configuration names, or the one that fits this machine; and what has to be said of it.

    A profile chosen by itself is cut to the providers that the installed ONNX Runtime has, and that is said; a profile that
    somebody asked for is taken as it is, and models that cannot run on it are refused with a sentence.
    """
    said = []
    if config.device.profile == AUTO:
        device, why = pick_profile(probe(root))
        said.append(f"device '{device.name}' ({device.about}): {why}")
        device, lost = fitted(device)
        said += lost
    else:
        device = load_profile(config.device.profile)
        said.append(f"device '{device.name}' ({device.about}): the configuration says so")
    problem = onnx_engine.both_installed()
    if problem:
        said.append(problem)
    if config.device.threads:
        device = replace(device, threads=config.device.threads)
    if config.device.memory_mb:
        device = replace(device, memory_mb=config.device.memory_mb)
    return device, said


def fitted(device: DeviceProfile) -> tuple[DeviceProfile, list[str]]:
    """The profile without the providers that the installed ONNX Runtime lacks, and a sentence for each that is missing."""
    if set(device.providers) <= {"CPUExecutionProvider"} or onnx_engine.missing() is not None:
        return device, []
    have = onnx_engine.engine().get_available_providers()
    lost = [name for name in device.providers if name not in have]
    if not lost:
        return device, []
    kept = tuple(name for name in device.providers if name in have) or ("CPUExecutionProvider",)
    return replace(device, providers=kept), [
        f"the installed ONNX Runtime has no {', '.join(lost)}, so that models run on {kept[0]}; install Aisle with "
        "'aisle[gpu]' in place of 'aisle[cpu]' to use the GPU, or name the device `cpu` to say that this is meant"]


@dataclass(frozen=True)
class Need:
    """MiB that one part of the configuration may take."""

    what: str
    mb: float


def needs(config: Config, device: DeviceProfile, bundles: Iterable[Bundle]) -> list[Need]:
    """What the configuration may take of the machine's memory, part by part, the largest first."""
    pictures = config.pictures.max_megapixels * PIXEL_BYTES * max(2, device.threads)
    parts = [Need("the server itself", SERVER_MB),
             Need("request bodies (server.max_bodies_mb)", config.server.max_bodies_mb),
             Need("pictures being decoded (pictures.max_megapixels, for each thread)", pictures)]
    if config.lane.socket:
        parts.append(Need("memory shared with local clients (lane.max_total_mb)", config.lane.max_total_mb))
    for bundle in bundles:
        parts.append(Need(f"model '{bundle.name}'", model_mb(bundle, device, config.device.variants == "all")))
    return sorted(parts, key=lambda part: -part.mb)


def model_mb(bundle: Bundle, device: DeviceProfile, every: bool) -> float:
    """MiB of a bundle's sessions: as measured, where its table says it, else judged by its files and its rows."""
    found = ways(bundle, device)
    if not found:
        return file_mb(bundle, bundle.sha256)
    opened = found if every else choose(found, bundle, device).ways[:1]
    return sum(way_mb(bundle, way) for way in opened) * bundle.queue.instances


def way_mb(bundle: Bundle, way: Way) -> float:
    """MiB of one session."""
    if way.measured is not None and way.measured.memory_mb:
        return way.measured.memory_mb
    return MODEL_MB + WEIGHTS * file_mb(bundle, [bundle.files[way.file]]) + rows_mb(bundle)


def file_mb(bundle: Bundle, names: Iterable[str]) -> float:
    """MiB of files; one that is not there counts nothing here: loading will say so."""
    total = 0
    for name in names:
        try:
            total += bundle.path(name).stat().st_size
        except (OSError, BundleError):
            continue
    return total / 2**20


def rows_mb(bundle: Bundle) -> float:
    """MiB of the blocks of static rows, and of what a network makes of those that are pictures."""
    total = 0
    for spec in (*bundle.inputs, *bundle.outputs):
        if spec.static and spec.dtype in MEMORY:
            picture = spec in bundle.inputs and len(spec.shape) >= 3
            total += prod(d or 0 for d in spec.shape) * np.dtype(MEMORY[spec.dtype]).itemsize * (1 + ACTIVATIONS * picture)
    return max(1, bundle.max_batch) * total / 2**20


def bundles_in(root: Path) -> list[Bundle]:
    """The versions that would be served; what cannot be read is left to loading, which says why."""
    found = []
    try:
        models = discover(root)
    except BundleError:
        return []
    for model in models.values():
        for version in chosen(model) if not model.error else ():
            try:
                found.append(read(model, version))
            except BundleError:
                continue
    return found


def fits(parts: list[Need], device: DeviceProfile, machine: Machine) -> tuple[bool, str]:
    """(whether the parts fit, the sentence that says so: "needs 1.9 of 3.8 GiB")."""
    have = device.memory_mb or machine.memory_mb
    need = sum(part.mb for part in parts)
    if not have:
        return True, f"this configuration needs {need / 1024:.1f} GiB; how much this machine has cannot be read"
    sentence = f"this configuration needs {need / 1024:.1f} of {have / 1024:.1f} GiB"
    if need <= have:
        return True, sentence
    largest = "; ".join(f"{part.what} {part.mb:.0f} MiB" for part in parts[:4])
    return False, (f"{sentence}: {largest}. Lower a limit, serve fewer models, or set device.memory_check to \"warn\" if you "
                   "know that it will not all be taken at once")


def own_memory() -> int:
    """Resident bytes of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
