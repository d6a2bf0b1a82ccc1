"""One station in a measurement: teach it good parts by the real teaching code, show it others, and sum up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...models.inspect.score import Examination, examine
from ...models.inspect.teach import Learned, learn
from ..report import Row
from .figures import AUPRO_LIMIT, aupro, auroc, coarse_map, coarse_mask, pixel_auroc


@dataclass(frozen=True)
class Trial:
    """A station that was taught `shown` good parts, and what it said of parts it had not seen."""

    shown: int
    learned: Learned
    seconds: float
    good: tuple[Examination, ...]
    bad: tuple[Examination, ...]

    @property
    def threshold(self) -> float:
        """The printed one."""
        return self.learned.recipe.threshold

    def scores(self, of: Sequence[Examination]) -> np.ndarray:
        """Their scores in thresholds, so that stations can be pooled."""
        return np.array([e.score for e in of]) / self.threshold

    @property
    def auroc(self) -> float:
        """Of the pictures."""
        return auroc(self.scores(self.good), self.scores(self.bad))


def trial(shown: Sequence[np.ndarray], good: Iterable[np.ndarray], bad: Iterable[np.ndarray]) -> Trial:
    """Teach with `shown`, then examine unseen `good` and `bad`: uint8 BGR pictures of one size."""
    return tested(*taught(shown), good, bad)


def taught(shown: Sequence[np.ndarray]) -> tuple[Learned, float]:
    """What was learned of good parts, and in how many seconds."""
    begin = time.perf_counter()
    learned = learn("bench", shown)
    return learned, time.perf_counter() - begin


def tested(learned: Learned, seconds: float, good: Iterable[np.ndarray], bad: Iterable[np.ndarray]) -> Trial:
    """Examine unseen parts."""
    return Trial(len(learned.chosen.scores), learned, seconds, tuple(examine(p, learned.recipe) for p in good),
                 tuple(examine(p, learned.recipe) for p in bad))


def summary(case: str, trials: Sequence[Trial], *, worst: str = "seed", goal: float | None = None,
            note: str) -> Iterable[Row]:
    """AUROC in the mean and at worst, false rejects beside the promise, detection, seconds of teaching."""
    found = [t.auroc for t in trials]
    mean = float(np.mean(found))
    yield Row(case, "image AUROC, mean", mean, spread=float(np.std(found)), goal=None if goal is None else f"AUROC >= {goal}",
              met=None if goal is None else mean >= goal, note=f"{len(trials)} {worst}{'s' if len(trials) > 1 else ''}; {note}")
    if len(trials) > 1:
        yield Row(case, f"image AUROC, worst {worst}", min(found))
    promised = float(np.mean([t.learned.recipe.average for t in trials]))
    rejected = [float(np.mean(t.scores(t.good) > 1)) for t in trials]
    yield Row(case, "good parts rejected at the printed threshold", float(np.mean(rejected)), spread=float(np.std(rejected)),
              peer="average promised", peer_value=promised)
    seen = [float(np.mean(t.scores(t.bad) > 1)) for t in trials]
    yield Row(case, "bad parts detected at the printed threshold", float(np.mean(seen)), spread=float(np.std(seen)))
    yield teaching(case, trials)


def teaching(case: str, trials: Sequence[Trial]) -> Row:
    """How long it took to learn, and what was chosen."""
    seconds, names = [t.seconds for t in trials], [t.learned.chosen.name for t in trials]
    chosen = ", ".join(f"{name} {names.count(name)} x" for name in sorted(set(names)))
    parts = sorted({t.shown for t in trials})
    return Row(case, "teach", float(np.median(seconds)), "s", float(np.std(seconds)),
               note=f"{' to '.join(str(n) for n in {parts[0]: 0, parts[-1]: 0})} good parts each; chosen: {chosen}")


def localisation(case: str, seen: Sequence[Examination], masks: Sequence[np.ndarray], note: str = "") -> Iterable[Row]:
    """Pixel AUROC and AUPRO of maps in thresholds' units against masks, uint8 (h, w) of the pictures' size."""
    maps = [coarse_map(e.map, mask.shape[:2]) for e, mask in zip(seen, masks, strict=True)]
    truth = [coarse_mask(mask) for mask in masks]
    yield Row(case, "pixel AUROC", pixel_auroc(maps, truth))
    yield Row(case, "AUPRO", aupro(maps, truth),
              note=f"integrated to {AUPRO_LIMIT:.0%} of good px; masks above 0, at a quarter of the resolution{note}")


def absent(case: str, what: str) -> Row:
    """The row of a case that cannot run."""
    return Row(case, "image AUROC, mean", None, note=what)


def counted(cases: Mapping[str, int]) -> str:
    """How many of what, in words."""
    return ", ".join(f"{count} {name}" for name, count in cases.items())
