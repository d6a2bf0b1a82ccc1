"""Bare boards as template and tested picture with boxes: a station a pair, taught on its template alone.

A template is the only good picture of its piece of board. It is shown several times, each a little moved as a scanner
would see it; the good parts tested are made in the same way, so the image AUROC flatters. Boxes are what counts.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from tqdm import tqdm

from ..report import Options, Row
from .archives import members, picture
from .figures import auroc, hits
from .station import Trial, absent, localisation, teaching, trial

NAME = "deeppcb"
PAIRS, QUICK_PAIRS = 16, 2
SHOWN, TESTED = 6, 4
FARTHEST = 1.5         # px that a copy of the template is moved
Box = tuple[int, int, int, int]


def run(options: Options) -> Iterable[Row]:
    """Hit rate of boxes, false regions, pixel AUROC inside boxes, and AUROC of the pictures."""
    if not options.wants(NAME):
        return
    found = {} if options.data is None else _files(options)
    pairs = sorted(name.removesuffix("_temp.jpg") for name in found if name.endswith("_temp.jpg"))
    pairs = [stem for stem in pairs if f"{stem}_test.jpg" in found and _truth(stem) in found]
    if not pairs:
        yield absent(NAME, f"needs pairs with boxes in DATA/inspection/{NAME}, found none; give --data")
        return
    count = min(len(pairs), QUICK_PAIRS if options.quick else PAIRS)
    chosen = np.random.default_rng(0).permutation(len(pairs))[:count]
    yield from _measure([pairs[i] for i in sorted(chosen)], found, len(pairs))


def _files(options: Options) -> dict[str, bytes]:
    """Every file of the test split; of all splits where no archive is named as one."""
    assert options.data is not None
    folder = options.data / "inspection" / NAME
    archives = "*test*" if any(folder.glob("*test*")) else "*"
    return members(folder, lambda name: "/" in name and name.endswith((".jpg", ".txt")), archives)


def _truth(stem: str) -> str:
    """The file of boxes: groupG/N/X -> groupG/N_not/X.txt."""
    group, number, name = stem.rsplit("/", 2)
    return f"{group}/{number}_not/{name}.txt"


def boxes(text: bytes) -> list[Box]:
    """Lines of x1 y1 x2 y2 kind, px, as x, y, w, h."""
    corners = [[int(float(word)) for word in line.replace(",", " ").split()[:4]] for line in text.decode().splitlines()
               if line.strip()]
    return [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in corners]


def moved(template: np.ndarray, rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """The template as a scanner would see it again: moved by up to 1.5 px, not turned."""
    warps = [np.array([[1, 0, dx], [0, 1, dy]]) for dx, dy in rng.uniform(-FARTHEST, FARTHEST, (count, 2))]
    size = template.shape[1::-1]
    return [cv2.warpAffine(template, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for warp in warps]


def _measure(stems: list[str], found: dict[str, bytes], of: int) -> Iterable[Row]:
    trials: list[Trial] = []
    truth: list[list[Box]] = []
    for number, stem in enumerate(tqdm(stems, desc=NAME, disable=None)):
        template, tested = (picture(found[f"{stem}_{kind}.jpg"], stem) for kind in ("temp", "test"))
        rng = np.random.default_rng(number)
        shown = [template, *moved(template, rng, SHOWN - 1)]
        trials.append(trial(shown, moved(template, rng, TESTED), [tested]))
        truth.append(boxes(found[_truth(stem)]))
    yield from _pictures(trials, of)
    yield from _places(trials, truth, tested.shape[:2])


def _pictures(trials: list[Trial], of: int) -> Iterable[Row]:
    good = np.concatenate([t.scores(t.good) for t in trials])
    bad = np.concatenate([t.scores(t.bad) for t in trials])
    note = (f"{len(trials)} of {of} pairs, a station each, taught on the template and {SHOWN - 1} moved copies; good parts "
            f"tested are {TESTED} other copies: it flatters")
    yield Row(NAME, "image AUROC, stations pooled", auroc(good, bad), note=note)
    yield Row(NAME, "bad parts detected at the printed threshold", float(np.mean(bad > 1)))
    yield Row(NAME, "moved templates rejected at the printed threshold", float(np.mean(good > 1)),
              peer="average promised", peer_value=float(np.mean([t.learned.recipe.average for t in trials])))
    yield teaching(NAME, trials)


def _places(trials: list[Trial], truth: list[list[Box]], size: tuple[int, int]) -> Iterable[Row]:
    seen = [t.bad[0] for t in trials]
    counts = [hits(wanted, [r.box for r in e.regions]) for e, wanted in zip(seen, truth, strict=True)]
    total = sum(len(wanted) for wanted in truth)
    yield Row(NAME, "boxes touched by a region", sum(found for found, _ in counts) / max(total, 1), note=f"of {total} boxes")
    yield Row(NAME, "regions that touch no box", float(np.mean([false for _, false in counts])), "a picture")
    masks = []
    for wanted in truth:
        masks.append(np.zeros(size, np.uint8))
        for x, y, w, h in wanted:
            masks[-1][y:y + h, x:x + w] = 255
    yield from localisation(NAME, seen, masks, "; boxes taken as masks")
