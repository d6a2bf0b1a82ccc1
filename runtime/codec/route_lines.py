"""Lines and areas of a map as GeoJSON, encoded polylines and whole numbers."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ...kernels import street_line
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
    out = np.empty(2 * street_line.GROUPS * len(points), np.uint8)
    return out[:street_line.encode(np.ascontiguousarray(points), 10.0**digits, out=out)].tobytes().decode("ascii")


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
