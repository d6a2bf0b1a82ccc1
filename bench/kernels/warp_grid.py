"""`warp_grid` against the same picture made with cv2.remap and NumPy, and with OpenCV's 8-bit operations alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from ...kernels.warp_grid import CELL, nodes, warp_grid
from ...kernels.warp_grid.reference import warp_grid as exact
from ..report import Options, Row
from .timing import Goal, interleaved, row, seconds

CASES = {"1280x720, person": ((720, 1280), 420, 560), "720x1280, portrait": ((1280, 720), 520, 740),
         "1280x720, close-up": ((720, 1280), 640, 700)}   # picture, item's width and height there


def garment(rng: np.random.Generator, height: int = 768, width: int = 576) -> np.ndarray:
    """A printed oval with a soft edge, premultiplied, as a cut-out garment is."""
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, (width // 2, height // 2), (width // 2 - 8, height // 2 - 8), 0, 0, 360, 255, -1)
    alpha = cv2.GaussianBlur(alpha, (7, 7), 0)
    print_ = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (5, 5), 0)
    return np.dstack([(print_ * (alpha[..., None] / 255)).astype(np.uint8), alpha])


def scene(size: tuple[int, int], wide: int, high: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Item, grid, what is in front (an arm), picture; nodes away from the item hold NaN, as a mesh leaves them."""
    rng = np.random.default_rng(0)
    item, (h, w) = garment(rng), size
    y, x = np.mgrid[:nodes(h), :nodes(w)].astype(np.float64) * CELL
    u = (x - (w - wide) / 2) / wide * item.shape[1] + 5 * np.sin(y / 60)
    v = (y - (h - high) / 2) / high * item.shape[0] + 5 * np.cos(x / 50)
    grid = np.stack([u, v, 1 + 0.25 * np.sin(x / 37 + y / 53)], axis=2).astype(np.float32)
    reach = CELL * 1.5 * item.shape[1] / wide
    beside = (u < -reach) | (u > item.shape[1] + reach) | (v < -reach) | (v > item.shape[0] + reach)
    grid[beside] = np.nan
    visible = np.full(size, 255, np.uint8)
    cv2.line(visible, (w // 3, h), (w // 2, h // 2), 0, 50)
    return item, grid, cv2.GaussianBlur(visible, (5, 5), 0), rng.integers(0, 256, (h, w, 3), dtype=np.uint8)


def box(grid: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    """The part of the picture that has cells to draw: the peers are spared the rest."""
    rows, columns = np.nonzero(np.isfinite(grid[..., 0]))
    return (slice(rows.min() * CELL, min(size[0], rows.max() * CELL)),
            slice(columns.min() * CELL, min(size[1], columns.max() * CELL)))


def maps(grid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Place and shade of every pixel, float32 (h, w, 3): cv2.remap over the grid itself."""
    y, x = np.mgrid[:size[0], :size[1]].astype(np.float32) / CELL
    return cv2.remap(np.nan_to_num(grid, nan=-9.0), x, y, cv2.INTER_LINEAR)


def with_floats(item: np.ndarray, grid: np.ndarray, visible: np.ndarray, out: np.ndarray) -> Callable[[], None]:
    """cv2.resize of the grid, cv2.remap of the item, NumPy float32 for shade, occlusion and blend."""
    part = box(grid, out.shape[:2])
    y, x = part
    few = np.nan_to_num(grid, nan=-9.0)[y.start // CELL:-(-y.stop // CELL) + 1, x.start // CELL:-(-x.stop // CELL) + 1].copy()
    wide, high = (few.shape[1] - 1) * CELL, (few.shape[0] - 1) * CELL
    square = np.array([[CELL, 0, 0], [0, CELL, 0]], np.float32)

    def call() -> None:
        full = cv2.warpAffine(few, square, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        full = full[:y.stop - y.start, :x.stop - x.start]
        seen = cv2.remap(item, full[..., 0], full[..., 1], cv2.INTER_LINEAR).astype(np.float32)
        seen *= visible[part][..., None] * np.float32(1 / 255)
        seen[..., :3] *= full[..., 2:]
        under = out[part]
        mixed = under * (1 - seen[..., 3:] * np.float32(1 / 255)) + seen[..., :3]
        np.clip(mixed, 0, 255, out=mixed)
        under[...] = mixed
    return call


def with_bytes(item: np.ndarray, grid: np.ndarray, visible: np.ndarray, out: np.ndarray) -> Callable[[], None]:
    """All in 8 bits, with the maps made beforehand in OpenCV's own fixed-point form."""
    part = box(grid, out.shape[:2])
    full = maps(grid, out.shape[:2])[part]
    places = cv2.convertMaps(np.ascontiguousarray(full[..., 0]), np.ascontiguousarray(full[..., 1]), cv2.CV_16SC2)
    light = np.repeat(np.clip(full[..., 2:] * 128, 0, 255).astype(np.uint8), 3, axis=2)
    hidden = np.ascontiguousarray(visible[part])

    def call() -> None:
        seen = cv2.remap(item, *places, cv2.INTER_LINEAR)
        colour = cv2.cvtColor(seen, cv2.COLOR_BGRA2BGR)
        colour = cv2.multiply(colour, light, scale=1 / 128)
        alpha = cv2.multiply(cv2.extractChannel(seen, 3), hidden, scale=1 / 255)
        colour = cv2.multiply(colour, cv2.cvtColor(hidden, cv2.COLOR_GRAY2BGR), scale=1 / 255)
        under = out[part]
        kept = cv2.multiply(under, cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2BGR), scale=1 / 255)
        cv2.add(kept, colour, dst=under)
    return call


def error(item: np.ndarray, grid: np.ndarray, visible: np.ndarray, picture: np.ndarray) -> int:
    """The greatest difference from the float64 reference, of 255."""
    ours, truth = picture.copy(), picture.copy()
    warp_grid(item, grid, out=ours, visible=visible)
    exact(item, grid, visible, truth)
    return int(np.abs(ours.astype(int) - truth).max())


def rows(options: Options) -> Iterator[Row]:
    """Three framings; the issue's goals are set for the first."""
    for name, (size, wide, high) in CASES.items():
        case = f"warp_grid {name}"
        if not options.wants(case):
            continue
        item, grid, visible, picture = scene(size, wide, high)
        worst = error(item, grid, visible, picture)
        found = interleaved({
            "ours": lambda i=item, g=grid, v=visible, p=picture: warp_grid(i, g, out=p, visible=v),   # type: ignore[misc]
            "floats": with_floats(item, grid, visible, picture.copy()),
            "bytes": with_bytes(item, grid, visible, picture.copy())}, seconds(options.quick))
        area = int(np.isfinite(grid[..., 0]).sum()) * CELL * CELL
        note = f"{area // 1000} k pixels in cells; largest error {worst} of 255 against float64"
        first = size == (720, 1280) and wide < 600
        yield row(case, found["ours"], "cv2.remap+NumPy from the same grid", found["floats"],
                  goal=Goal(">= 5x, error <= 3/255", ratio=5.0) if first and worst <= 3 else None, note=note)
        yield row(case, found["ours"], "cv2 all uint8, maps given", found["bytes"],
                  goal=Goal(">= 2.5x", ratio=2.5) if first else None)
