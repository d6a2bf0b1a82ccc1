"""How a quantised network compares with FP32 on the same samples: errors, verdicts, and what so many samples prove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p

import numpy as np

from .bundle import BundleError
from .calibrate import Feed, Outputs, Sample

PROBES = 16               # samples by which a layer's own error is measured
CONFIDENCE = 0.95
Progress = Callable[[int, int, str], None]
Run = Callable[[Feed], Outputs]


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


class Truth:
    """What FP32 answers, and how others compare with it."""

    def __init__(self, reference: Run, shown: Sequence[Sample], held: Sequence[Sample], tell: Progress) -> None:
        self._numbers: dict[str, np.ndarray] = {}
        self._outputs: dict[str, dict[str, np.ndarray]] = {}
        samples, keep = [*shown, *held], {s.name for s in held}
        self._probes = [shown[i * len(shown) // PROBES] for i in range(PROBES)] if len(shown) > PROBES else list(shown)
        for i, sample in enumerate(samples):
            outputs = reference(sample.feed)
            if not all(np.isfinite(a).all() for a in outputs.values() if a.dtype.kind == "f"):
                raise BundleError(f"the FP32 network answers {sample.name} with values that are not numbers; it cannot be "
                                  "judged")
            self._numbers[sample.name] = np.array(sample.weigh(outputs))
            if sample.name in keep:
                self._outputs[sample.name] = {k: np.array(a) for k, a in outputs.items() if a.dtype.kind == "f"}
            tell(i + 1, len(samples), "compare")
        self._span = {key: span([o[key] for o in self._outputs.values()]) for key in next(iter(self._outputs.values()))}
        self._reach = span(list(self._numbers.values()))

    def compare(self, run: Run, samples: Sequence[Sample]) -> tuple[float, float]:
        """(share of samples with FP32's verdict, root of the mean square error of the numbers that decide, of their span)."""
        gaps, right = [], 0
        for sample in samples:
            numbers = sample.weigh(run(sample.feed))
            gaps.append(numbers - self._numbers[sample.name])
            right += self._same(sample, numbers)
        error = float(np.sqrt(np.mean(np.square(gaps)))) / self._reach if np.isfinite(gaps).all() else float("inf")
        return right / len(samples), error

    def spread(self, run: Run) -> float:
        """The mean square error of the numbers that decide, on the probes, that no shift of them would take away.

        What layers add to it adds up.
        """
        gaps = [(sample.weigh(run(sample.feed)) - self._numbers[sample.name]) / self._reach for sample in self._probes]
        return float(np.mean(np.var(gaps, axis=0))) if np.isfinite(gaps).all() else float("inf")

    def _same(self, sample: Sample, numbers: np.ndarray) -> bool:
        return bool(sample.verdict(numbers) == sample.verdict(self._numbers[sample.name]))

    def judge(self, run: Run, held: Sequence[Sample]) -> Judged:
        """Errors and agreement on the held-out samples."""
        most, means, wrong = 0.0, [], []
        for sample in held:
            outputs = run(sample.feed)
            largest, mean = self._off(sample, outputs)
            most = max(most, largest)
            means.append(mean)
            if not self._same(sample, sample.weigh(outputs)):
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


def span(arrays: Sequence[np.ndarray]) -> float:
    """From the least to the largest value of all; 1 where they are all the same."""
    return max(float(a.max()) for a in arrays) - min(float(a.min()) for a in arrays) or 1.0


def at_least(right: int, of: int) -> float:
    """The share that is reached with 95 % confidence where `right` of `of` samples agreed (Clopper and Pearson, one-sided)."""
    if right == 0:
        return 0.0
    ways = [lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) for k in range(right, of + 1)]      # in logs: they are huge
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        tail = sum(exp(ways[k - right] + k * log(share) + (of - k) * log1p(-share)) for k in range(right, of + 1))
        low, high = (share, high) if tail < 1 - CONFIDENCE else (low, share)
    return low
