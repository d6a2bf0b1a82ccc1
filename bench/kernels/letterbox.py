"""`letterbox` against the pipelines of OpenCV and NumPy that people write for the same input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from ...kernels import letterbox
from ..report import Options, Row
from .timing import Goal, interleaved, row, seconds

MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
STD = np.array([0.229, 0.224, 0.225], np.float32) * 255


def usual(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What tutorials show: resize, cvtColor, astype, subtract, divide, transpose, contiguous."""
    rgb = cv2.cvtColor(cv2.resize(image, size), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(((rgb.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1))


def best(image: np.ndarray, size: tuple[int, int]) -> Callable[[], object]:
    """The quickest found with OpenCV: resize, split, then each plane converted, scaled and shifted in place."""
    out = np.empty((3, size[1], size[0]), np.float32)
    gain, shift = 1 / STD, -MEAN / STD

    def call() -> None:
        planes = cv2.split(cv2.resize(image, size))
        for c in range(3):
            np.multiply(planes[2 - c], gain[c], out=out[c], dtype=np.float32)
            out[c] += shift[c]
    return call


def rows(options: Options) -> Iterator[Row]:
    """The cases of the issue's table; the picture's aspect is not kept, as the peers do not keep it."""
    rng = np.random.default_rng(0)
    for (h, w), (oh, ow), least in (((480, 640), (224, 224), 2.0), ((1080, 1920), (640, 640), 2.0),
                                    ((1080, 1920), (224, 224), 1.3)):
        case = f"letterbox {w}x{h} -> {ow}x{oh} float32 CHW"
        if not options.wants(case):
            continue
        image = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        yield from planes(case, image, (oh, ow), least, seconds(options.quick))


def planes(case: str, image: np.ndarray, size: tuple[int, int], least: float, time_s: float) -> Iterator[Row]:
    """float32 planes, normalised: against the usual code, the best of OpenCV, and the memory's own time."""
    out = np.empty((3, *size), np.float32)
    copy, target = np.empty_like(image), np.empty_like(out)
    scale, bias = (1 / STD).tolist(), (-MEAN / STD).tolist()

    def ours() -> None:
        letterbox(image, out=out, scale=scale, bias=bias, swap=True, keep_aspect=False)

    def floor() -> None:
        np.copyto(copy, image)
        np.copyto(target, out)
    found = interleaved({"ours": ours, "usual": lambda: usual(image, size[::-1]), "best": best(image, size[::-1]),
                         "floor": floor}, time_s)
    yield row(case, found["ours"], "best of cv2+NumPy", found["best"], goal=Goal(f">= {least:g}x", ratio=least))
    yield row(case, found["ours"], "usual cv2+NumPy", found["usual"])
    yield row(case, found["ours"], "copy of input and output", found["floor"])
