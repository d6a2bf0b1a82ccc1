"""The same inspection as one writes it with OpenCV and NumPy: the peer that the stages are measured against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from time import perf_counter

import cv2
import numpy as np

from ...models.inspect.features import CELL, DIRECTIONS, GABOR, HALF_WIDTH, SCALES, SIGMA, WAVELENGTH, even_light
from ...models.inspect.recipe import Recipe
from ...models.inspect.score import whitened

TOP = 10


@dataclass(frozen=True)
class Bank:
    """A recipe's codes as the peer wants them, made once: float32 (n, gh + 2 r, gw + 2 r, d) and their squared lengths."""

    codes: np.ndarray
    squares: np.ndarray
    kernels: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, recipe: Recipe) -> Bank:
        """Padded by the radius; codes beyond the edge are so far off that they are never nearest."""
        r = max(recipe.radius, 0)
        codes = np.pad(recipe.bank.astype(np.float32), ((0, 0), (r, r), (r, r), (0, 0)), constant_values=1e4)
        return cls(codes, np.square(codes).sum(axis=-1), kernels())


def kernels() -> list[tuple[np.ndarray, np.ndarray]]:
    """Even and odd Gabor kernels of six directions, (11, 11) each; the even ones without mean."""
    y, x = np.mgrid[-HALF_WIDTH:HALF_WIDTH + 1, -HALF_WIDTH:HALF_WIDTH + 1]
    bell = np.exp(-(x**2 + y**2) / (2 * SIGMA**2))
    bell /= bell.sum()
    found = []
    for step in range(DIRECTIONS):
        angle = np.pi * (step + 0.5) / DIRECTIONS
        phase = 2 * np.pi / WAVELENGTH * (np.cos(angle) * x + np.sin(angle) * y)
        even = bell * np.cos(phase)
        found.append(((even - even.sum() * bell).astype(np.float32), (bell * np.sin(phase)).astype(np.float32)))
    return found


def inspect(body: bytes, recipe: Recipe, bank: Bank) -> dict[str, float]:
    """One JPEG through the peer, ms by stage under the names that `stages.STAGES` has."""
    times = [perf_counter()]
    image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None, "the bench made this JPEG"
    times.append(perf_counter())
    picture = prepare(image, recipe)
    times.append(perf_counter())
    raw = model(picture, recipe, bank)
    times.append(perf_counter())
    score, boxes = postprocess(raw, recipe)
    times.append(perf_counter())
    json.dumps({"verdict": "reject" if score > recipe.threshold else "pass", "score": score, "regions": boxes})
    times.append(perf_counter())
    names = ("decode", "preprocess and register", "model", "postprocess", "encode")
    spent = dict(zip(names, (np.diff(times) * 1e3).tolist(), strict=True))
    return spent | {"whole": (times[-1] - times[0]) * 1e3}


def prepare(image: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The picture resized and moved onto the reference by ECC from where it lies: uint8 BGR."""
    picture = cv2.resize(image, recipe.work[::-1], interpolation=cv2.INTER_AREA)
    if not recipe.register:
        return picture
    size = recipe.reference.shape[::-1]
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.0)
    soft -= cv2.GaussianBlur(soft, (0, 0), max(size) / 8)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    _, warp = cv2.findTransformECC(recipe.reference, soft, np.eye(2, 3, dtype=np.float32), cv2.MOTION_EUCLIDEAN, criteria,
                                   None, 1)
    warp[:, 2] *= recipe.work[1] / size[0], recipe.work[0] / size[1]
    return cv2.warpAffine(picture, warp, recipe.work[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)


def model(picture: np.ndarray, recipe: Recipe, bank: Bank) -> np.ndarray:
    """How unlike each cell is: float32 (gh, gw)."""
    features = (describe(even_light(picture) if recipe.contrast else picture, bank) - recipe.offset) / recipe.scale
    if recipe.method == "gauss":
        return whitened(features, recipe.mean, recipe.whiten) / np.float32(recipe.unit)
    codes = np.clip(np.rint(features @ recipe.projection), -127, 127)
    return np.sqrt(nearest(codes, bank)) / np.float32(recipe.unit)


def describe(picture: np.ndarray, bank: Bank) -> np.ndarray:
    """Roots of Gabor energies and Lab of each cell: float32 (gh, gw, 27)."""
    grid = (picture.shape[1] // CELL, picture.shape[0] // CELL)
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
    level, layers = lab[..., 0].astype(np.float32), []
    for _ in range(SCALES):
        for even, odd in bank.kernels:
            energy = cv2.magnitude(cv2.filter2D(level, cv2.CV_32F, even), cv2.filter2D(level, cv2.CV_32F, odd))
            layers.append(cv2.resize(energy, grid, interpolation=cv2.INTER_AREA))
        level = cv2.pyrDown(level)
    found = np.dstack([*layers, cv2.resize(lab, grid, interpolation=cv2.INTER_AREA).astype(np.float32)])
    found[..., :GABOR] = np.sqrt(found[..., :GABOR])
    return found


def nearest(codes: np.ndarray, bank: Bank) -> np.ndarray:
    """Least squared distance of each cell to the bank nearby: float32 (gh, gw)."""
    h, w = codes.shape[:2]
    steps = range(bank.codes.shape[1] - h + 1)
    own = np.square(codes).sum(axis=-1)
    best = np.full((h, w), np.inf, np.float32)
    for dy in steps:
        for dx in steps:
            near = bank.codes[:, dy:dy + h, dx:dx + w]
            inner = np.einsum("nhwd,hwd->nhw", near, codes, optimize=False)
            np.minimum(best, (bank.squares[:, dy:dy + h, dx:dx + w] - 2 * inner).min(axis=0), out=best)
    return np.maximum(best + own, 0)


def postprocess(raw: np.ndarray, recipe: Recipe) -> tuple[float, list[list[int]]]:
    """The score, and the boxes of connected cells above the threshold in px of the working picture."""
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    map = cv2.sepFilter2D(raw, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    score = float(np.partition(map.ravel(), -TOP)[-TOP:].mean())
    _, _, stats, _ = cv2.connectedComponentsWithStats((map > recipe.threshold).astype(np.uint8), connectivity=8)
    return score, (stats[1:, :4] * CELL).tolist()
