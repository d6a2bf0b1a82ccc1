"""Does a new engine answer as the file it was built from? Asked on stored samples and on made ones, before it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, BundleError
from .backends import Session, make_backend
from .backends.dtypes import MEMORY
from .engines import BuildError
from .engines.wish import Wish, as_onnx

# Largest difference as a share of an output's largest value. FP32 engines multiply in TF32 where the device has it.
TOLERANCE = {"fp32": 0.01, "fp16": 0.02, "bf16": 0.05, "int8": 0.05}
MADE_ROWS, SEED = 4, 5
Rows = Sequence[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Truth:
    """Rows of inputs and what the file gives for each; the first `stored` are the bundle's own, the rest made up."""

    rows: Rows
    wanted: Rows
    stored: int
    tolerance: float


def truth_of(wish: Wish, device: DeviceProfile) -> Truth:
    """Run the file that the engine is built from in ONNX Runtime on the CPU. BuildError where that cannot be done."""
    backend = make_backend("onnx")
    if missing := backend.missing():
        raise BuildError(f"the engine has nothing to be compared with: {missing}", lasting=False)
    try:
        bundle = backend.describe(as_onnx(wish.bundle, wish.precision, wish.source))
        rows = [*stored_rows(bundle), *made_rows(bundle)]
        session = backend.open(bundle, replace(device, providers=("CPUExecutionProvider",), threads=1))
        try:
            wanted = answers(session, rows)
        finally:
            session.close()
    except BundleError as error:
        raise BuildError(str(error)) from error
    tolerance = float(bundle.params.get("engine_tolerance", TOLERANCE.get(wish.precision, 0.05)))
    return Truth(rows, wanted, len(rows) - MADE_ROWS, tolerance)


def stored_rows(bundle: Bundle) -> Rows:
    """The inputs of the bundle's canary, where it is one of the network itself."""
    if bundle.canary is None:
        return []
    try:
        with np.load(bundle.path(bundle.canary), allow_pickle=False) as stored:
            row = {name[3:]: stored[name] for name in stored.files if name.startswith("in:")}
    except (OSError, ValueError, EOFError, BadZipFile):      # a job's own canary has another form
        return []
    fits = all(s.name in row and row[s.name].shape == s.shape for s in bundle.inputs)
    return [{s.name: row[s.name].astype(MEMORY[s.dtype]) for s in bundle.inputs}] if fits else []


def made_rows(bundle: Bundle) -> Rows:
    """Noise, the same at every start: floats from 0 to 1, small whole numbers."""
    rng = np.random.default_rng(SEED)

    def noise(shape: tuple[int | None, ...], dtype: Any) -> np.ndarray:
        size = tuple(n or 0 for n in shape)
        return (rng.random(size) if np.dtype(dtype).kind == "f" else rng.integers(0, 2, size)).astype(dtype)
    return [{s.name: noise(s.shape, MEMORY[s.dtype]) for s in bundle.inputs} for _ in range(MADE_ROWS)]


def answers(session: Any, rows: Rows) -> Rows:
    """What a static session gives for each row: in runs as large as it takes, then the first row alone."""
    assert isinstance(session, Session)
    given: list[dict[str, np.ndarray]] = []
    runs = [rows[i:i + session.capacity] for i in range(0, len(rows), session.capacity)]
    for run in [*runs, rows[:1]]:
        for i, row in enumerate(run):
            for name, array in row.items():
                session.row(i)[name][...] = array
        session.run(len(run))
        given += [{s.name: np.array(session.row(i)[s.name]) for s in session.outputs} for i in range(len(run))]
    return given


def compare(session: Any, truth: Truth) -> float:
    """The largest difference found, as a share of the output's largest value. BuildError where it is too large."""
    worst = 0.0
    for i, (got, wanted) in enumerate(zip(answers(session, truth.rows), truth.wanted, strict=True)):
        stored = i < truth.stored or (i == len(truth.rows) and truth.stored > 0)
        for name, right in wanted.items():
            if right.dtype.kind != "f" and not stored:      # a label of noise may fall on either side
                continue
            apart = difference(got[name], right)
            worst = max(worst, apart)
            if apart > truth.tolerance:
                raise BuildError(f"the new engine does not agree with its model: output '{name}' differs by {apart:.3g} of its "
                                 f"largest value on {'a stored sample' if stored else 'a made sample'}, {truth.tolerance:g} is "
                                 "allowed (engine_tolerance in the bundle's params); it is not put into service", lasting=True)
    return worst


def difference(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference as a share of the largest wanted value; infinite where one is no number and the other is."""
    if got.shape != wanted.shape:
        return float("inf")
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(got, wanted) else float("inf")
    one, other = got.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(other)
    if not np.array_equal(np.where(finite, 0, one), np.where(finite, 0, other), equal_nan=True) or \
            not np.isfinite(one[finite]).all():
        return float("inf")
    span = float(np.abs(other[finite]).max(initial=0.0))
    apart = float(np.abs(one[finite] - other[finite]).max(initial=0.0))
    return apart / span if span else (0.0 if apart < 1e-6 else float("inf"))
