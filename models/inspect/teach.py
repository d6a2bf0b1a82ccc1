"""Teaches an inspector by showing good parts: pictures in, a bundle with a threshold and its promise out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle import Bundle, BundleError
from .align import Aligned, align
from .conformal import promise
from .features import working_size
from .network import Network, learn_with
from .publish import publish
from .recipe import ROLE, Recipe, cover_of, decoded_sizes, params, save
from .score import examine, prepare, working_picture
from .select import Judged, best, candidates
from .showing import ADVISED, check, outliers, repeated

# Average share of good parts rejected that is aimed for. Up to 299 parts the threshold is then the highest score, and
# every further good part tightens both promises, as `runtime/teaching.py` and the page advise.
ALPHA = 1 / 300
CELLS = 1024            # of the grid, about
LICENCE = "made from the pictures that were shown; it holds one of them and belongs to whoever those belong to"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Learned:
    """What teaching found, before it is written."""

    recipe: Recipe
    judged: tuple[Judged, ...]
    chosen: Judged
    warnings: tuple[str, ...]
    detected: float | None          # share of the bad pictures above the threshold, None where none were shown


def teach(name: str, good: Sequence[np.ndarray], bad: Sequence[np.ndarray] = (), *, out_dir: Path, version: str,
          backbone: Network | None = None, progress: Progress | None = None, names: Sequence[str] | None = None,
          alpha: float = ALPHA, sent: tuple[int, int] | None = None) -> Bundle:
    """Learn from `good`, uint8 BGR pictures (h, w, 3) of one size, and write out_dir/NAME/VERSION/.

    `bad` pictures are only measured against the finished threshold. `names` says what to call the pictures (good, then
    bad) in sentences; by default "1", "2", ... `alpha` is the average share of good parts that may be rejected; the
    bundle says what the number of pictures can really promise. The same pictures make the same files. `sent` is the
    (height, width) of the pictures before they were decoded smaller, if they were: no smaller than `cover(sent)`.
    BundleError for pictures that cannot be taught from or a version that exists; OSError where they cannot be written.
    """
    learned = learn(name, good, bad, version=version, backbone=backbone, progress=progress, names=names, alpha=alpha,
                    sent=sent)
    tell = progress or (lambda done, total, stage: None)
    tell(0, 1, "write")
    numbers = params(learned.recipe) | report(learned, len(good), len(bad), alpha)
    bundle = Bundle(name=name, version=version, role=ROLE, root=Path(out_dir), params=numbers, licence=LICENCE,
                    files={("onnx", "fp32"): "backbone.onnx"} if backbone else {})

    def write(folder: Path) -> tuple[str, ...]:
        written = save(learned.recipe, folder)
        return (*written, *backbone.save(folder)) if backbone else written

    made = publish(bundle, write, Path(out_dir))
    tell(1, 1, "write")
    return made


def learn(name: str, good: Sequence[np.ndarray], bad: Sequence[np.ndarray] = (), *, version: str = "1",
          backbone: Network | None = None, progress: Progress | None = None, names: Sequence[str] | None = None,
          alpha: float = ALPHA, sent: tuple[int, int] | None = None) -> Learned:
    """As `teach`, but nothing is written."""
    called = list(names) if names is not None else [str(i + 1) for i in range(len(good) + len(bad))]
    if len(called) != len(good) + len(bad):
        raise BundleError(f"expected a name for each of {len(good) + len(bad)} pictures, got {len(called)}")
    check(good, bad, called)
    warnings, different = repeated(good, called)
    if different < 2:
        raise BundleError(f"all {len(good)} pictures are the same; show different good parts, at least 2 and better {ADVISED}")
    tell = progress or (lambda done, total, stage: None)
    tell(0, 1, "align")
    work = working(sent or good[0].shape[:2])
    if sent is not None and good[0].shape[:2] not in decoded_sizes(sent, least := cover_of(work)):
        raise BundleError(f"pictures of {sent[1]} x {sent[0]} came at {good[0].shape[1]} x {good[0].shape[0]}; expected them "
                          f"whole or decoded at 1/2, 1/4 or 1/8, no smaller than {least[1]} x {least[0]}")
    aligned = align([working_picture(np.ascontiguousarray(image), work) for image in good])
    tell(1, 1, "align")
    judged = _candidates(aligned, backbone, alpha, tell)
    chosen = best(judged)
    recipe = _recipe(name, version, good, aligned, chosen, backbone, alpha, sent)
    warnings += _oddities(aligned, chosen, called, different)
    return Learned(recipe, tuple(judged), chosen, tuple(warnings), _detected(recipe, bad, backbone))


def working(size: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of the working picture of pictures of that (height, width)."""
    return working_size(size[0], size[1], CELLS)


