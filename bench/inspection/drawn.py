"""The drawn parts that the demo shows: no data needed, six kinds of defects with exact masks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from tqdm import tqdm

from ...models.inspect.teach import Learned
from ...models.make import parts
from ..report import Options, Row
from .figures import auroc
from .station import Trial, localisation, summary, taught, tested

NAME = "drawn parts"
SHOWN, QUICK_SHOWN = 20, 12
TESTED, QUICK_TESTED = 24, 4      # good ones, and bad ones of each kind
GOOD_FROM, BAD_FROM = 1000, 2000  # seeds that teaching has not seen


@cache
def station(quick: bool) -> tuple[Learned, float]:
    """The station that is taught on drawn parts, and in how many seconds."""
    return taught([parts.good(seed) for seed in range(QUICK_SHOWN if quick else SHOWN)])


def run(options: Options) -> Iterable[Row]:
    """AUROC by kind of defect and of all, with localisation."""
    if not options.wants(NAME):
        return
    count = QUICK_TESTED if options.quick else TESTED
    bar = tqdm(total=count * (1 + len(parts.DEFECTS)), desc=NAME, disable=None)

    def told(picture: np.ndarray) -> np.ndarray:
        bar.update()
        return picture

    masks: list[np.ndarray] = []

    def bad() -> Iterable[np.ndarray]:
        for kind in parts.DEFECTS:
            for seed in range(BAD_FROM, BAD_FROM + count):
                picture, mask = parts.defective(seed, kind)
                masks.append(mask)
                yield told(picture)

    done = tested(*station(options.quick), (told(parts.good(seed)) for seed in range(GOOD_FROM, GOOD_FROM + count)), bad())
    bar.close()
    yield from summary(NAME, [done], worst="draw", note=f"{count} good, {count} of each defect, 640 x 480")
    yield from _kinds(done, count)
    yield from localisation(NAME, done.bad, masks)


def _kinds(done: Trial, count: int) -> Iterable[Row]:
    good, bad = done.scores(done.good), done.scores(done.bad)
    for i, kind in enumerate(parts.DEFECTS):
        yield Row(NAME, f"image AUROC, {kind}", auroc(good, bad[i * count:(i + 1) * count]))
