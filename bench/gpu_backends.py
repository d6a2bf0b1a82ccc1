"""One network on every backend that this machine can run: does each answer as the CPU does, and how fast? For gpu-check."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..edge_devices.probe import pick_profile, probe
from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError
from ..models.make.nets import features
from ..runtime.backends import make_backend
from ..runtime.compiling import compile_bundle, wish_for
from ..runtime.config import EnginesConfig
from ..runtime.engine_check import TOLERANCE, answers, difference, made_rows
from ..runtime.engines.cache import EngineCache
from .report import Options, Row, summary, table

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
BATCH = 8
BUDGET_S, QUICK_BUDGET_S = 2.0, 0.5       # of one figure
LEAST_RUNS = 5


@dataclass(frozen=True)
class Place:
    """A backend and where it runs."""

    name: str
    backend: str
    providers: tuple[str, ...] = (CPU,)


PLACES = (Place("ONNX Runtime on CUDA", "onnx", (CUDA, CPU)), Place("OpenVINO on the CPU", "openvino"),
          Place("TensorRT", "tensorrt"))


def run(options: Options) -> Iterator[Row]:
    """For each backend: the largest difference from the CPU's answers, ms of one row and of a batch, and seconds to build."""
    budget = QUICK_BUDGET_S if options.quick else BUDGET_S
    device = pick_profile(probe())[0]
    with tempfile.TemporaryDirectory(prefix="aisle-backends-") as name:
        folder = Path(name)
        features(folder / "net.onnx", "residual", 64 if options.quick else 224)
        bundle = Bundle("net", "1", "model", folder, files={("onnx", "fp32"): "net.onnx"}, max_batch=BATCH)
        plain = opened(bundle, Place("ONNX Runtime on the CPU", "onnx"), device)
        rows = made_rows(replace(bundle, inputs=plain.inputs))
        wanted = answers(plain, rows)
        one, many = median_ms(plain, 1, budget), median_ms(plain, BATCH, budget)
        plain.close()
        yield Row("ONNX Runtime on the CPU", "one row", one, "ms")
        yield Row("ONNX Runtime on the CPU", f"{BATCH} rows", many, "ms")
        for place in PLACES:
            if options.wants(place.name):
                yield from measured(place, bundle, device, lambda s: apart(s, rows, wanted), (one, many), budget)


def measured(place: Place, bundle: Bundle, device: DeviceProfile, apart: Callable[[Any], float],
             beside: tuple[float, float], budget: float) -> Iterator[Row]:
    """The figures of one backend; a row that says why where it cannot run here."""
    goal = TOLERANCE["fp32"]
    try:
        begin = time.monotonic()
        session = opened(bundle, place, device)
        spent = time.monotonic() - begin
    except (BundleError, OSError) as error:
        yield Row(place.name, "difference from the CPU", None, goal=f"<= {goal}", note=str(error))
        return
    try:
        found = apart(session)
        yield Row(place.name, "difference from the CPU", found, "of the largest value", goal=f"<= {goal}", met=found <= goal)
        yield Row(place.name, "loaded" if place.backend != "tensorrt" else "built, compared and loaded", spent, "s")
        for rows, peer in zip((1, BATCH), beside, strict=True):
            ms = median_ms(session, rows, budget)
            yield Row(place.name, "one row" if rows == 1 else f"{rows} rows", ms, "ms", None, "ONNX Runtime on the CPU", peer,
                      peer / ms)
    finally:
        session.close()


def opened(bundle: Bundle, place: Place, device: DeviceProfile) -> Any:
    """A session there. BundleError says why not."""
    backend: Any = make_backend(place.backend)
    if missing := backend.missing():
        raise BundleError(missing)
    device = replace(device, providers=place.providers, backends=(place.backend,), precisions=("fp32",))
    if place.backend != "tensorrt":
        described = backend.describe(replace(bundle, files={(place.backend, "fp32"): bundle.files["onnx", "fp32"]}))
        return backend.open(described, device)
    settings = EnginesConfig(path=str(bundle.root / "engines"))
    compile_bundle(bundle, device, place.backend, settings)
    wish = wish_for(bundle, device, place.backend)
    held = EngineCache(bundle.root / "engines", settings.max_mb << 20).get(wish.key)
    if held is None:
        raise BundleError("the engine that was just built is gone")
    try:
        return backend.load(backend.describe(replace(bundle, files={(place.backend, "fp32"): wish.source})), device, held)
    finally:
        held.release()


def apart(session: Any, rows: Any, wanted: Any) -> float:
    """The largest difference of a session's answers, as a share of the output's largest value."""
    return max(difference(got[name], right) for got, truth in zip(answers(session, rows), wanted, strict=True)
               for name, right in truth.items())


def median_ms(session: Any, rows: int, budget: float) -> float:
    """The median of a run's time, after one to warm up."""
    session.run(rows)
    taken: list[float] = []
    end = time.perf_counter() + budget
    while len(taken) < LEAST_RUNS or time.perf_counter() < end:
        begin = time.perf_counter()
        session.run(rows)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1e3


def main() -> int:
    """This part alone; 0 where every backend that ran agrees."""
    rows = list(run(Options(quick="--quick" in sys.argv)))
    print(table(rows))
    print(summary("gpu_backends", rows)["device"])
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