def cover(size: tuple[int, ...]) -> tuple[int, int]:
    """The least (height, width) at which pictures of that (height, width) may be decoded."""
    return cover_of(working(size))


def _candidates(aligned: Aligned, backbone: Network | None, alpha: float, tell: Progress) -> list[Judged]:
    """Every candidate, measured; progress is told in parts done."""
    count, total = 0, len(aligned.pictures) * (1 if backbone else 4)

    def tick() -> None:
        nonlocal count
        count += 1
        tell(min(count, total), total, "learn")

    if backbone is not None:
        return learn_with(backbone, aligned.pictures, alpha, tick)
    return candidates(aligned.pictures, alpha, tick)


def _recipe(name: str, version: str, good: Sequence[np.ndarray], aligned: Aligned, chosen: Judged,
            backbone: Network | None, alpha: float, sent: tuple[int, int] | None) -> Recipe:
    kept, fit = promise(chosen.scores, alpha), chosen.fit
    picture = np.ascontiguousarray(good[aligned.typical])
    recipe = Recipe(
        name=name, version=version, size=sent or (picture.shape[0], picture.shape[1]), work=aligned.pictures[0].shape[:2],
        reduced=sent is not None,
        method=fit.method, radius=fit.radius, contrast=chosen.contrast, register=aligned.register, gate=aligned.gate,
        unit=chosen.unit, threshold=kept.threshold, average=kept.average, bound=kept.bound, canary_score=0.0,
        backbone=backbone.spec if backbone else None, reference=aligned.reference, picture=picture, offset=fit.offset,
        scale=fit.scale, projection=fit.projection, bank=fit.bank, mean=fit.mean, whiten=fit.whiten)
    taps = backbone.taps(prepare(picture, recipe).picture) if backbone else None
    return replace(recipe, canary_score=examine(picture, recipe, taps).score)


def _oddities(aligned: Aligned, chosen: Judged, names: Sequence[str], different: int) -> list[str]:
    """What the person should look at before trusting the station."""
    said = outliers(chosen.scores, names)
    if different < ADVISED:
        said.append(f"only {different} different good parts were shown; {ADVISED} or more make a station that can be trusted")
    if not aligned.register:
        said.append("the pictures have no shape in common, so parts are not moved into place before they are compared; for a "
                    "fixtured part check that all pictures show it from the same side")
    return said


def _detected(recipe: Recipe, bad: Sequence[np.ndarray], backbone: Network | None) -> float | None:
    if not bad:
        return None
    scores = []
    for image in bad:
        taps = backbone.taps(prepare(image, recipe).picture) if backbone else None
        scores.append(examine(image, recipe, taps).score)
    return float(np.mean(np.array(scores) > recipe.threshold))


def report(learned: Learned, good: int, bad: int, alpha: float) -> dict[str, Any]:
    """What the bundle tells of its teaching, as params."""
    table: dict[str, Any] = {
        "good_parts": good, "alpha": alpha, "warnings": list(learned.warnings),
        "good_scores": [round(s, 6) for s in sorted(learned.chosen.scores)],
        "candidates": [{"name": j.name, "spoiled_seen": round(j.detected, 4), "ranked": round(j.ranked, 4),
                        "chosen": j is learned.chosen} for j in learned.judged],
    }
    if learned.detected is not None:
        table |= {"bad_parts": bad, "bad_detected": round(learned.detected, 6)}
    return table
