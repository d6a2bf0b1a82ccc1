"""Quantises a network to INT8 and judges it: how ranges are set, which layers stay in float, whether it may be used at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .agreement import Judged, Progress, Run, Truth
from .bundle import AGREEMENT, BundleError
from .calibrate import Feed, Sample

HELD_OUT = 3              # every third sample is held out
LEAST = 8                 # samples; fewer say nothing of ranges
MOST_FLOAT = 0.5          # share of the layers that may stay in float: beyond it INT8 is not worth its error


class Tool(Protocol):
    """What turns an FP32 file into INT8 ones and runs them; see runtime/backends/onnx_quantize.py."""

    @property
    def layers(self) -> Sequence[str]:
        """Names of the layers that INT8 would speed up, in their order."""

    @property
    def head(self) -> Sequence[str]:
        """Names of those that stay in float whatever is asked."""

    @property
    def ways(self) -> Sequence[str]:
        """In how many ways the ranges of tensors can be set, by name."""

    def calibrate(self, feeds: Iterable[Feed]) -> None:
        """See what every tensor holds; once."""

    def work(self) -> Mapping[str, float]:
        """Each layer's share of the work of all layers; after `calibrate`."""

    def write(self, kind: str, path: Path, floats: Sequence[str] = (), only: Sequence[str] = (), *, ranges: str,
              settle: bool = False) -> None:
        """Write the file of `kind` ("cpu" or "trt") with the layers `floats` in float, or `only` those in INT8.

        With `settle` the biases are set so that each layer is right in the mean.
        """

    def run(self, path: Path | None) -> Run:
        """What runs a file, or with None the FP32 one it came from."""


@dataclass(frozen=True)
class Hurt:
    """Why a layer is in float: its share of the error that all layers make, and of the work that INT8 would speed up."""

    layer: str
    error: float
    work: float


@dataclass(frozen=True)
class Quantized:
    """What became of a network: the judgement of each file that was kept, and why one was not."""

    kept: Mapping[str, Judged]          # "cpu", and "trt" where it holds the bound too
    dropped: Mapping[str, str]
    floats: tuple[Hurt, ...]            # layers kept in float, the most error for the least work first
    head: tuple[str, ...]               # those that are in float always
    layers: int
    calibrated: int
    ranges: str                         # how they were set
    tried: int                          # files that were made on the way
    looks: int                          # how many of them were judged on the held-out samples


