"""A floor of a shop or warehouse: ways by distance fields, one for each goal that is in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...kernels import distance_field
from ...kernels.distance_field import FREE, WALL
from ..bundle import Bundle, BundleError, digest
from ..bundle_file import read_bundle, write_bundle_toml
from .answers import Reach, Route
from .network import FORMAT, INF, ROLE

KEPT = 256              # fields; 140 KB each for a warehouse of 140 x 500
ROOT = 2.0 ** 0.5
NO_FIELD = 0xFFFFFFFF


class Floor:
    """A grid whose free cells are the nodes of the map, called row * columns + column (its wall around it included).

    `resolution_m` is the side of a cell, `origin` x, y in metres of the outer corner of cell (1, 1). With `diagonal`,
    robots also step to the four diagonal cells (MovingAI's rule). Any thread may ask while cells close and open.
    """

    frame = "plane"

    def __init__(self, cells: np.ndarray, resolution_m: float = 1.0, origin: tuple[float, float] = (0.0, 0.0), *,
                 diagonal: bool = False, speed_kmh: float = 5.0, report: Mapping[str, Any] | None = None) -> None:
        self.cells, self.resolution_m, self.origin, self.diagonal = cells, resolution_m, origin, diagonal
        self.speed_kmh, self.report = speed_kmh, dict(report or {})
        self.version = 0
        self._now = (0, np.array(cells))
        self._lock = threading.Lock()
        self._fields: OrderedDict[int, tuple[int, np.ndarray]] = OrderedDict()

    # ---- places

    def nearest(self, lat: float, lon: float, limit_m: float = 5.0, *, plain: bool = False) -> int | None:
        """The nearest free cell to y, x in metres within the limit, or None; ValueError for NaN or infinity.

        With `plain` as the map has it, whatever is closed now.
        """
        if not (np.isfinite(lat) and np.isfinite(lon)):
            raise ValueError(f"expected finite coordinates, got ({lat}, {lon})")
        row, column = (lat - self.origin[1]) / self.resolution_m + 0.5, (lon - self.origin[0]) / self.resolution_m + 0.5
        reach = limit_m / self.resolution_m + 1
        r0, c0 = max(int(row - reach), 0), max(int(column - reach), 0)
        near = (self.cells if plain else self._now[1])[r0:max(int(row + reach) + 2, 0), c0:max(int(column + reach) + 2, 0)]
        rows, columns = np.nonzero(near == FREE)
        away = np.hypot(rows + r0 - row, columns + c0 - column)
        if not len(away) or away.min() * self.resolution_m > limit_m:
            return None
        k = int(np.argmin(away))
        return int((rows[k] + r0) * self.cells.shape[1] + columns[k] + c0)

    def point(self, cell: int) -> tuple[float, float]:
        """y, x in metres of the middle of a cell."""
        row, column = divmod(cell, self.cells.shape[1])
        return ((row - 0.5) * self.resolution_m + self.origin[1], (column - 0.5) * self.resolution_m + self.origin[0])

    def bounds(self) -> tuple[float, float, float, float]:
        """Least y, least x, largest y, largest x of the floor in metres."""
        h, w = self.cells.shape
        y, x = self.origin[1], self.origin[0]
        return y, x, y + (h - 2) * self.resolution_m, x + (w - 2) * self.resolution_m

    # ---- questions

    def route(self, source: int, target: int) -> Route | None:
        """The shortest way from cell to cell, cells in `nodes`, no edges; None without one."""
        self._free(source)
        version, field = self._field(target)
        out = np.empty(1024, np.int32)
        while True:
            try:
                count = distance_field.descend(field, source, out=out)
                break
            except ValueError:
                if len(out) >= field.size:
                    raise
                out = np.empty(min(len(out) * 16, field.size), np.int32)
        if not count:
            return None
        metres = self._metres(field, source)
        return Route(self._ms(metres), metres, np.empty(0, np.int32), out[:count].copy(), 0.0, 1.0, version)

    def cost(self, source: int, target: int) -> int:
        """Milliseconds from cell to cell; INF without a way."""
        self._free(source)
        return self._ms(self._metres(self._field(target)[1], source))

    def matrix(self, sources: Sequence[int], targets: Sequence[int]) -> np.ndarray:
        """Milliseconds of all pairs, uint32 (sources, targets)."""
        at = np.array([self._free(s) for s in sources], np.int64)
        return np.array([self._all_ms(self._field(t)[1].reshape(-1)[at]) for t in targets], np.uint32).reshape(-1, len(at)).T

    def reach(self, place: int, limit_ms: int, *, arriving: bool = False) -> Reach:
        """Cells within the limit of a cell (both ways cost the same)."""
        version, field = self._field(place)
        costs = self._all_ms(field.reshape(-1))
        nodes = np.flatnonzero(costs <= min(limit_ms, INF - 1)).astype(np.int32)
        return Reach(nodes, costs[nodes], np.empty(0, np.int32), version)

    # ---- changes

    def close(self, cells: Iterable[int]) -> int:
        """Make cells walls, all or none; the new version. Every later question sees it."""
        return self._set(cells, WALL)

    def reopen(self, cells: Iterable[int]) -> int:
        """Give cells back what the map says."""
        return self._set(cells, None)

    def changes(self) -> dict[int, int]:
        """Cells that are closed beyond the map, with INF."""
        return dict.fromkeys(np.flatnonzero(self._now[1].reshape(-1) != self.cells.reshape(-1)).tolist(), INF)

    def _set(self, cells: Iterable[int], value: int | None) -> int:
        wanted = np.array(list(cells), np.int64)
        if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.cells.size:
            raise ValueError(f"expected cells from 0 to {self.cells.size - 1}, got {wanted.min()} to {wanted.max()}")
        with self._lock:
            changed = self._now[1].copy()        # a search that runs keeps the floor it began with
            changed.reshape(-1)[wanted] = self.cells.reshape(-1)[wanted] if value is None else value
            self._now = (self.version + 1, changed)
            self.version += 1
            return self.version

    # ---- fields

    def _free(self, cell: int) -> int:
        if not 0 <= cell < self.cells.size:
            raise ValueError(f"expected a cell from 0 to {self.cells.size - 1}, got {cell}")
        return cell

    def _field(self, goal: int) -> tuple[int, np.ndarray]:
        """The field of a goal on the present floor: kept, or made now. A goal in a wall is reached from nowhere."""
        self._free(goal)
        version, floor = self._now
        kept = self._fields.get(goal)
        if kept is not None and kept[0] == version:
            return kept
        field = np.empty(floor.shape, np.uint32 if self.diagonal else np.uint16)
        if floor.reshape(-1)[goal] != FREE:
            field[:] = NO_FIELD if self.diagonal else WALL
        elif self.diagonal:
            distance_field.octile(floor, goal, out=field)
        else:
            distance_field.steps(floor, goal, out=field)
        with self._lock:
            self._fields[goal] = version, field
            self._fields.move_to_end(goal)
            if len(self._fields) > KEPT:
                self._fields.popitem(last=False)
        return version, field

    def _metres(self, field: np.ndarray, cell: int) -> float:
        value = int(field.reshape(-1)[cell])
        if self.diagonal:
            return np.inf if value == NO_FIELD else ((value >> 16) + (value & 0xFFFF) * ROOT) * self.resolution_m
        return np.inf if value >= WALL else value * self.resolution_m

    def _ms(self, metres: float) -> int:
        return INF if metres == np.inf else min(round(metres * 3600 / self.speed_kmh), INF - 1)

    def _all_ms(self, values: np.ndarray) -> np.ndarray:
        if self.diagonal:
            steps, none = (values >> 16) + (values & 0xFFFF) * ROOT, values == NO_FIELD
        else:
            steps, none = values.astype(np.float64), values >= WALL
        ms = np.minimum(np.round(steps * self.resolution_m * 3600 / self.speed_kmh), INF - 1)
        return np.where(none, INF, ms).astype(np.uint32)


def save_floor(floor: Floor, folder: Path, name: str, version: str = "1") -> Bundle:
    """Write a floor as a map bundle into `folder` (made if needed)."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "cells.npy", floor.cells)
    params = {"format": FORMAT, "frame": "floor", "resolution_m": floor.resolution_m, "origin": list(floor.origin),
              "diagonal": floor.diagonal, "speed_kmh": floor.speed_kmh, "report": floor.report}
    bundle = Bundle(name=name, version=version, role=ROLE, root=folder, params=params,
                    sha256={"cells.npy": digest(folder / "cells.npy")})
    write_bundle_toml(bundle, folder)
    return bundle


def load_floor(folder: Path) -> Floor:
    """The floor in `folder`; BundleError if it cannot be used."""
    bundle = read_bundle(folder)
    params, path = bundle.params, bundle.path("cells.npy")
    if bundle.role != ROLE or params.get("format") != FORMAT or params.get("frame") != "floor":
        raise BundleError(f"{folder} is not a floor of format {FORMAT}; build it again with `aisle map build`")
    try:
        cells = np.load(path, mmap_mode="r", allow_pickle=False)
        whole = np.array(cells)
        x, y = (float(v) for v in params["origin"])
        resolution, speed = float(params["resolution_m"]), float(params["speed_kmh"])
    except (OSError, ValueError, EOFError, SyntaxError, KeyError, TypeError) as error:
        raise BundleError(f"cannot read {path}: {error}; the map is damaged: copy or build it again") from error
    good = whole.dtype == np.uint16 and whole.ndim == 2 and min(whole.shape) >= 3 and bool((whole >= WALL).all())
    border = good and bool((whole[[0, -1]] == WALL).all() and (whole[:, [0, -1]] == WALL).all())
    if not border or not (resolution > 0 and speed > 0 and np.isfinite([x, y, resolution, speed]).all()):
        raise BundleError(f"{path} is not a floor with a wall around it; the map is damaged: copy or build it again")
    return Floor(whole, resolution, (x, y), diagonal=bool(params.get("diagonal")), speed_kmh=speed,
                 report=params.get("report", {}))
