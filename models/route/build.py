"""From a file to a map bundle, by the file's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...kernels.distance_field import FREE
from ..bundle import Bundle
from .floor import Floor, save_floor
from .floor_files import read_movingai, read_ros
from .lists import build_list
from .network import INF, Network, save, with_topology
from .osm import build_osm
from .osm_data import Progress
from .profile import read_profile
from .site import Site, read_site, save_site

FORMATS = {
    ".osm.pbf": "OpenStreetMap", ".osm": "OpenStreetMap XML", ".osm.gz": "the same, packed", ".osm.bz2": "the same, packed",
    ".map": "MovingAI grid", ".yaml": "ROS map.yaml with its image", ".csv": "edges, with NAME.nodes.csv beside",
    ".toml": "portals between maps",
}


def build_map(path: Path, profile: str = "sidewalk-robot", progress: Progress | None = None) -> Network | Floor | Site:
    """The map of a file for a vehicle, ready to be saved; its `report` says what was dropped and why.

    ValueError (OsmError, FloorError, ListError, SiteError) for a file or profile that cannot be used.
    """
    vehicle = read_profile(profile)
    pace = min(vehicle.max_speed_kmh, 5.0)
    if path.suffix == ".map":
        return _reported(Floor(read_movingai(path.read_bytes(), str(path)), diagonal=True, speed_kmh=pace))
    if path.suffix in (".yaml", ".yml"):
        cells, resolution, origin = read_ros(path)
        return _reported(Floor(cells, resolution, origin, diagonal=True, speed_kmh=pace))
    if path.suffix == ".toml":
        return read_site(path)
    if path.suffix == ".csv":
        return with_topology(build_list(path, pace))
    if path.name.endswith((".osm.pbf", ".osm", ".osm.gz", ".osm.bz2", ".pbf")):
        return with_topology(build_osm(path, vehicle, progress))
    known = ", ".join(f"{end} ({what})" for end, what in FORMATS.items())
    raise ValueError(f"expected a file that ends in {known}; got {path.name!r}")


def save_map(made: Network | Floor | Site, folder: Path, name: str, version: str = "1") -> Bundle:
    """Write what `build_map` made as a bundle into `folder`."""
    if isinstance(made, Site):
        return save_site(made, folder, name, version)
    return save_floor(made, folder, name, version) if isinstance(made, Floor) else save(made, folder, name, version)


def _reported(floor: Floor) -> Floor:
    free = floor.cells == FREE
    floor.report = {"cells": int(free.size), "free": int(free.sum()), "dropped": {}}
    if free.any():
        left = int(free.sum()) - len(floor.reach(int(np.argmax(free)), INF - 1).nodes)
        if left:
            floor.report["note"] = f"{left} free cells are not connected with the first one"
    return floor
