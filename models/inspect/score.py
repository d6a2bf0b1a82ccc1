"""Examines one picture by a recipe: find the part, describe its cells, measure how unlike they are, say where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import cv2
import numpy as np

from ...kernels import Bank, knn, letterbox, regions, smooth, top_mean
from .features import CELL, describe, even_light, gather
from .recipe import CODES, Recipe
from .register import Registration, back, move, register, small, still

MOST_REGIONS = 32
LOST = 2.0            # a part that is not found scores at least this many thresholds
# Area means are fractions of small numbers and often lie at a half exactly. Rounded a little off it, the last bit of a
# float decides no pixel, and all variants of the kernels give one working picture.
ROUND = 0.50007


@dataclass(frozen=True)
class Region:
    """A place above the threshold: box x, y, w, h and area in px of the picture, score of its worst cell."""

    box: tuple[int, int, int, int]
    area: int
    score: float


@dataclass(frozen=True)
class Prepared:
    """A picture moved onto the reference: uint8 BGR working picture, where the part was found, ms spent."""

    picture: np.ndarray
    registration: Registration
    size: tuple[int, int]
    ms: float


@dataclass(frozen=True)
class Examination:
    """What was seen. `map` float32 (gh, gw) lies over the picture as it was given; 1.0 is usual for a good part.

    `score` is larger for worse; the part is to be rejected where it is above the recipe's threshold. Where the part was
    not found, the score is at least twice the threshold.
    """

    score: float
    map: np.ndarray
    regions: tuple[Region, ...]
    registration: Registration
    timings_ms: Mapping[str, float]


def working_picture(image: np.ndarray, work: tuple[int, int]) -> np.ndarray:
    """`image` uint8 BGR (h, w, 3) shrunk or grown to the working size: uint8 BGR."""
    planes = np.empty((3, *work), np.float32)
    letterbox(np.ascontiguousarray(image), out=planes, bias=(ROUND, ROUND, ROUND), keep_aspect=False)
    return cv2.merge([plane.astype(np.uint8) for plane in planes])


def grey(picture: np.ndarray) -> np.ndarray:
    """The picture's brightness, uint8."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def check_size(image: np.ndarray, recipe: Recipe, sent: tuple[int, int] | None = None) -> None:
    """ValueError unless `image` is uint8 BGR of the size that was taught, or smaller as the recipe takes it.

    `sent` is its (height, width) before it was decoded smaller, where that is known: then that is what must be right.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"expected a picture uint8 (height, width, 3), got {got}")
    if sent is None and recipe.takes(image.shape[:2]):
        return
    size = sent or image.shape[:2]
    if size != recipe.size:
        raise ValueError(f"expected a picture of {recipe.size[1]} x {recipe.size[0]} as inspector {recipe.name!r} was taught, "
                         f"got {size[1]} x {size[0]}; use the camera settings of teaching, or teach again")


def prepare(image: np.ndarray, recipe: Recipe) -> Prepared:
    """Bring `image`, uint8 BGR of the taught size, onto the recipe's reference. ValueError for another size."""
    check_size(image, recipe)
    start = perf_counter()
    picture = working_picture(image, recipe.work)
    found = still()
    if recipe.register:
        found = register(recipe.reference, small(grey(picture)), gate=recipe.gate, work=recipe.work)
        picture = move(picture, found)
    return Prepared(picture, found, recipe.size, (perf_counter() - start) * 1e3)


