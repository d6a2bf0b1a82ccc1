"""Commutator surfaces with masks (KolektorSDD's layout): items are split into folds, never their surfaces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from ...models.inspect.score import Examination
from ..report import Options, Row
from .archives import members, picture, same_size
from .station import Trial, absent, counted, localisation, summary, trial

NAME = "kolektorsdd_part"
FOLDS, QUICK_FOLDS = 3, 1
QUICK_SHOWN = 16
LEAST_ITEMS = 2 * FOLDS


def run(options: Options) -> Iterable[Row]:
    """Teach on the good surfaces of the other folds' items, test on all of this fold's."""
    if not options.wants(NAME):
        return
    images, masks = _pictures(options)
    items = sorted({_item(name) for name in images})
    if len(items) < LEAST_ITEMS:
        yield absent(NAME, f"needs {LEAST_ITEMS} items with masks in DATA/inspection/{NAME}, found {len(items)}; give --data")
        return
    yield from _folds(images, masks, items, options.quick)


def _item(name: str) -> str:
    return name.split("/")[-2]


def _pictures(options: Options) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Pictures and masks uint8 (h, w), both by the picture's name, cut to one size: lengths differ by a few per cent."""
    if options.data is None:
        return {}, {}
    found = members(options.data / "inspection" / NAME,
                    lambda name: "/" in name and name.lower().endswith((".jpg", ".png", ".bmp")))
    labels = {name.rsplit("_label", 1)[0]: name for name in found if "_label." in name}
    names = [name for name in found if "_label." not in name and name.rsplit(".", 1)[0] in labels]
    masks = {name: picture(found[labels[name.rsplit(".", 1)[0]]], name) for name in names}
    both = same_size({f"i {name}": picture(found[name], name) for name in names} | {f"m {n}": m for n, m in masks.items()})
    return {n: both[f"i {n}"] for n in names}, {n: np.ascontiguousarray(both[f"m {n}"][..., 0]) for n in names}


def _folds(images: dict[str, np.ndarray], masks: dict[str, np.ndarray], items: list[str], quick: bool) -> Iterable[Row]:
    order = np.random.default_rng(0).permutation(len(items))
    trials: list[Trial] = []
    seen: list[Examination] = []
    truth: list[np.ndarray] = []
    for fold in tqdm(range(QUICK_FOLDS if quick else FOLDS), desc=NAME, disable=None):
        tested = {items[i] for i in order[fold::FOLDS]}
        shown = [p for n, p in images.items() if _item(n) not in tested and not masks[n].any()]
        shown = shown[:QUICK_SHOWN] if quick else shown
        good = [n for n in images if _item(n) in tested and not masks[n].any()]
        bad = [n for n in images if _item(n) in tested and masks[n].any()]
        if not good or not bad or len(shown) < 2:
            continue
        trials.append(trial(shown, [images[n] for n in good], [images[n] for n in bad]))
        seen += [*trials[-1].good, *trials[-1].bad]
        truth += [masks[n] for n in (*good, *bad)]
    if not trials:
        yield absent(NAME, f"{len(items)} items found, but no fold has both good and bad surfaces to test")
        return
    counts = {"good tested": sum(len(t.good) for t in trials), "bad tested": sum(len(t.bad) for t in trials)}
    yield from summary(NAME, trials, worst="fold", note=f"{counted(counts)}; folds by item; surfaces are cut to one size and "
                       "are a texture without a common shape: not the job this method is for")
    yield from localisation(NAME, seen, truth, ", all test pictures of all folds pooled")
