"""Quantises a network to INT8 and judges it: which layers stay in float, how far it is off, whether it may be used at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Protocol

import numpy as np

from .bundle import BundleError
from .calibrate import Feed, Outputs, Sample

AGREEMENT = 0.99          # least share of held-out samples with the same verdict as FP32
HELD_OUT = 3              # every third sample is held out
LEAST = 8                 # samples; fewer say nothing of ranges
PROBES = 8                # samples by which a layer's own error is measured
MOST_FLOAT = 0.5          # share of the layers that may stay in float: beyond it INT8 is not worth its error
CONFIDENCE = 0.95
Progress = Callable[[int, int, str], None]
Run = Callable[[Feed], Outputs]


class Tool(Protocol):
    """What turns an FP32 file into INT8 ones and runs them; see runtime/backends/onnx_quantize.py."""

    @property
    def layers(self) -> Sequence[str]:
        """Names of the layers that INT8 would speed up, in their order."""

    def calibrate(self, feeds: Iterable[Feed]) -> None:
        """Learn the range of every tensor; once."""

    def write(self, kind: str, path: Path, floats: Sequence[str] = (), only: Sequence[str] = ()) -> None:
        """Write the file of `kind` ("cpu" or "trt") with the layers `floats` in float, or `only` those in INT8."""

    def run(self, path: Path | None) -> Run:
        """What runs a file, or with None the FP32 one it came from."""


@dataclass(frozen=True)
class Judged:
    """One file against FP32 on held-out samples. Errors are shares of the span of each output.

    `least` is what the agreement is at least with 95 % confidence, which says how much `samples` are worth. `wrong` names
    samples with another verdict, at most ten.
    """

    samples: int
    agreement: float
    least: float
    max_error: float
    mean_error: float
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Quantized:
    """What became of a network: the judgement of each file that was kept, and why one was not."""

    kept: Mapping[str, Judged]          # "cpu", and "trt" where it holds the bound too
    dropped: Mapping[str, str]
    floats: tuple[str, ...]             # layers kept in float, the worst first
    layers: int
    calibrated: int
    tried: int                          # files that were made and judged on the way


def split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """(to calibrate with, held out): every third is held out. BundleError for fewer than LEAST or none that differ."""
    if len(samples) < LEAST:
        raise BundleError(f"expected at least {LEAST} pictures or samples to calibrate with, got {len(samples)}; take some of "
                          "what the station really sees, 100 are good")
    first = samples[0].feed
    if all(np.array_equal(first[k], s.feed[k]) for s in samples[1:] for k in first):
        raise BundleError(f"all {len(samples)} samples are the same; ranges learnt from one picture fit no other")
    return [s for i, s in enumerate(samples) if i % HELD_OUT != 1], [s for i, s in enumerate(samples) if i % HELD_OUT == 1]


def quantize(tool: Tool, samples: Sequence[Sample], work: Path, *, bound: float = AGREEMENT,
             progress: Progress | None = None) -> Quantized:
    """Make work/cpu.onnx and work/trt.onnx from one calibration, with as many layers in float as the bound asks for.

    The layers are chosen on the samples of the calibration; whether the result is good enough, the held-out ones say.
    BundleError where no choice reaches the bound; nothing of `work` is then worth keeping.
    """
    tell = progress or (lambda done, of, stage: None)
    shown, held = split(samples)
    tool.calibrate(ticking([s.feed for s in shown], "calibrate", tell))
    reference = tool.run(None)
    truth = Truth(reference, shown, held, tell)
    tried, ranking, best = 0, None, 0.0
    counts = steps(len(tool.layers))
    for count in counts:
        tell(tried, len(counts), "try")
        if count and ranking is None:
            ranking = ranked(tool, truth, work, tell)
        floats = tuple(ranking[:count]) if ranking else ()
        tool.write("cpu", work / "cpu.onnx", floats)
        tried += 1
        run = tool.run(work / "cpu.onnx")
        agreed = truth.agreement(run, shown)
        if agreed < bound:
            best = max(best, agreed)
            continue
        judged = truth.judge(run, held)
        best = max(best, judged.agreement)
        if judged.agreement >= bound:
            kept, dropped = {"cpu": judged}, {}
            tool.write("trt", work / "trt.onnx", floats)
            other = truth.judge(tool.run(work / "trt.onnx"), held)
            if other.agreement >= bound:
                kept["trt"] = other
            else:
                dropped["trt"] = (f"its verdicts are FP32's on {other.agreement:.2%} of {other.samples} held-out samples, the "
                                  f"bound is {bound:.2%}")
            return Quantized(kept, dropped, floats, len(tool.layers), len(shown), tried)
    raise BundleError(f"INT8 is refused: at least {bound:.2%} of the verdicts were to be FP32's, at best "
                      f"{best:.2%} were, with up to {int(MOST_FLOAT * len(tool.layers))} of {len(tool.layers)} layers kept in "
                      "float; nothing was written. Calibrate with more pictures of what the station really sees, or keep FP32")


def steps(layers: int) -> list[int]:
    """How many layers to keep in float, in the order of trying: none, 1, 2, 4, ... up to MOST_FLOAT of them."""
    most = int(MOST_FLOAT * layers)
    counts = [0]
    while counts[-1] < most:
        counts.append(min(most, max(1, 2 * counts[-1])))
    return counts


def ranked(tool: Tool, truth: Truth, work: Path, tell: Progress) -> list[str]:
    """The layers by the error that each alone makes in INT8 while all others are in float, the worst first."""
    errors = {}
    for i, layer in enumerate(tool.layers):
        tool.write("cpu", work / "probe.onnx", only=(layer,))
        errors[layer] = truth.error(tool.run(work / "probe.onnx"))
        tell(i + 1, len(tool.layers), "layers")
    (work / "probe.onnx").unlink(missing_ok=True)
    return sorted(errors, key=lambda layer: errors[layer], reverse=True)


def ticking(items: Sequence[Feed], stage: str, tell: Progress) -> Iterable[Feed]:
    """The items, with progress told as they are taken."""
    for i, item in enumerate(items):
        yield item
        tell(i + 1, len(items), stage)


class Truth:
    """What FP32 answers, and how others compare with it."""

    def __init__(self, reference: Run, shown: Sequence[Sample], held: Sequence[Sample], tell: Progress) -> None:
        self._verdicts: dict[str, object] = {}
        self._outputs: dict[str, dict[str, np.ndarray]] = {}
        samples = [*shown, *held]
        keep = {s.name for s in (*held, *shown[:PROBES])}
        self._probes = shown[:PROBES]
        for i, sample in enumerate(samples):
            outputs = reference(sample.feed)
            if not all(np.isfinite(a).all() for a in outputs.values() if a.dtype.kind == "f"):
                raise BundleError(f"the FP32 network answers {sample.name} with values that are not numbers; it cannot be "
                                  "judged")
            self._verdicts[sample.name] = sample.verdict(outputs)
            if sample.name in keep:
                self._outputs[sample.name] = {k: np.array(a) for k, a in outputs.items() if a.dtype.kind == "f"}
            tell(i + 1, len(samples), "compare")
        self._span = {key: max(float(o[key].max()) for o in self._outputs.values())
                      - min(float(o[key].min()) for o in self._outputs.values()) or 1.0
                      for key in next(iter(self._outputs.values()))}

    def agreement(self, run: Run, samples: Sequence[Sample]) -> float:
        """The share of samples with FP32's verdict."""
        return sum(s.verdict(run(s.feed)) == self._verdicts[s.name] for s in samples) / len(samples)

    def error(self, run: Run) -> float:
        """The mean error on the first few samples, as a share of each output's span."""
        return float(np.mean([self._off(s, run(s.feed))[1] for s in self._probes]))

    def judge(self, run: Run, held: Sequence[Sample]) -> Judged:
        """Errors and agreement on the held-out samples."""
        most, means, wrong = 0.0, [], []
        for sample in held:
            outputs = run(sample.feed)
            largest, mean = self._off(sample, outputs)
            most = max(most, largest)
            means.append(mean)
            if sample.verdict(outputs) != self._verdicts[sample.name]:
                wrong.append(sample.name)
        right = len(held) - len(wrong)
        return Judged(len(held), right / len(held), at_least(right, len(held)), most, float(np.mean(means)), tuple(wrong[:10]))

    def _off(self, sample: Sample, outputs: Outputs) -> tuple[float, float]:
        """(largest, mean) error of one sample over all its outputs."""
        gaps = [np.abs(np.asarray(outputs[key], np.float64) - true) / self._span[key]
                for key, true in self._outputs[sample.name].items()]
        if not all(np.isfinite(gap).all() for gap in gaps):
            return float("inf"), float("inf")
        return max(float(gap.max()) for gap in gaps), float(np.mean([gap.mean() for gap in gaps]))


def at_least(right: int, of: int) -> float:
    """The share that is reached with 95 % confidence where `right` of `of` samples agreed (Clopper and Pearson, one-sided)."""
    if right == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        tail = sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(right, of + 1))
        low, high = (share, high) if tail < 1 - CONFIDENCE else (low, share)
    return low
