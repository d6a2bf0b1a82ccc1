"""Reads floors: MovingAI maps, and occupancy images with the map.yaml that ROS writes beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...kernels.distance_field import FREE, WALL

MAX_CELLS = 100_000_000
PASSABLE = np.frombuffer(b".GSE", np.uint8)


class FloorError(ValueError):
    """A floor that cannot be read; the sentence says where and why."""


def read_movingai(data: bytes, where: str = "map") -> np.ndarray:
    """The floor of a MovingAI .map (Sturtevant 2012), uint16 (height + 2, width + 2) with a wall around it.

    `.`, `G` and `S` are free, and so are `S` and `E` of the League of Robot Runners: storage that robots drive under and
    places where goods come out, where the agents of its own examples stand. Anything else (trees, out of bounds, shelves,
    and water: who may not step on it at an angle may not step on it at all) is wall.
    """
    lines = data.split(b"\n")
    sizes = {}
    at = 0
    while at < min(len(lines), 8) and lines[at].strip() != b"map":
        key, _, value = lines[at].strip().partition(b" ")
        sizes[key] = value.strip()
        at += 1
    try:
        height, width = int(sizes[b"height"]), int(sizes[b"width"])
    except (KeyError, ValueError) as error:
        raise FloorError(f"{where}: expected lines `height N`, `width N`, `map` first; is this a MovingAI map?") from error
    if not (height > 0 and width > 0 and height * width <= MAX_CELLS):
        raise FloorError(f"{where}: expected 1 to {MAX_CELLS} cells, got {height} x {width}")
    rows = [line.rstrip(b"\r") for line in lines[at + 1:at + 1 + height]]
    wrong = next((i for i, row in enumerate(rows) if len(row) != width), len(rows) if len(rows) < height else None)
    if wrong is not None:
        got = f"{len(rows[wrong])} cells" if wrong < len(rows) else "the end of the file"
        raise FloorError(f"{where}: expected {height} rows of {width} cells, got {got} - at row {wrong}; the file is cut off")
    cells = np.frombuffer(b"".join(rows), np.uint8).reshape(height, width)
    return walled(np.isin(cells, PASSABLE))


def walled(free: np.ndarray) -> np.ndarray:
    """A floor from bool (h, w), one cell of wall added on each side."""
    floor = np.full((free.shape[0] + 2, free.shape[1] + 2), WALL, np.uint16)
    floor[1:-1, 1:-1][free] = FREE
    return floor


def read_ros(path: Path) -> tuple[np.ndarray, float, tuple[float, float]]:
    """Floor, metres a cell, and x, y of the lower left corner, from a ROS map.yaml and its image (map_server, trinary).

    Row 0 of the floor is the south, as in ROS's grid. Unknown cells are walls. FloorError says what does not fit.
    """
    values = dict(re.findall(r"^\s*([a-z_]+)\s*:\s*([^#\n]+)", path.read_text("utf-8", "replace"), re.M))
    try:
        resolution = float(values["resolution"])
        origin = [float(v) for v in values["origin"].strip().strip("[]").split(",")]
        negate, free_below = int(values.get("negate", 0)), float(values.get("free_thresh", 0.196))
        image = path.parent / values["image"].strip().strip("\"'")
    except (KeyError, ValueError) as error:
        raise FloorError(f"{path}: expected image, resolution and origin as ROS writes them; {error!r} is wrong") from error
    if not 1e-4 <= resolution <= 100 or len(origin) < 2 or not np.isfinite(origin).all():
        raise FloorError(f"{path}: expected a resolution from 0.0001 to 100 m and a finite origin, got {resolution}, {origin}")
    if len(origin) > 2 and abs(origin[2]) > 1e-6:
        raise FloorError(f"{path}: the map is turned by {origin[2]} rad; turn the image and set the third origin to 0")
    if not image.resolve().is_relative_to(path.parent.resolve()):
        raise FloorError(f"{path}: the image {image.name!r} lies outside the map's folder")
    import cv2
    grey = cv2.imdecode(np.frombuffer(image.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE) if image.is_file() else None
    if grey is None or grey.size > MAX_CELLS:
        raise FloorError(f"{path}: cannot read the image {image}; expected a PGM or PNG of at most {MAX_CELLS} cells")
    taken = grey / 255.0 if negate else (255 - grey) / 255.0
    return walled(np.ascontiguousarray((taken < free_below)[::-1])), resolution, (origin[0], origin[1])
