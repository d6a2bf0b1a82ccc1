"""Calls of `letterbox` and `warp` that every variant must agree on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

NORMAL = {"scale": (1 / 58.4, 1 / 57.1, 1 / 57.4), "bias": (-2.1, -2.0, -1.8), "swap": True, "pad": 114.0}
SIZES = [((1, 1), (1, 1)), ((1, 1), (5, 7)), ((2, 3), (8, 8)), ((7, 5), (3, 3)), ((480, 640), (224, 224)),
         ((33, 65), (64, 16)), ((16, 16), (17, 31)), ((300, 2), (20, 40)), ((480, 640), (216, 288)), ((9, 9), (9, 9)),
         ((40, 301), (9, 33)), ((5, 64), (5, 16))]
# Whole numbers may round to the other side; float16 has 11 bits.
DTYPES = {"float32": (2e-3, 0.0), "float16": (2e-4, 1e-3), "int8": 1.0, "uint8": 1.0}


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Each size both ways, each dtype in each layout, each kind of pixels, regions turned, bent and beyond the edge."""
    def picture(*shape: int) -> np.ndarray:
        return rng.integers(0, 256, shape, dtype=np.uint8)

    for (h, w), (oh, ow) in SIZES:
        for keep_aspect in (True, False):
            for antialias in (True, False):
                yield {"function": "letterbox", "image": picture(h, w, 3), "out": np.empty((3, oh, ow), np.float32),
                       "keep_aspect": keep_aspect, "antialias": antialias}
    yield from _outputs(picture(40, 50, 3))
    for pixels, shape in (("gray", (37, 53)), ("nv12", (36, 34)), ("yuyv", (24, 34, 2)), ("nv12", (3, 2)), ("yuyv", (1, 2, 2))):
        for size in ((16, 20), (41, 67)):
            yield {"function": "letterbox", "image": picture(*shape), "out": np.empty((3, *size), np.float32),
                   "pixels": pixels, **NORMAL}
    yield {"function": "letterbox", "image": picture(37, 53), "out": np.empty((1, 16, 20), np.float32), "pixels": "gray"}
    yield from _regions(picture(48, 64, 3), picture(48, 64))


def _outputs(image: np.ndarray) -> Iterator[dict]:
    for dtype, tolerance in DTYPES.items():
        quantised = {"step": 0.02, "zero": 128.0 if dtype == "uint8" else 0.0} if dtype in ("int8", "uint8") else {}
        for layout, shape in (("CHW", (3, 32, 35)), ("HWC", (32, 35, 3))):
            yield {"function": "letterbox", "image": image, "out": np.empty(shape, dtype), "layout": layout,
                   "tolerance": tolerance, **NORMAL, **quantised}


def _regions(colour: np.ndarray, gray: np.ndarray) -> Iterator[dict]:
    turn = np.array([[0.8, -0.6, 20.0], [0.6, 0.8, -4.0], [0.0, 0.0, 1.0]])
    bend = np.array([[1.1, 0.1, 3.0], [-0.1, 0.9, 5.0], [0.004, 0.002, 1.0]])
    shrink = np.array([[2.7, 0.4, -6.0], [-0.3, 2.1, 2.0], [0.0, 0.0, 1.0]])
    nowhere = np.array([[1.0, 0.0, 900.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    through = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.1, 0.0, 1.0]])
    for matrix in (np.eye(3), turn, bend, shrink, nowhere, through, np.zeros((3, 3))):
        yield {"function": "warp", "image": colour, "matrix": matrix, "out": np.empty((3, 30, 37), np.float32), **NORMAL}
    yield {"function": "warp", "image": gray, "matrix": turn, "out": np.empty((1, 30, 37), np.float32), "pad": 7.0}
    yield {"function": "warp", "image": colour, "matrix": bend, "out": np.empty((30, 37, 3), np.uint8), "layout": "HWC",
           "tolerance": 1.0}
