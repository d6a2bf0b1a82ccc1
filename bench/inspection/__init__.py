"""How well inspection taught by showing works: on drawn parts, on real sets of pictures, and how long one picture takes."""

from __future__ import annotations

from collections.abc import Iterable

import cv2

from ..report import Options, Row
from . import aliens, decode, deeppcb, drawn, kolektor, stages

CASES = (stages, decode, drawn, aliens, kolektor, deeppcb)


def run(options: Options) -> Iterable[Row]:
    """Every case in turn, on one thread: AUROC, localisation, realised false rejects, detection, seconds of teaching."""
    cv2.setNumThreads(1)
    for case in CASES:
        yield from case.run(options)
