"""Fixtured products in folders `normal` and `anomaly`: a few good ones are shown, all others tested, over several draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from tqdm import tqdm

from ..report import Options, Row
from .archives import members, picture, same_size
from .station import absent, counted, summary, trial

NAME = "aliens"
SHOWN = {30: 0.97, 10: None}      # good parts shown: the goal for the mean AUROC
SEEDS = 10
QUICK_SEEDS = {30: 2, 10: 1}
LEFT = 5                          # good parts that must remain to be tested


def run(options: Options) -> Iterable[Row]:
    """AUROC over draws of the shown parts, the mean and the worst, as the set's protocol says."""
    wanted = [n for n in SHOWN if options.wants(f"{NAME} n={n}")]
    if not wanted:
        return
    good, bad = pictures(options)
    for n in wanted:
        case = f"{NAME} n={n}"
        if len(good) < n + LEFT or not bad:
            yield absent(case, f"needs {n + LEFT} good pictures and a bad one in DATA/inspection/{NAME}, found {len(good)} and "
                               f"{len(bad)}; give --data")
            continue
        yield from _draws(case, n, good, bad, options.quick)


def pictures(options: Options) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Good and bad pictures."""
    if options.data is None:
        return [], []
    found = members(options.data / "inspection" / NAME,
                    lambda name: name.lower().endswith((".png", ".jpg", ".jpeg")) and _kind(name) is not None)
    sized = same_size({name: picture(data, name) for name, data in found.items()})
    return ([p for name, p in sized.items() if _kind(name) == "normal"],
            [p for name, p in sized.items() if _kind(name) == "anomaly"])


def _kind(name: str) -> str | None:
    return next((part for part in name.split("/")[:-1] if part in ("normal", "anomaly")), None)


def _draws(case: str, n: int, good: Sequence[np.ndarray], bad: Sequence[np.ndarray], quick: bool) -> Iterable[Row]:
    trials = []
    for seed in tqdm(range(QUICK_SEEDS[n] if quick else SEEDS), desc=case, disable=None):
        order = np.random.default_rng(seed).permutation(len(good))
        trials.append(trial([good[i] for i in order[:n]], [good[i] for i in order[n:]], bad))
    yield from summary(case, trials, goal=SHOWN[n], note=counted({"good tested": len(good) - n, "bad tested": len(bad)})
                       + "; all from one session of photographs, so splits by picture are optimistic")
    lost = [float(np.mean([not e.registration.found for e in t.bad])) for t in trials]
    yield Row(case, "bad parts not found at all", float(np.mean(lost)), spread=float(np.std(lost)),
              note="counted as rejected: they are not where parts were taught, or do not look like one")
