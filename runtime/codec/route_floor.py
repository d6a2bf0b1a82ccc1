"""Floors as lines and areas: ways with a point at each bend, what can be reached, walls for the map page."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ...kernels.distance_field import FREE
from ...models.route.answers import Reach, Route
from ...models.route.floor_map import FloorMap
from .route_lines import polygons

DIGITS = 2             # cm


def told_steps(floor: FloorMap, route: Route) -> list[dict[str, Any]]:
    """Instructions in the codes of streets, a turn at each bend."""
    points = floor.line(route)
    legs = np.diff(points, axis=0)
    lengths, headings = np.hypot(*legs.T), np.degrees(np.arctan2(legs[:, 0], legs[:, 1]))
    made = []
    for i, (length, heading) in enumerate(zip(lengths.tolist(), headings.tolist(), strict=True)):
        code = "depart" if i == 0 else turn(heading - headings[i - 1])
        made.append(step(code, length, heading, points[i]))
    if not lengths.any():
        made = []
    return [*made, step("arrive", 0.0, float(headings[-1]), points[-1])]


def turn(angle: float) -> str:
    """The code of a bend by so many degrees, to the right above 0."""
    angle = (angle + 180) % 360 - 180
    side, size = "left" if angle < 0 else "right", abs(angle)
    return f"slight_{side}" if size < 60 else side if size < 120 else f"sharp_{side}" if size < 170 else "uturn"


def step(code: str, length: float, heading: float, at: np.ndarray) -> dict[str, Any]:
    """One instruction."""
    return {"code": code, "name": "", "kind": "floor", "length_m": round(length, 2), "heading": round(heading) % 360,
            "edge": -1, "y": round(float(at[1]), DIGITS), "x": round(float(at[0]), DIGITS)}


def area(floor: FloorMap, reach: Reach) -> dict[str, Any]:
    """A MultiPolygon around the cells within reach."""
    mask = np.zeros(floor.cells.size, np.uint8)
    mask[reach.nodes] = 255
    # Four pixels a cell, so that an area of one cell has a size and touching corners do not join.
    large = mask.reshape(floor.cells.shape).repeat(4, 0).repeat(4, 1)
    found, tree = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return {"type": "MultiPolygon", "coordinates": polygons(found, tree, *frame(floor, 4), DIGITS)}


def frame(floor: FloorMap, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """x, y of the middle of pixel (0, 0) of a drawing with `parts` pixels a cell, and the size of a pixel."""
    pixel = floor.resolution_m / parts
    return np.array(floor.origin) - floor.resolution_m + pixel / 2, np.array([pixel, pixel])


def told_floor(floor: FloorMap, closed: np.ndarray, version: int) -> dict[str, Any]:
    """The outlines of walls and of what is closed, as `draw` tells streets."""
    shut = np.zeros(floor.cells.size, np.uint8)
    shut[closed] = 255
    counts: list[int] = []
    points: list[np.ndarray] = []
    marked: list[int] = []
    for mask, is_shut in (((floor.cells != FREE).astype(np.uint8), False), (shut.reshape(floor.cells.shape), True)):
        outlines, _ = cv2.findContours(mask.repeat(2, 0).repeat(2, 1), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            ring = np.concatenate([outline, outline[:1]]).reshape(-1, 2)
            marked += [len(counts)] if is_shut else []
            counts.append(len(ring))
            points.append(ring)
    origin, pixel = frame(floor, 2)
    flat = np.concatenate(points).ravel().tolist() if points else []
    return {"edges": [], "kinds": [0] * len(counts), "closed": marked, "counts": counts, "points": flat,
            "unit": float(pixel[0]), "origin": origin.tolist(), "all": True, "map_version": version}
