"""The grid: each bundle x backend x precision x batch in a process of its own, with power and temperature around it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...edge_devices.heat import joules, temperatures, watts, whole_power
from ...edge_devices.profile import DeviceProfile
from ...models.bundle import Bundle, BundleError
from ...runtime.backends import make_backend
from ...runtime.config import Config
from ...runtime.device import choose_device
from ...runtime.variant_check import Measured, made_samples, measure, off
from ...runtime.ways import Way, narrowed, usable
from ..report import Options, Row

ROOT = Path("/")
SECONDS, QUICK_SECONDS = 3.0, 0.4
SAMPLES = 4


@dataclass(frozen=True)
class Entry:
    """One cell of the grid. Errors are against the FP32 file by ONNX Runtime on made inputs; None is: not measured."""

    bundle: str
    measured: Measured
    threads: int
    max_error: float | None = None
    mean_error: float | None = None
    agreement: float | None = None
    watts: float | None = None
    hottest_c: float | None = None
    build_s: float | None = None

    @property
    def case(self) -> str:
        """As rows and comparisons name it."""
        return f"{self.bundle} {self.measured.way} batch {self.measured.batch}"

    def as_json(self) -> dict[str, Any]:
        """Plain data, flat."""
        told = asdict(self)
        return {**told.pop("measured"), **told, "case": self.case}

    def rows(self) -> list[Row]:
        """What the bench contract has of it."""
        seen = self.measured
        if seen.error:
            return [Row(self.case, "latency p50", None, "ms", note=seen.error)]
        spread = (seen.p90_ms - seen.p50_ms) / seen.p50_ms if seen.p50_ms else None
        return [Row(self.case, "latency p50", seen.p50_ms, "ms", spread), Row(self.case, "latency p99", seen.p99_ms, "ms"),
                Row(self.case, "throughput", seen.rows_per_s, "rows/s"), Row(self.case, "CPU time", seen.cpu_ms, "ms"),
                Row(self.case, "memory", seen.memory_mb, "MiB"),
                *([Row(self.case, "largest error", self.max_error, "of the span")] if self.max_error is not None else [])]


def sweep(bundles: Sequence[Bundle], options: Options) -> Iterator[Entry]:
    """Measure every cell, with a progress bar; FP32 by ONNX Runtime first, because the others are compared with it."""
    device, _ = choose_device(Config())
    device = replace(device, backends=tuple(dict.fromkeys([*device.backends, "onnx", "openvino", "tensorrt"])),
                     precisions=tuple(dict.fromkeys([*device.precisions, "int8", "bf16", "fp16", "fp32"])))
    cells = [(bundle, found) for bundle in bundles if (found := cells_of(bundle, device, options))]
    with tqdm(total=sum(len(found) for _, found in cells), desc="device", file=sys.stderr, leave=False) as bar:
        for bundle, found in cells:
            yield from measure_all(bundle, found, device, options, bar)


def cells_of(bundle: Bundle, device: DeviceProfile, options: Options) -> list[tuple[Way, int]]:
    """The ways and batches of one bundle that were asked for."""
    try:
        found, _ = usable(bundle, device)
    except BundleError as error:
        print(f"{bundle.name}: {error}", file=sys.stderr)
        return []
    order = sorted(found, key=lambda way: (way.precision != "fp32", way.backend != "onnx"))
    most = max(1, bundle.max_batch)
    batches = sorted({1, most} if options.quick else {1, min(4, most), most})
    return [(way, batch) for way in order for batch in batches if options.wants(f"{bundle.name} {way.name}")]


def measure_all(bundle: Bundle, cells: Sequence[tuple[Way, int]], device: DeviceProfile, options: Options,
                bar: Any) -> Iterator[Entry]:
    """Every cell of one bundle."""
    described = make_backend(cells[0][0].backend).describe(narrowed(bundle, cells[0][0]))
    plain = all(s.dtype not in ("bytes", "sequence", "map") for s in (*described.inputs, *described.outputs))
    samples = made_samples(described, SAMPLES) if plain else None
    truth: dict[str, Any] = {}
    built = engines(bundle, {way.backend for way, _ in cells})
    for way, batch in cells:
        bar.set_postfix_str(f"{bundle.name} {way.name} x{batch}")
        power, start = joules(ROOT), time.monotonic()
        told, answered = measure(bundle, way, device, batch, QUICK_SECONDS if options.quick else SECONDS, samples)
        spent = joules(ROOT)
        truth = truth or (answered if way.precision == "fp32" else {})
        most, mean = off(answered, truth) if answered and truth else (None, None)
        rails = whole_power(watts(ROOT))
        rapl = sum(spent[k] - power[k] for k in spent if k in power) / (time.monotonic() - start) if spent else None
        yield Entry(bundle.name, told, device.threads, most, mean, way.measured.agreement if way.measured else None,
                    rails if rails is not None else rapl, max(temperatures(ROOT).values(), default=None), built.get(way.name))
        bar.update()


def engines(bundle: Bundle, backends: set[str]) -> dict[str, float]:
    """Seconds that building the bundle's engine takes on this machine, by the way that it is for; built where it lacks."""
    if "tensorrt" not in backends:
        return {}
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "model", "compile", str(bundle.root), "--json"],
                          capture_output=True, text=True, check=False)
    told = json.loads(done.stdout or "{}")
    return {f"{told['backend']} {told['precision']}": told["seconds"]} if "seconds" in told else {}
