"""`kcenter` against NumPy: the codes of a teaching set, greedily."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np

from ...kernels import kcenter
from ...kernels.kcenter import reference
from ..report import Options, Row
from .peers import one_thread
from .timing import Goal, interleaved

CODES, DEPTH, CENTRES = 123_000, 64, 3_000
FEWER = 16


def greedy(codes: np.ndarray, norms: np.ndarray, count: int) -> np.ndarray:
    """NumPy float32: one matrix-vector product, one minimum, one argmax a centre; distances by norms."""
    far, out = np.full(len(codes), np.inf, np.float32), np.empty(count, np.int32)
    nearest = 0
    for row in range(count):
        out[row] = nearest
        np.minimum(far, norms + norms[nearest] - 2 * (codes @ codes[nearest]), out=far)
        far[nearest] = -1
        nearest = int(far.argmax())
    return out


def rows(options: Options) -> Iterator[Row]:
    """123,000 codes of 64 to 3,000; the peer's time is measured on fewer centres, as each one costs it the same."""
    case = f"kcenter {CODES // 1000}k x {DEPTH} -> {CENTRES:,}"
    if not options.wants(case):
        return
    codes = np.random.default_rng(0).integers(-127, 128, (CODES, DEPTH), dtype=np.int8)
    floats = codes.astype(np.float32)
    norms = np.square(floats).sum(1)
    few, whole = np.empty(FEWER, np.int32), np.empty(CENTRES, np.int32)
    reference.kcenter(codes, 0, few)
    with one_thread():
        found = interleaved({"ours": lambda: kcenter(codes, out=whole), "numpy": lambda: greedy(floats, norms, FEWER)}, 0.0)
    ours, theirs = statistics.median(found["ours"]), statistics.median(found["numpy"]) / FEWER * CENTRES
    yield Row(case, "time", ours, "us", None, f"NumPy float32, {FEWER} centres x {CENTRES / FEWER:g}", theirs, theirs / ours,
              "<= 1.5 s", Goal("<= 1.5 s", most_us=1.5e6).met(ours, None),
              f"the peer's time is extrapolated; first {FEWER} as in the reference: {np.array_equal(few, whole[:FEWER])}")
