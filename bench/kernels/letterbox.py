"""`letterbox` against the pipelines of OpenCV and NumPy that people write for the same input."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

from ...kernels import letterbox
from ..report import Options, Row
from .peers import torch_us
from .timing import Goal, interleaved, row, seconds

MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
SCALE, BIAS = (1 / STD).tolist(), (-MEAN / STD).tolist()
STEP = 4.8 / 255
CASES = (((480, 640), (224, 224), ">= 2x", 2.0), ((1080, 1920), (640, 640), ">= 2x", 2.0),
         ((1080, 1920), (224, 224), ">= 1.3x", 1.3))


def usual(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What tutorials show: resize, cvtColor, astype, subtract, divide, transpose, contiguous."""
    rgb = cv2.cvtColor(cv2.resize(image, size), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(((rgb.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1))


def best(image: np.ndarray, size: tuple[int, int], out: np.ndarray, how: int) -> Callable[[], object]:
    """The quickest found with OpenCV: resize, split, then each plane converted, scaled and shifted in place."""
    gain, shift = 1 / STD, -MEAN / STD

    def call() -> None:
        planes = cv2.split(cv2.resize(image, size, interpolation=how))
        for c in range(3):
            np.multiply(planes[2 - c], gain[c], out=out[c], dtype=np.float32)
            out[c] += shift[c]
    return call


def table(image: np.ndarray, size: tuple[int, int], out: np.ndarray) -> Callable[[], object]:
    """int8 with OpenCV: resize, split, one look-up table a channel."""
    values = np.arange(256, dtype=np.float32)
    luts = [np.clip(np.rint((values * SCALE[c] + BIAS[c]) / STEP), -128, 127).astype(np.int8) for c in range(3)]

    def call() -> None:
        planes = cv2.split(cv2.resize(image, size))
        for c in range(3):
            cv2.LUT(planes[2 - c], luts[c], dst=out[c])
    return call


def rows(options: Options) -> Iterator[Row]:
    """The cases of the issue's table; the picture's aspect is not kept, as the peers do not keep it."""
    rng = np.random.default_rng(0)
    time_s = seconds(options.quick)
    for (h, w), (oh, ow), text, least in CASES:
        image = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        case = f"letterbox {w}x{h} -> {ow}x{oh}"
        if options.wants(f"{case} float32 bilinear"):
            yield from bilinear(f"{case} float32 bilinear", image, (oh, ow), Goal(text, ratio=least), time_s)
        if options.wants(f"{case} float32 antialiased"):
            yield from antialiased(f"{case} float32 antialiased", image, (oh, ow), time_s)
        if h == 480 and options.wants(f"{case} int8"):
            yield from quantised(f"{case} int8", image, (oh, ow), time_s)


def bilinear(case: str, image: np.ndarray, size: tuple[int, int], goal: Goal, time_s: float) -> Iterator[Row]:
    """float32 planes, normalised: against the usual code, the best of OpenCV, and the memory's own time."""
    out, theirs = np.empty((3, *size), np.float32), np.empty((3, *size), np.float32)
    copy, target = np.empty_like(image), np.empty_like(out)
    ours = partial(letterbox, image, out=out, scale=SCALE, bias=BIAS, swap=True, keep_aspect=False, antialias=False)

    def floor() -> None:
        np.copyto(copy, image)
        np.copyto(target, out)
    peer = best(image, size[::-1], theirs, cv2.INTER_LINEAR)
    found = interleaved({"ours": ours, "usual": lambda: usual(image, size[::-1]), "best": peer, "floor": floor}, time_s)
    error = np.abs(out - theirs).max() * STD.min()
    note = f"largest difference from the peer, which rounds in between, {error:.2g} of 255"
    yield row(case, found["ours"], "best cv2+NumPy", found["best"], goal=goal, note=note)
    first = image.shape[0] == 480
    yield row(case, found["ours"], "usual cv2+NumPy", found["usual"], goal=Goal(">= 8x", ratio=8.0) if first else None)
    if first:
        theirs_us, about = torch_us(image.shape[:2], size, time_s / 2)
        ours_us = statistics.median(found["ours"])
        yield Row(case, "time", ours_us, "us", None, "torch, uint8 resize", theirs_us,
                  None if theirs_us is None else theirs_us / ours_us, None, None, about)
    yield row(case, found["ours"], "copy of input and output", found["floor"],
              goal=Goal("<= 3.5x the memory floor", ratio=1 / 3.5) if first else None)


def antialiased(case: str, image: np.ndarray, size: tuple[int, int], time_s: float) -> Iterator[Row]:
    """The default: every pixel of the picture counts; OpenCV's INTER_AREA does the same."""
    out, theirs = np.empty((3, *size), np.float32), np.empty((3, *size), np.float32)
    ours = partial(letterbox, image, out=out, scale=SCALE, bias=BIAS, swap=True, keep_aspect=False)
    found = interleaved({"ours": ours, "area": best(image, size[::-1], theirs, cv2.INTER_AREA),
                         "linear": best(image, size[::-1], theirs, cv2.INTER_LINEAR)}, time_s)
    yield row(case, found["ours"], "best cv2+NumPy, INTER_AREA", found["area"])
    yield row(case, found["ours"], "best cv2+NumPy, not antialiased", found["linear"])


def quantised(case: str, image: np.ndarray, size: tuple[int, int], time_s: float) -> Iterator[Row]:
    """int8 planes with a scale and a zero point."""
    out, theirs = np.empty((3, *size), np.int8), np.empty((3, *size), np.int8)
    ours = partial(letterbox, image, out=out, scale=SCALE, bias=BIAS, swap=True, keep_aspect=False, antialias=False,
                   step=STEP)
    found = interleaved({"ours": ours, "lut": table(image, size[::-1], theirs)}, time_s)
    error = np.abs(out.astype(int) - theirs).max()
    yield row(case, found["ours"], "cv2 + LUT", found["lut"], goal=Goal(">= 2x", ratio=2.0),
              note=f"largest difference from the peer {error} steps")
