"""Measures one way to run a bundle, in a process of its own: latency, throughput, memory, answers. `measure` starts it.

A process each, because memory can only be told apart where nothing else was loaded, and because engines keep thread pools
and arenas that would disturb the next one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..edge_devices.profile import DeviceProfile, load_profile
from ..models.bundle import Bundle, BundleError
from ..models.bundle_file import FILE_NAME, read_bundle
from .backends import Session, make_backend
from .backends.tensors import zero
from .device import own_memory
from .engine_wish import as_served
from .loading import warm_up
from .served import is_free
from .ways import Way, narrowed, usable, ways

LEAST_RUNS = 10
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Measured:
    """What was seen of one way with one batch size; times in ms of one run. `error` is a sentence where it did not work."""

    way: str
    batch: int = 1
    error: str = ""
    runs: int = 0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    rows_per_s: float = 0.0
    cpu_ms: float = 0.0             # of all threads, per run
    memory_mb: float = 0.0          # what opening and running it added to the process
    open_s: float = 0.0
    canary: str = ""                # "answered", or "none" where the bundle has no canary


def measure(bundle: Bundle, way: Way, device: DeviceProfile, batch: int = 1, seconds: float = 1.0,
            samples: Mapping[str, np.ndarray] | None = None) -> tuple[Measured, dict[str, np.ndarray]]:
    """Measure in a child. `samples` are inputs, stacked along a new first axis, whose outputs come back likewise."""
    with tempfile.TemporaryDirectory(prefix="aisle-check-") as folder:
        order = {"root": str(bundle.root), "backend": way.backend, "precision": way.precision, "device": device.name,
                 "threads": device.threads, "batch": batch, "seconds": seconds, "folder": folder}
        if samples is not None:
            np.savez(Path(folder) / "samples.npz", **samples)  # type: ignore[arg-type]
        try:
            done = subprocess.run([sys.executable, "-m", "aisle.runtime.variant_check", json.dumps(order)],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S + seconds,
                                  check=False)
        except subprocess.TimeoutExpired:
            return Measured(way.name, batch, f"it was not done after {TIMEOUT_S:.0f} s"), {}
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            return Measured(way.name, batch, f"the process that ran it ended: {last[0][:300]}"), {}
        told = Measured(**json.loads(done.stdout.splitlines()[-1]))
        answers = Path(folder) / "answers.npz"
        if not answers.is_file():
            return told, {}
        with np.load(answers, allow_pickle=False) as stored:
            return told, {name: stored[name] for name in stored.files}


def main(order: Mapping[str, Any]) -> Measured:
    """The child's work."""
    root = Path(order["root"])
    bundle = read_bundle(root) if (root / FILE_NAME).is_file() else _triton(root)
    device = replace(load_profile(order["device"]), threads=order["threads"], backends=(order["backend"],),
                     precisions=(order["precision"],))
    name = f"{order['backend']} {order['precision']}"
    try:
        bundle = as_served(bundle, device)
        way = next(w for w in ways(bundle, device) if w.name == name)
        return run(bundle, way, device, order)
    except (BundleError, StopIteration) as error:
        return Measured(name, order["batch"], str(error) or f"the bundle cannot be run as {name}")
    except Exception as error:  # noqa: BLE001 - whatever an engine raises is this row's result
        return Measured(name, order["batch"], f"{type(error).__name__}: {error}"[:300])


def _triton(root: Path) -> Bundle:
    """The bundle of a version's folder in Triton's layout."""
    from .discover import discover, read
    return read(discover(root.parent.parent)[root.parent.name], root.name)


def run(bundle: Bundle, way: Way, device: DeviceProfile, order: Mapping[str, Any]) -> Measured:
    """Open, warm up, answer the samples, time."""
    batch, backend = int(order["batch"]), make_backend(way.backend)
    described = backend.describe(narrowed(bundle, way))
    if batch > max(1, described.max_batch):
        return Measured(way.name, batch, f"its batch is at most {max(1, described.max_batch)}")
    before, start = own_memory(), time.perf_counter()
    session = backend.open(described, device)
    warm_up(session, described, way)
    opened = time.perf_counter() - start
    folder = Path(order["folder"])
    if (folder / "samples.npz").is_file():
        with np.load(folder / "samples.npz", allow_pickle=False) as stored:
            made = answers(session, {k: stored[k] for k in stored.files})
        np.savez(folder / "answers.npz", **made)  # type: ignore[arg-type]
    wall, cpu = timed(session, batch, float(order["seconds"]))
    p50, p90, p99 = (float(np.percentile(wall, q)) for q in (50, 90, 99))
    return Measured(way.name, batch, "", len(wall), p50, p90, p99, 1e3 * batch / float(np.mean(wall)), float(np.mean(cpu)),
                    (own_memory() - before) / 2**20, opened, "answered" if bundle.canary else "none")


