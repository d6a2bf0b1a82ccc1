"""A floor with the questions and changes of a street map: its places are cells, and what is closed are cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...kernels.distance_field import FREE, WALL
from ...kernels.shortest_path import Run
from .answers import Alternative, Place, Reach, Route
from .floor import Floor
from .network import INF

MARGIN_M = 50.0


@dataclass(frozen=True)
class FloorFace:
    """What a floor says of itself where a street map has its network. A "node" and an "edge" are both a cell."""

    nodes: int
    frame: str = "plane"
    kinds: tuple[str, ...] = ("wall",)
    profile: str = "floor"
    attribution: str = ""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def edges(self) -> int:
        """As many as cells: what can be closed."""
        return self.nodes

    def name(self, edge: int) -> str:
        """Cells have no names."""
        return ""


class FloorMap(Floor):
    """A floor that can be asked and changed as a `Router`."""

    @classmethod
    def of(cls, floor: Floor) -> FloorMap:
        """The same floor."""
        return cls(floor.cells, floor.resolution_m, floor.origin, diagonal=floor.diagonal, speed_kmh=floor.speed_kmh,
                   report=floor.report)

    @property
    def network(self) -> FloorFace:
        """What there is in place of streets."""
        return FloorFace(int(self.cells.size))

    def covers(self, lat: float, lon: float, margin_m: float = MARGIN_M) -> bool:
        """Whether y, x lies on the floor or within the margin of it."""
        south, west, north, east = self.bounds()
        return south - margin_m <= lat <= north + margin_m and west - margin_m <= lon <= east + margin_m

    def swapped(self, lat: float, lon: float) -> bool:
        """Whether the point lies off the floor, but on it with y and x exchanged."""
        return not self.covers(lat, lon) and self.covers(lon, lat, 0.0)

    def points(self, cells: np.ndarray) -> np.ndarray:
        """x, y in metres of the middles of cells, float64 (n, 2)."""
        row, column = np.divmod(np.asarray(cells, np.int64), self.cells.shape[1])
        xy = np.stack([column, row], 1) - 0.5
        return np.asarray(xy * self.resolution_m + np.array(self.origin))

    def route(self, source: Place, target: Place) -> Route | None:
        """As Floor.route."""
        return super().route(cell(source), cell(target))

    def matrix(self, sources: Sequence[Place], targets: Sequence[Place]) -> np.ndarray:
        """As Floor.matrix."""
        return super().matrix([cell(s) for s in sources], [cell(t) for t in targets])

    def lengths(self, sources: Sequence[Place], targets: Sequence[Place]) -> tuple[np.ndarray, np.ndarray]:
        """`matrix`, and the decimetres of the same ways, int64; 0 without a way. Every way has the floor's one speed."""
        costs = self.matrix(sources, targets)
        metres = np.round(costs * (self.speed_kmh / 360)).astype(np.int64)
        metres[costs >= INF] = 0
        return costs, metres

    def reach(self, place: Place, limit_ms: int, *, arriving: bool = False) -> Reach:
        """As Floor.reach."""
        return super().reach(cell(place), limit_ms, arriving=arriving)

    def alternatives(self, source: Place, target: Place, count: int = 3) -> list[Alternative]:
        """The best way alone: between the shelves there are a thousand others like it."""
        best = self.route(source, target)
        return [] if best is None else [Alternative(best, 1.0, 0.0)]

    def cut_by(self, source: Place, target: Place) -> list[int]:
        """The closed cells on the way that there would be if nothing were closed; [] if there is none even then."""
        plain = Floor(self.cells, self.resolution_m, self.origin, diagonal=self.diagonal, speed_kmh=self.speed_kmh)
        way = plain.route(cell(source), cell(target))
        shut = self.changes()
        return [] if way is None else [int(cell) for cell in way.nodes if int(cell) in shut]

    def apply(self, costs: Mapping[int, int | None], run: Run | None = None) -> int:
        """Close cells (INF) and give others back what the map says (None), in one step; the new version."""
        wanted = np.fromiter(costs, np.int64, len(costs))
        shut = np.array([cost is not None for cost in costs.values()], bool)
        with self._lock:
            changed = self._now[1].copy()        # a search that runs keeps the floor it began with
            flat = changed.reshape(-1)
            flat[wanted] = np.where(shut, WALL, self.cells.reshape(-1)[wanted])
            self._now = (self.version + 1, changed)
            self.version += 1
            return self.version

    def inside(self, area: Sequence[tuple[float, float]]) -> np.ndarray:
        """The free cells (int32) whose middle lies in a polygon of (y, x) corners. ValueError for no polygon."""
        corners = np.array([(x, y) for y, x in area], np.float64)
        if len(corners) < 3 or not np.isfinite(corners).all():
            raise ValueError(f"expected at least three finite corners of an area, got {corners.tolist()}")
        free = np.flatnonzero(self.cells.reshape(-1) == FREE)
        xy = self.points(free)
        near = ((xy >= corners.min(axis=0)) & (xy <= corners.max(axis=0))).all(axis=1)
        xy, free = xy[near], free[near]
        return free[within(corners, xy[:, 0], xy[:, 1])].astype(np.int32)

    def line(self, route: Route) -> np.ndarray:
        """A way as float64 (points, 2) of x, y with a point at each bend; at least two."""
        xy = self.points(route.nodes)
        if len(xy) < 2:
            return np.repeat(xy, 2, axis=0)
        bend = (np.diff(route.nodes[1:]) != np.diff(route.nodes[:-1]))
        return xy[np.concatenate([[True], bend, [True]])]


def cell(place: Place) -> int:
    """The cell of a place; on a floor there are no others."""
    if not isinstance(place, int):
        raise ValueError(f"expected the number of a cell, got {place}")
    return place


def within(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points lie in a polygon, by the even-odd rule."""
    odd = np.zeros(len(x), bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay != by:
            odd ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return odd
