"""The things that go wrong with the drawn part: each function changes a surface or a picture and returns its mask."""

from __future__ import annotations

import cv2
import numpy as np

from .part_shape import BORE, BOSS, HALF, HEIGHT, HOLE, HOLES, WIDTH, Pose, Surface

Point = tuple[float, float]


def _place(rng: np.random.Generator, margin: float) -> Point:
    """A point of the plate, in part coordinates, `margin` px away from its edge, the bore and the bolt holes."""
    for _ in range(200):
        u, v = (float(rng.uniform(-h + margin, h - margin)) for h in HALF)
        clear = min(np.hypot(u - a, v - b) for a, b in HOLES) > HOLE + 8 + margin / 2
        if clear and np.hypot(u, v) > BORE + margin:
            return u, v
    return -BOSS - margin, 0.0


def _blank() -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH), np.uint8)


def _line(points: np.ndarray, pose: Pose, thickness: int) -> np.ndarray:
    """A polyline through part coordinates (n, 2), drawn softly: uint8 (480, 640)."""
    canvas = _blank()
    where = np.array([pose.to_image(u, v) for u, v in points])
    cv2.polylines(canvas, [np.round(where * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
    return canvas


def _blob(centre: Point, size: float, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """A closed irregular outline around a point, filled: uint8 (480, 640)."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = size * (1 + sum(rng.uniform(-0.22, 0.22) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (1, 2, 3, 5)))
    around = np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)
    points = [pose.to_image(u, v) for u, v in around]
    canvas = _blank()
    cv2.fillPoly(canvas, [np.round(np.array(points) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return canvas


def _thick(where: np.ndarray) -> np.ndarray:
    """The mask of a thin line: one pixel wider on each side, 255 where it is."""
    return cv2.dilate(np.where(where, 255, 0).astype(np.uint8), np.ones((3, 3), np.uint8))


def dent(part: Surface, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Press a dent of 14 to 24 px radius into the surface."""
    x, y = pose.to_image(*_place(rng, 26))
    size = rng.uniform(14, 24)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    squared = ((columns - x) ** 2 + (rows - y) ** 2) / (size / 2) ** 2
    part.height = part.height - rng.uniform(5, 8) * np.exp(-squared / 2)
    return np.where((squared < 4) & (part.metal > 0.5), 255, 0).astype(np.uint8)


def scratch(picture: np.ndarray, part: Surface, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Draw a bright scratch with a dark rim, 60 to 150 px long."""
    u, v = _place(rng, 20)
    t = np.linspace(-0.5, 0.5, 24)
    angle, length, bend = rng.uniform(0, np.pi), rng.uniform(60, 150), rng.uniform(-18, 18)
    along, across = t * length, bend * (t**2 - 0.1) * 2
    points = np.stack([u + along * np.cos(angle) - across * np.sin(angle),
                       v + along * np.sin(angle) + across * np.cos(angle)], axis=1)
    core, rim = _line(points, pose, 1), _line(points + 1.2, pose, 1)
    fade = part.metal * rng.uniform(0.7, 1.0)
    picture += (0.30 * core / 255 * fade)[..., None] - (0.20 * rim / 255 * fade)[..., None]
    return _thick((core > 96) & (part.metal > 0.5))


def stain(picture: np.ndarray, part: Surface, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Spill oil: a brownish, soft-edged darkening of 16 to 34 px radius."""
    blob = _blob(_place(rng, 30), rng.uniform(16, 34), pose, rng)
    soft = cv2.GaussianBlur(blob, (0, 0), 2.5).astype(np.float32) / 255 * part.metal
    strength = rng.uniform(0.8, 1.15)
    picture *= 1 - (soft * strength)[..., None] * np.array([0.34, 0.24, 0.18], np.float32)
    return np.where((blob > 127) & (part.metal > 0.5), 255, 0).astype(np.uint8)


def crack(picture: np.ndarray, part: Surface, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Let a dark jagged crack run from a bolt hole or the bore, 50 to 95 px long."""
    starts = [*HOLES, (0.0, 0.0)]
    start = starts[int(rng.integers(len(starts)))]
    radius = BORE if start == (0.0, 0.0) else HOLE
    heading = np.arctan2(-start[1], -start[0]) + rng.uniform(-0.9, 0.9) if radius == HOLE else rng.uniform(0, 2 * np.pi)
    point = np.array(start) + radius * np.array([np.cos(heading), np.sin(heading)])
    points = [point]
    for _ in range(int(rng.integers(8, 15))):
        turn = heading + rng.normal(0, 0.55)
        point = point + rng.uniform(5, 8) * np.array([np.cos(turn), np.sin(turn)])
        points.append(point)
    line = _line(np.array(points), pose, 2)
    soft = cv2.GaussianBlur(line, (0, 0), 0.7).astype(np.float32) / 255 * part.metal
    picture *= 1 - 0.72 * soft[..., None]
    return _thick((line > 96) & (part.metal > 0.5))


def contaminate(picture: np.ndarray, part: Surface, pose: Pose, rng: np.random.Generator) -> np.ndarray:
    """Leave a curl of swarf or a blue fibre lying on the part, with its shadow."""
    u, v = _place(rng, 24)
    t = np.linspace(0, rng.uniform(4.5, 7.5), 60)
    radius = rng.uniform(7, 13) * (1 + 0.12 * t)
    drift = rng.uniform(-3.5, 3.5, 2)
    points = np.stack([u + radius * np.cos(t) + drift[0] * t, v + radius * np.sin(t) + drift[1] * t], axis=1)
    line, shade = _line(points, pose, 3), _line(points + 3, pose, 4)
    picture *= 1 - 0.35 * (cv2.GaussianBlur(shade, (0, 0), 1.5).astype(np.float32) / 255)[..., None]
    colour = ((0.92, 0.90, 0.86), (0.62, 0.30, 0.16))[int(rng.integers(2))]
    cover = (line.astype(np.float32) / 255)[..., None]
    gleam = np.float32(0.75) + 0.25 * np.cos(np.mgrid[0:HEIGHT, 0:WIDTH][1][..., None] / 3.0)
    picture *= 1 - cover
    picture += cover * gleam * np.array(colour)
    return _thick(line > 96)