def timed(session: Any, batch: int, seconds: float) -> tuple[list[float], list[float]]:
    """ms of wall time and of CPU time of runs of `batch` rows, for about so many seconds."""
    if isinstance(session, Session) and not is_free(session):
        rng = np.random.default_rng(3)
        for spec in session.inputs:
            array = session.rows(0, batch)[spec.name]
            array[...] = rng.random(array.shape) if array.dtype.kind == "f" else rng.integers(0, 2, array.shape)
        call = lambda: session.run(batch)  # noqa: E731
    else:
        feed = {spec.name: zero(spec) for spec in session.inputs if not spec.optional}
        call = lambda: session.run(feed, [s.name for s in session.outputs])  # noqa: E731
    for _ in range(3):
        call()
    wall: list[float] = []
    cpu: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(wall) < LEAST_RUNS:
        start, spent = time.perf_counter(), time.process_time()
        call()
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - spent))
    return wall, cpu


def answers(session: Any, samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of each sample, stacked; sequences and texts are left out."""
    made: list[dict[str, np.ndarray]] = []
    for i in range(len(next(iter(samples.values())))):
        if isinstance(session, Session) and not is_free(session):
            rows = session.rows(0, 1)
            for name, stack in samples.items():
                rows[name][...] = stack[i]
            session.run(1)
            made.append({s.name: rows[s.name].copy() for s in session.outputs})
        else:
            made.append(session.run({name: stack[i] for name, stack in samples.items()}, [s.name for s in session.outputs]))
    plain = [k for k, v in made[0].items() if isinstance(v, np.ndarray) and v.dtype.kind in "fiub"]
    return {k: np.stack([one[k] for one in made]) for k in plain if len({one[k].shape for one in made}) == 1}


def made_samples(bundle: Bundle, count: int) -> dict[str, np.ndarray]:
    """Inputs by a fixed seed, one row each: smooth noise for pictures, noise for the rest. `bundle` is described."""
    import cv2

    rng = np.random.default_rng(7)
    made = {}
    for spec in bundle.inputs:
        shape = tuple(d or 1 for d in spec.shape)
        whole = (count, *((1,) if bundle.max_batch else ()), *shape)
        values = rng.standard_normal(whole)
        if len(shape) >= 2 and min(sorted(shape)[-2:]) >= 16 and spec.dtype.startswith("float"):
            flat = values.reshape(-1, *shape[-2:])
            values = np.stack([cv2.GaussianBlur(plane, (0, 0), 2.0) * 4 for plane in flat]).reshape(whole)
        kind = zero(spec).dtype
        made[spec.name] = values.astype(kind) if kind.kind == "f" else rng.integers(0, 2, whole).astype(kind)
    return made


def off(got: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """(largest, mean) error over all outputs, as shares of their spans."""
    gaps = []
    for name, expected in true.items():
        if name in got and got[name].shape == expected.shape and expected.size:
            span = float(np.ptp(expected.astype(np.float64))) or 1.0
            gaps.append(np.abs(got[name].astype(np.float64) - expected) / span)
    if not gaps:
        return float("nan"), float("nan")
    return max(float(g.max()) for g in gaps), float(np.mean([g.mean() for g in gaps]))


def check(bundle: Bundle, device: DeviceProfile, batches: Sequence[int] = (1,), seconds: float = 1.0,
          tell: Any = None) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Every usable way and batch size, with its error against FP32; and why each backend that was passed over was.

    Errors are measured on made inputs, so they say how alike two engines compute, not how good verdicts are: for that see
    the bundle's own table, which `aisle model quantize` filled with real pictures.
    """
    bundle = as_served(bundle, device)
    found, missing = usable(bundle, device)
    described = make_backend(found[0].backend).describe(narrowed(bundle, found[0]))
    plain = all(s.dtype not in ("bytes", "sequence", "map") for s in (*described.inputs, *described.outputs))
    samples = made_samples(described, 4) if plain else None
    order = sorted(found, key=lambda way: (way.precision != "fp32", way.backend != "onnx"))
    truth: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for i, (way, batch) in enumerate([(w, b) for w in order for b in batches if b <= max(1, described.max_batch)]):
        told, answered = measure(bundle, way, device, batch, seconds, samples)
        truth = truth or (answered if way.precision == "fp32" else {})
        most, mean = off(answered, truth) if answered and truth else (float("nan"), float("nan"))
        verdicts = way.measured.agreement if way.measured else None
        rows.append({**asdict(told), "max_error": None if most != most else most, "mean_error": None if mean != mean else mean,
                     "agreement": verdicts})
        if tell:
            tell(i + 1, len(order) * len(batches), "check")
    return rows, missing


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(json.dumps(asdict(main(json.loads(sys.argv[1])))))
    sys.stdout.flush()
    os._exit(0)     # an engine that crashes while it is torn down must not spoil a good answer
