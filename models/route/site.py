"""A site: maps by name and the portals between them, kept as a bundle of its own, so that doors change without the maps."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ..bundle import Bundle, BundleError
from ..bundle_file import NAME, write_bundle_toml
from .network import FORMAT, ROLE

MAX_PORTALS = 1000     # a table of each map between all of its portals is made for every question
MAX_MAPS = 64
Spot = int | tuple[float, float]        # a node or cell, or (latitude, longitude); on plane maps and floors (y, x)


class SiteError(ValueError):
    """A site that cannot be read; the sentence says where and why."""


@dataclass(frozen=True)
class Door:
    """A portal as it is written down: a place on each of two maps, `cost_s` to pass it, both ways unless `one_way`."""

    name: str
    a_map: str
    a: Spot
    b_map: str
    b: Spot
    cost_s: float = 0.0
    one_way: bool = False


@dataclass(frozen=True)
class Site:
    """The maps' names (a number in an answer counts in this order), and the portals."""

    name: str
    maps: tuple[str, ...]
    doors: tuple[Door, ...]

    @property
    def report(self) -> dict[str, Any]:
        """What was read."""
        return {"maps": list(self.maps), "portals": len(self.doors), "dropped": {}}


def read_site(path: Path) -> Site:
    """A site from TOML: [[portals]] with name, a and b ({map, lat, lon}, {map, x, y} or {map, node}), cost_s, one_way."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"{path} is not TOML: {error}; correct it") from error
    doors = table.pop("portals", None)
    if table or not isinstance(doors, list) or not doors:
        raise SiteError(f"{path}: expected [[portals]] and nothing else, got {', '.join(table) or 'no portals'}")
    return site_of("", [_door(item, f"{path}, portal {i + 1}") for i, item in enumerate(doors)], str(path))


def site_of(name: str, doors: list[Door], where: str) -> Site:
    """A site of these portals; SiteError where they are too many or share a name."""
    names = [door.name for door in doors]
    maps = tuple(dict.fromkeys(one for door in doors for one in (door.a_map, door.b_map)))
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise SiteError(f"{where}: two portals are called {twice!r}; expected a name of its own for each")
    if len(doors) > MAX_PORTALS or len(maps) > MAX_MAPS:
        raise SiteError(f"{where}: expected at most {MAX_PORTALS} portals on {MAX_MAPS} maps, got {len(doors)} on {len(maps)}")
    return Site(name, maps, tuple(doors))


def _door(item: Any, where: str) -> Door:
    fields = dict(item) if isinstance(item, dict) else {}
    name, cost, one_way = fields.pop("name", ""), fields.pop("cost_s", 0.0), fields.pop("one_way", False)
    ends = [fields.pop(end, None) for end in "ab"]
    if fields:
        raise SiteError(f"{where}: {next(iter(fields))} is unknown; the fields are name, a, b, cost_s, one_way")
    if not isinstance(name, str) or not 0 < len(name) <= 128:
        raise SiteError(f"{where}: expected a name of 1 to 128 characters, got {name!r}")
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost <= 86_400:
        raise SiteError(f"{where}: expected cost_s from 0 to 86400 seconds, got {cost!r}")
    if not isinstance(one_way, bool):
        raise SiteError(f"{where}: expected one_way as true or false, got {one_way!r}")
    (a_map, a), (b_map, b) = (_end(end, f"{where}, {key}") for end, key in zip(ends, "ab", strict=True))
    return Door(name, a_map, a, b_map, b, float(cost), one_way)


def _end(value: Any, where: str) -> tuple[str, Spot]:
    """The map and the place of one end."""
    fields = dict(value) if isinstance(value, dict) else {}
    name = fields.pop("map", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SiteError(f"{where}: expected a place such as {{map = \"hall\", x = 1.5, y = 2.0}}, got {value!r}")
    if set(fields) == {"node"} and isinstance(fields["node"], int) and 0 <= fields["node"] < 2**31:
        return name, fields["node"]
    keys = ("lat", "lon") if "lat" in fields else ("y", "x")
    numbers = [fields.pop(key, None) for key in keys]
    if fields or not all(isinstance(n, (int, float)) and not isinstance(n, bool) and isfinite(n) for n in numbers):
        raise SiteError(f"{where}: expected lat and lon, x and y, or node, beside map, got {value!r}")
    return name, (float(numbers[0]), float(numbers[1]))


def save_site(site: Site, folder: Path, name: str, version: str = "1") -> Bundle:
    """Write a site as a bundle into `folder` (made if needed)."""
    folder.mkdir(parents=True, exist_ok=True)
    doors = [{key: list(v) if isinstance(v, tuple) else v for key, v in asdict(door).items()} for door in site.doors]
    params = {"format": FORMAT, "frame": "site", "portals": doors, "report": site.report}
    bundle = Bundle(name=name, version=version, role=ROLE, root=folder, params=params)
    write_bundle_toml(bundle, folder)
    return bundle


def load_site(bundle: Bundle) -> Site:
    """The site that a bundle is; BundleError if it cannot be used."""
    try:
        doors = [_kept(item) for item in bundle.params["portals"]]
        return site_of(bundle.name, doors, str(bundle.root))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{bundle.root} is not a site of format {FORMAT} ({error}); build it again with `aisle map "
                          "build`") from error


def _kept(item: Mapping[str, Any]) -> Door:
    """A portal of a bundle, through the same checks as one that a person wrote."""
    def end(key: str) -> dict[str, Any]:
        spot = item[key]
        return {"map": item[f"{key}_map"], **({"node": spot} if isinstance(spot, int) else {"y": spot[0], "x": spot[1]})}
    return _door({"name": item["name"], "cost_s": item["cost_s"], "one_way": item["one_way"], "a": end("a"), "b": end("b")},
                 f"portal {item['name']!r}")
