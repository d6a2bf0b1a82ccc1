"""What the tensors of a network hold while it sees the samples of a calibration: ranges for INT8, means for its biases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import onnx_engine

SQUARES, WHOLE = "least squares", "whole range"
WAYS = (SQUARES, WHOLE)
LEVELS = 255                        # steps of 8 bits
KEPT = 2048                         # values of a tensor that are kept of one sample
MOST = 1 << 17                      # and at most in all
SHARES = np.linspace(1.0, 0.2, 33).tolist()  # of the whole range, among which the least error is looked for
MEANS = 32                          # samples by whose means biases are set
HELD_BYTES = 1 << 29                # what their tensors may take together
Feed = Mapping[str, np.ndarray]


class Seen:
    """Extremes and some values of every tensor, and the mean of each layer's output, per channel, in every sample."""

    def __init__(self) -> None:
        self.low: dict[str, float] = {}
        self.high: dict[str, float] = {}
        self.sizes: dict[str, int] = {}                 # values of a tensor in one sample
        self.feeds: list[Feed] = []
        self._means: list[dict[str, np.ndarray]] = []   # of each sample, by tensor
        self._kept: dict[str, list[np.ndarray]] = {}
        self._rng = np.random.default_rng(0)

    def add(self, feed: Feed, tensors: Mapping[str, np.ndarray], channelled: Iterable[str]) -> None:
        """Take the tensors of one sample; of those in `channelled` the mean of axis 1 is kept too."""
        for name, array in tensors.items():
            if array.dtype != np.float32 or not array.size:
                continue
            flat = array.ravel()
            self.low[name] = min(self.low.get(name, 0.0), float(flat.min()))
            self.high[name] = max(self.high.get(name, 0.0), float(flat.max()))
            self.sizes[name] = max(self.sizes.get(name, 0), flat.size)
            some = flat if flat.size <= KEPT else flat[self._rng.integers(0, flat.size, KEPT)]
            kept = self._kept.setdefault(name, [])
            kept.append(np.array(some))
            if sum(part.size for part in kept) > 2 * MOST:      # drawn anew, so that memory is bounded
                kept[:] = [self._rng.choice(np.concatenate(kept), MOST, replace=False)]
        self._means.append({name: mean(tensors[name]) for name in channelled if tensors[name].ndim > 1})
        self.feeds.append(feed)

    def chosen(self) -> list[int]:
        """Which samples set the biases: spread evenly, as many as memory allows for."""
        largest = 4 * max(self.sizes.values(), default=1)
        count = min(len(self.feeds), MEANS, max(8, HELD_BYTES // (3 * largest)))
        return [i * len(self.feeds) // count for i in range(count)]

    def mean(self, name: str) -> np.ndarray | None:
        """The mean of a layer's output in the chosen samples, float64 (channels,); None where it has no channels."""
        found = [self._means[i].get(name) for i in self.chosen()]
        return None if any(m is None for m in found) else np.mean([m for m in found if m is not None], axis=0)

    def ranges(self, way: str) -> Any:
        """The range of every tensor as the quantiser wants them."""
        from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData

        found = {}
        for name, low in self.low.items():
            ends = (low, self.high[name]) if way == WHOLE else least_squares(self._some(name), low, self.high[name])
            found[name] = tuple(np.array(end, np.float32) for end in ends)
        return TensorsData(CalibrationMethod.MinMax, found)

    def _some(self, name: str) -> np.ndarray:
        values = np.concatenate(self._kept[name])
        return values if values.size <= MOST else values[self._rng.integers(0, values.size, MOST)]


def mean(array: np.ndarray) -> np.ndarray:
    """The mean over all axes but the second, float64 (channels,)."""
    return array.mean(axis=(0, *range(2, array.ndim)), dtype=np.float64)


def least_squares(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The part of low <= 0 <= high whose 255 steps round and clip `values` with the least mean square error.

    Rare extremes are clipped where that makes the steps of all others finer; either end is drawn in, or both alike.
    """
    best, found = np.inf, (low, high)
    for share in SHARES:
        ends = {(low * share, high * share), (low, high * share), (low * share, high)}
        for lower, upper in sorted(ends):
            step = (upper - lower) / LEVELS
            if step < np.finfo(np.float32).tiny:         # nothing to round: float32 divides by less as by zero
                continue
            zero = round(-lower / step)
            off = (np.clip(np.rint(values / np.float32(step)) + zero, 0, LEVELS) - zero) * np.float32(step) - values
            error = float(np.dot(off, off))
            if error < best:
                best, found = error, (lower, upper)
    return found


def watch(path: Path, feeds: Iterable[Feed], names: Sequence[str], channelled: Sequence[str]) -> Seen:
    """Run the FP32 network at `path` on the feeds and see its tensors `names`; of `channelled` the means are kept."""
    import onnx

    model = onnx.load(path)
    given = {entry.name for entry in model.graph.input}
    have = {entry.name for entry in model.graph.output}
    asked = list(dict.fromkeys(name for name in (*names, *channelled) if name not in given))
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in asked if name not in have)
    session = bytes_session(model.SerializeToString())
    seen = Seen()
    for feed in feeds:
        tensors = dict(zip(asked, session.run(asked, dict(feed)), strict=True))
        seen.add(feed, tensors | {name: feed[name] for name in names if name in given}, channelled)
    return seen


def bytes_session(model: bytes) -> Any:
    """A session of one thread on a model in memory. Fusing is left out that would hide a tensor."""
    ort = onnx_engine.engine()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
