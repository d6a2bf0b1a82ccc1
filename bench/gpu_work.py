"""What `make gpu-check` times: each CUDA operation once at the size of the work it is for, and once small."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels import (
    diff,
    find_shift,
    heatmap,
    kcenter,
    knn,
    letterbox,
    mahalanobis,
    nms,
    overlay,
    regions,
    smooth,
    tint,
    top_mean,
    topk,
    warp,
    warp_grid,
    weighed,
    within,
)
from .kernels import diff as boards
from .kernels import nms as boxes
from .kernels import tint as cloth
from .kernels import warp_grid as garments

QUICK = 12            # the small size has so much less of everything


@dataclass(frozen=True)
class Work:
    """One call: `call(**arguments)`; `out` is among them where the operation writes into one. `name` says the size."""

    op: str
    name: str
    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    tolerance: float = 1e-4        # beside the CPU version: steps of whole numbers from 1, below both absolute and relative
    read: int | None = field(default=None)     # bytes read and written at least; by default all arrays once

    @property
    def bytes(self) -> int:
        """What must be read or written at least once."""
        if self.read is not None:
            return self.read
        values = [v for value in self.arguments.values() for v in (value if isinstance(value, tuple) else (value,))]
        return sum(v.nbytes for v in values if isinstance(v, np.ndarray))


def every(quick: bool = False) -> Iterator[Work]:
    """All of it, made from one seed."""
    rng = np.random.default_rng(0)
    for part in (_pictures, _maps, _codes, _lists):
        yield from part(rng, QUICK if quick else 1)


def _pictures(rng: np.random.Generator, less: int) -> Iterator[Work]:
    frame = rng.integers(0, 256, (1080 // less, 1920 // less, 3), dtype=np.uint8)
    for side in (640 // less, 224 // less):
        out = np.empty((3, side, side), np.float32)
        yield Work("letterbox", f"{frame.shape[1]} x {frame.shape[0]} -> {side}", letterbox,
                   {"image": frame, "out": out, "scale": (1 / 255,) * 3, "swap": True, "pad": 114}, 2e-3)
    nv12 = rng.integers(0, 256, (1080 // less // 2 * 3, 1920 // less // 2 * 2), dtype=np.uint8)
    side = 640 // less
    yield Work("letterbox", f"NV12 {nv12.shape[1]} x {nv12.shape[0] * 2 // 3} -> {side}, int8", letterbox,
               {"image": nv12, "pixels": "nv12", "out": np.empty((3, side, side), np.int8), "step": 1.0, "zero": -128.0}, 1)
    turn = np.array([[2.4, -0.5, 90.0 / less], [0.4, 1.5, 30.0 / less], [1e-5 * less, 0, 1]])
    yield Work("letterbox.warp", f"a bent region of it -> {side}", warp,
               {"image": frame, "matrix": turn, "out": np.empty((3, side, side), np.float32)}, 2e-3)
    item, grid, visible, picture = garments.scene((720 // less, 1280 // less), 420 // less, 560 // less)
    yield Work("warp_grid", f"{picture.shape[1]} x {picture.shape[0]}, a person", warp_grid,
               {"item": item, "grid": grid, "visible": visible, "out": picture}, 1)
    mask, shirt = cloth.scene(400, 500)
    cut = np.s_[300:300 + 120 // less * 4, 500:500 + 160 // less * 4] if less > 1 else np.s_[:, :]
    mask, shirt = np.ascontiguousarray(mask[cut]), np.ascontiguousarray(shirt[cut])
    yield Work("tint", f"{shirt.shape[1]} x {shirt.shape[0]}, a shirt", tint,
               {"mask": mask, "base": cloth.BASE, "target": cloth.TARGET, "keep": cloth.KEEP, "out": shirt}, 1)
    golden, test = boards.pair(640)
    golden, test = (np.ascontiguousarray(p[:640 // less, :640 // less]) for p in (golden, test))
    size = f"{golden.shape[1]} x {golden.shape[0]}"
    yield Work("diff", size, diff, {"golden": golden, "test": test, "band": 40, "out": np.empty_like(golden)}, 0)
    yield Work("diff.find_shift", f"{size}, +-3", find_shift, {"golden": golden, "test": test}, 0)


def _maps(rng: np.random.Generator, less: int) -> Iterator[Work]:
    side, cells = 448 // less, 56 // less
    map, coarse = rng.random((side, side), np.float32), rng.random((cells, cells), np.float32)
    size = f"{side} x {side}"
    yield Work("heatmap.smooth", size, smooth, {"map": map, "out": np.empty_like(map)}, 0)
    yield Work("heatmap.top_mean", f"{size}, 100", top_mean, {"map": map, "count": 100}, 1e-6)
    yield Work("heatmap.regions", f"{size}, noise above 0.9", regions, {"map": map, "threshold": 0.9,
                                                                      "out": np.zeros((32, 6), np.float32)}, 0)
    yield Work("heatmap", f"{cells} x {cells} -> {size}", heatmap, {
        "map": coarse, "threshold": 0.75, "count": 100, "out": (np.empty_like(map), np.zeros((32, 6), np.float32))}, 1e-6)
    image = rng.integers(0, 256, (1080 // less, 1920 // less, 3), dtype=np.uint8)
    yield Work("heatmap.overlay", f"{image.shape[1]} x {image.shape[0]}", overlay,
               {"image": image, "map": coarse, "low": 0.2, "high": 0.9, "out": np.empty_like(image)}, 1)


def _codes(rng: np.random.Generator, less: int) -> Iterator[Work]:
    def codes(*shape: int) -> np.ndarray:
        return rng.integers(-127, 128, shape, dtype=np.int8)
    parts, side = 4000 // less, 28 // math.isqrt(less)
    query, bank = codes(side, side, 128), codes(1, 1, parts, 128)
    size = f"{side * side} x {parts} x 128"
    yield Work("knn", f"{size}, int8", knn, {"query": query, "bank": bank, "radius": None,
                                            "out": np.empty((side, side), np.int32)}, 0)
    yield Work("knn.within", f"{size}, int8, none near", within, {"query": query, "bank": bank, "bound": 1, "radius": None,
                                                                 "out": np.empty((side, side), bool).view(np.uint8)}, 0)
    n, k = 123_000 // less**2, 3_000 // less**2
    many = codes(n, 64)
    yield Work("kcenter", f"{n} x 64 -> {k}", kcenter, {"codes": many, "out": np.empty(k, np.int32)}, 0, read=k * many.nbytes)
    features, mean = rng.standard_normal((2, 784 // less, 100), np.float32)
    square = rng.standard_normal((784 // less, 100, 100), np.float32) / 100
    triangle = np.ascontiguousarray(square[:, *np.triu_indices(100)]).astype(np.float16)
    for name, factor in (("float32 matrix", square), ("float16 triangle", triangle)):
        yield Work("mahalanobis", f"{784 // less} x 100, {name}", mahalanobis,
                   {"features": features, "mean": mean, "factor": factor, "out": np.empty(len(mean), np.float32)})


def _lists(rng: np.random.Generator, less: int) -> Iterator[Work]:
    n = 1_000_000 // less**2
    table, query = rng.integers(-127, 128, (n, 64), dtype=np.int8), rng.integers(-127, 128, (1, 64), dtype=np.int8)
    ids = np.empty((1, 10), np.int32)
    yield Work("topk", f"10 of {n} x 64, int8", topk, {"queries": query, "table": table,
                                                      "out": (ids, np.empty((1, 10), np.int32))}, 0)
    yield Work("topk.weighed", f"10 of {n} x 64, int8", weighed, {
        "queries": query, "table": table, "scale": rng.random(n, np.float32), "out": (ids, np.empty((1, 10), np.float32))}, 0)
    found, scores, kinds = boxes.detector(np.random.default_rng(3))
    found, scores, kinds = (np.ascontiguousarray(v[None, :len(v) // less]) for v in (found, scores, kinds))
    yield Work("nms", f"{scores.shape[1]} boxes, by class", nms, {
        "boxes": found, "scores": scores, "classes": kinds, "iou": 0.5, "least": 0.25,
        "out": np.empty((1, 300), np.int32)}, 0)