def appearance(picture: np.ndarray, contrast: bool, taps: tuple[np.ndarray, ...] | None = None) -> np.ndarray:
    """The features of every cell of a working picture: float32 (gh, gw, d); of a network's `taps` where given."""
    if taps is not None:
        return gather(taps, (picture.shape[0] // CELL, picture.shape[1] // CELL))
    return describe(even_light(picture) if contrast else picture)


def codes(features: np.ndarray, offset: np.ndarray, scale: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Features float32 (..., d) as int8 codes (..., 64); distances keep their order nearly."""
    flat = ((features - offset) / scale).reshape(-1, features.shape[-1]) @ projection
    np.rint(flat, out=flat)
    np.clip(flat, -127, 127, out=flat)
    return flat.astype(np.int8).reshape(*features.shape[:-1], CODES)


def nearest(query: np.ndarray, bank: np.ndarray | Bank, radius: int, skip: np.ndarray | None = None) -> np.ndarray:
    """Distance of each cell's code to the nearest code of the bank nearby: float32 (gh, gw)."""
    squared = np.empty(query.shape[:2], np.int32)
    knn(query, bank, out=squared, radius=None if radius < 0 else radius, skip=skip)
    return np.sqrt(squared, dtype=np.float32)


def whitened(features: np.ndarray, mean: np.ndarray, whiten: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of each cell from what is usual at its place: float32 (gh, gw)."""
    gap = (features - mean)[..., None]
    return np.sqrt(np.square(whiten @ gap).sum(axis=(2, 3)), dtype=np.float32)


def distance(features: np.ndarray, recipe: Recipe) -> np.ndarray:
    """How unlike the taught parts every cell is, 1.0 as usual: float32 (gh, gw)."""
    if recipe.method == "gauss":
        far = whitened((features - recipe.offset) / recipe.scale, recipe.mean, recipe.whiten)
    else:
        far = nearest(codes(features, recipe.offset, recipe.scale, recipe.projection), recipe.laid, recipe.radius)
    return far / np.float32(recipe.unit)


def judge(prepared: Prepared, recipe: Recipe, taps: tuple[np.ndarray, ...] | None = None) -> Examination:
    """Score a prepared picture; `taps` are the backbone's outputs for it, in the recipe's order, where it has one."""
    if (taps is None) != (recipe.backbone is None):
        raise ValueError(f"inspector {recipe.name!r} {'needs' if recipe.backbone else 'takes no'} outputs of a backbone")
    start = perf_counter()
    raw = distance(appearance(prepared.picture, recipe.contrast, taps), recipe)
    modelled = perf_counter()
    if not np.isfinite(raw).all():
        raise ValueError(f"the features of this picture are not numbers; the backbone of inspector {recipe.name!r} gave NaN")
    map = np.empty_like(raw)
    smooth(raw, out=map)
    score = top_mean(map)
    found = _places(map, prepared, recipe)
    if not prepared.registration.found:
        score = max(score, LOST * recipe.threshold)
    if recipe.register:
        map = back(map, prepared.registration, CELL)
    done = perf_counter()
    timings = {"preprocess": prepared.ms, "model": (modelled - start) * 1e3, "postprocess": (done - modelled) * 1e3}
    return Examination(score, map, found, prepared.registration, timings)


def examine(image: np.ndarray, recipe: Recipe, taps: tuple[np.ndarray, ...] | None = None) -> Examination:
    """Examine `image`, uint8 BGR of the taught size. ValueError for another size or type."""
    return judge(prepare(image, recipe), recipe, taps)


def _places(map: np.ndarray, prepared: Prepared, recipe: Recipe) -> tuple[Region, ...]:
    """Connected cells above the threshold, the worst first, in px of the picture as it was given."""
    rows = np.empty((MOST_REGIONS, 6), np.float32)
    count = min(MOST_REGIONS, regions(map, recipe.threshold, out=rows))
    (height, width), warp = prepared.size, prepared.registration.warp
    per_x, per_y = width / recipe.work[1], height / recipe.work[0]
    found = []
    for x, y, w, h, area, worst in rows[:count]:
        corners = np.array([[cx * CELL - 0.5, cy * CELL - 0.5, 1] for cx in (x, x + w) for cy in (y, y + h)])
        px = (corners @ warp.T + 0.5) * (per_x, per_y)
        low = np.clip(np.floor(px.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
        high = np.clip(np.ceil(px.max(axis=0)), low + 1, (width, height)).astype(int)
        box = (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
        found.append(Region(box, round(float(area) * CELL * CELL * per_x * per_y), float(worst)))
    return tuple(found)
