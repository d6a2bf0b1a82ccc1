"""Lines and areas of a map as GeoJSON, encoded polylines and whole numbers."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ...models.route.network import Network
from ...models.route.shapes import points_of

CELLS = 384            # of the longer side of the drawing that an area is read from
REACH_M = 25.0         # how far from its streets an area goes, at least
DRAWN = {"wgs84": 1e-6, "plane": 0.01}


def geojson_line(points: np.ndarray, digits: int) -> dict[str, Any]:
    """A LineString of float64 (n, 2) x, y; x (the longitude) comes first, as GeoJSON has it."""
    return {"type": "LineString", "coordinates": np.round(points, digits).tolist()}


def polyline(points: np.ndarray, digits: int) -> str:
    """Google's encoded polyline with that many digits; y (the latitude) comes first."""
    whole = np.round(points[:, ::-1] * 10**digits).astype(np.int64)
    steps = np.diff(whole, axis=0, prepend=np.zeros((1, 2), np.int64)).ravel()
    numbers = np.where(steps < 0, ~(steps << 1), steps << 1)
    return encoded(numbers[:2]) + encoded(numbers[2:])           # the first point is far from nothing, the others near


def encoded(numbers: np.ndarray) -> str:
    """Numbers of 0 and more in groups of five bits, the lowest first."""
    groups = max(1, -(-int(numbers.max(initial=0)).bit_length() // 5))
    left = numbers[:, None] >> np.arange(0, 5 * groups, 5)       # of each number from each five bits on
    kept = left > 0
    kept[:, 0] = True
    made = (left & 31) + np.where(left >= 32, 95, 63)            # all but the last five carry a sixth bit
    return made[kept].astype(np.uint8).tobytes().decode("ascii")


def lines(network: Network, edges: np.ndarray, digits: int) -> dict[str, Any]:
    """A MultiLineString of whole edges, one direction of each street."""
    twin = np.asarray(network.arrays["edge_twin"])[edges]
    single = edges[(twin < 0) | (edges < twin) | ~np.isin(twin, edges)]
    points, counts = points_of(network, single)
    cuts = np.cumsum(counts)[:-1]
    return {"type": "MultiLineString", "coordinates": [part.tolist() for part in np.split(np.round(points, digits), cuts)]}


def cells_of(network: Network, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, list[float]]:
    """For drawing: int32 (points, 2) x, y in units from an origin, points of each edge, the unit, the origin [x, y]."""
    points, counts = points_of(network, edges)
    unit = DRAWN[network.frame]
    origin = points.min(axis=0) if len(points) else np.zeros(2)
    return np.round((points - origin) / unit).astype(np.int32), counts, unit, origin.tolist()


def areas(network: Network, edges: np.ndarray, digits: int) -> dict[str, Any]:
    """A MultiPolygon around edges, read from a drawing of them: for people; the edges are exact."""
    points, counts = points_of(network, edges)
    if not len(points):
        return {"type": "MultiPolygon", "coordinates": []}
    by = network.scale
    low, high = (points * by).min(axis=0), (points * by).max(axis=0)
    cell = max(float((high - low).max()) / CELLS, REACH_M / 8)
    pad = int(np.ceil(REACH_M / cell)) + 2
    picture = np.zeros([int(n) + 2 * pad + 1 for n in ((high - low) / cell)[::-1]], np.uint8)
    pixels = np.round((points * by - low) / cell).astype(np.int32) + pad
    parts = [part.reshape(-1, 1, 2) for part in np.split(pixels, np.cumsum(counts)[:-1])]
    cv2.polylines(picture, parts, False, 255, 2 * max(1, round(REACH_M / cell)) + 1)
    found, tree = cv2.findContours(picture, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    return {"type": "MultiPolygon", "coordinates": polygons(found, tree, (low - pad * cell) / by, cell / by, digits)}


def polygons(found: Any, tree: Any, origin: np.ndarray, cell: np.ndarray, digits: int) -> list[list[list[list[float]]]]:
    """Outlines with their holes as rings of coordinates."""
    rings = [np.round(ring.reshape(-1, 2) * cell + origin, digits).tolist() for ring in found]
    closed = [[*ring, ring[0]] for ring in rings]
    made: dict[int, list[list[list[float]]]] = {}
    for i, (_, _, _, parent) in enumerate(tree[0].tolist() if tree is not None else ()):
        if len(closed[i]) >= 4 and parent < 0:
            made[i] = [closed[i]]
    for i, (_, _, _, parent) in enumerate(tree[0].tolist() if tree is not None else ()):
        if len(closed[i]) >= 4 and parent in made:
            made[parent].append(closed[i])
    return list(made.values())