@dataclass(frozen=True)
class Trial:
    """One file on the way, with its agreement and its error on samples of the calibration, as `Truth.compare` gives them."""

    path: Path
    ranges: str
    floats: tuple[str, ...]
    agreement: float
    error: float


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

    How ranges are set and which layers stay in float is chosen on the samples of the calibration; whether the result is
    good enough, the held-out ones say. BundleError where no choice reaches the bound; nothing of `work` is then worth keeping.
    """
    tell = progress or (lambda done, of, stage: None)
    shown, held = split(samples)
    tool.calibrate(ticking([s.feed for s in shown], "calibrate", tell))
    search = Search(tool, Truth(tool.run(None), shown, held, tell), shown, held, work, bound, tell)
    found, judged = search.run()
    found.path.replace(work / "cpu.onnx")
    kept, dropped = {"cpu": judged}, {}
    tool.write("trt", work / "trt.onnx", found.floats, ranges=found.ranges, settle=True)
    other = search.truth.judge(tool.run(work / "trt.onnx"), held)
    if other.agreement >= bound:
        kept["trt"] = other
    else:
        dropped["trt"] = (f"its verdicts are FP32's on {other.agreement:.2%} of {other.samples} held-out samples, the bound is "
                          f"{bound:.2%}")
    return Quantized(kept, dropped, search.ranking[:len(found.floats)], tuple(tool.head), len(tool.layers), len(shown),
                     found.ranges, search.tried, search.looks)


class Search:
    """Looks for the fastest file that holds the bound: every layer in INT8, else with just enough of them in float."""

    def __init__(self, tool: Tool, truth: Truth, shown: Sequence[Sample], held: Sequence[Sample], work: Path, bound: float,
                 tell: Progress) -> None:
        self.tool, self.truth, self.work, self.bound, self.tell = tool, truth, work, bound, tell
        self.shown, self.held = shown, held
        self.tried = self.looks = 0
        self.best = 0.0                             # agreement of those that did not hold the bound
        self.ranking: tuple[Hurt, ...] = ()         # worked out when it is needed

    def run(self) -> tuple[Trial, Judged]:
        """The file that was found, and how it does on the held-out samples; BundleError where none holds the bound."""
        trials = sorted((self.attempt(ranges, 0) for ranges in self.tool.ways), key=lambda trial: trial.error)
        for trial in trials:
            judged = self.check(trial)
            if judged:
                return trial, judged
        return self.mixed(trials[0].ranges)

    def mixed(self, ranges: str) -> tuple[Trial, Judged]:
        """With 1, 2, 4, ... layers in float until the bound holds; then as few as hold it, by halving what lies between."""
        self.ranking = ranked(self.tool, self.truth, self.work, ranges, self.tell)
        fails, found, counts = 0, None, list(steps(len(self.tool.layers))[1:])
        while counts:
            count = counts.pop(0)
            trial = self.attempt(ranges, count)
            judged = self.check(trial)
            if judged:
                found, holds = (trial, judged), count
            else:
                fails = count
            if found:
                counts = [(fails + holds) // 2] if holds - fails > 1 else []
        if found is None:
            raise BundleError(f"INT8 is refused: at least {self.bound:.2%} of the verdicts were to be FP32's, at best "
                              f"{self.best:.2%} were, with up to {int(MOST_FLOAT * len(self.tool.layers))} of "
                              f"{len(self.tool.layers)} layers kept in float; nothing was written. Calibrate with more "
                              "pictures of what the station really sees, or keep FP32")
        return found

    def attempt(self, ranges: str, count: int) -> Trial:
        """Make the file with so many layers in float, and see how it does on the samples of the calibration."""
        path, floats = self.work / f"try{self.tried}.onnx", tuple(hurt.layer for hurt in self.ranking[:count])
        self.tool.write("cpu", path, floats, ranges=ranges, settle=True)
        run = self.tool.run(path)
        self.tried += 1
        self.tell(self.tried, len(self.tool.ways) + 2 * len(steps(len(self.tool.layers))), "try")
        return Trial(path, ranges, floats, *self.truth.compare(run, self.shown))

    def check(self, trial: Trial) -> Judged | None:
        """How the file does on the held-out samples where it holds the bound; they are asked only after the others."""
        if trial.agreement < self.bound:
            self.best = max(self.best, trial.agreement)
            return None
        self.looks += 1
        judged = self.truth.judge(self.tool.run(trial.path), self.held)
        if judged.agreement >= self.bound:
            return judged
        self.best = max(self.best, judged.agreement)
        return None


def steps(layers: int) -> list[int]:
    """How many layers to keep in float, in the order of trying: none, 1, 2, 4, ... up to MOST_FLOAT of them."""
    most = int(MOST_FLOAT * layers)
    counts = [0]
    while counts[-1] < most:
        counts.append(min(most, max(1, 2 * counts[-1])))
    return counts


def ranked(tool: Tool, truth: Truth, work: Path, ranges: str, tell: Progress) -> tuple[Hurt, ...]:
    """The layers by the error that each alone makes in INT8, all others in float, for the work that it would speed up."""
    errors, path = {}, work / "probe.onnx"
    for i, layer in enumerate(tool.layers):
        tool.write("cpu", path, only=(layer,), ranges=ranges)
        errors[layer] = truth.spread(tool.run(path))
        tell(i + 1, len(tool.layers), "layers")
    path.unlink(missing_ok=True)
    total, shares = sum(errors.values()) or 1.0, tool.work()
    hurts = [Hurt(layer, error / total if np.isfinite(total) else float(np.isinf(error)), shares[layer])
             for layer, error in errors.items()]
    return tuple(sorted(hurts, key=lambda hurt: hurt.error / max(hurt.work, 1e-6), reverse=True))


def ticking(items: Sequence[Feed], stage: str, tell: Progress) -> Iterable[Feed]:
    """The items, with progress told as they are taken."""
    for i, item in enumerate(items):
        yield item
        tell(i + 1, len(items), stage)
