"""Ways over a site: from a place on one map to a place on another, through portals, each map with its closures of now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.route.floor_map import FloorMap
from ...models.route.network import INF
from ...models.route.portals import Crossing, Point, Portal, route_across
from ...models.route.site import Door, Site
from ..errors import AisleError, Invalid, NotFound, TooLarge
from .route_answer import FLOOR_LIMIT_M, Map, place, shown
from .route_asks import AskRoute, Where
from .route_live import LiveMap

MAX_PAIRS = 1000       # of one call; each makes a table of every map between all portals
LIMIT_M = 500.0        # how far a place of a pair, or a portal, may lie from the streets


@dataclass(frozen=True)
class AskAcross:
    """A way from a place on a map to a place on another (or the same) map of a site; `how` says how to tell it."""

    source_map: str
    target_map: str
    how: AskRoute


@dataclass(frozen=True)
class AskAcrossPairs:
    """Many of them: `maps` as (from, to), rows float64 (n, 4) of latitude and longitude (on planes y and x) from and to."""

    maps: tuple[tuple[str, str], ...]
    rows: np.ndarray


@dataclass(frozen=True)
class FoundAcross:
    """The way, and the maps that its legs lie on."""

    ask: AskAcross
    crossing: Crossing
    lives: Mapping[str, LiveMap]


@dataclass(frozen=True)
class FoundAcrossPairs:
    """uint32 `costs_ms` (n) with INF for no way (or no such place); int32 `legs` (k, 4): pair, map (in the site's order), and
    where its edges begin and end in `edges` int32 (on floors cells); `versions` int64 of all maps."""

    costs_ms: np.ndarray
    legs: np.ndarray
    edges: np.ndarray
    versions: np.ndarray


@dataclass(frozen=True)
class Joined:
    """A site with the maps that it joins, as they serve now."""

    site: Site
    lives: Mapping[str, LiveMap]

    def answer(self, ask: AskAcross) -> FoundAcross:
        """One way. Invalid for a map or place that is not there, NotFound where there is no way."""
        routers = {name: live.now() for name, live in self.lives.items()}
        source = self._point(routers, ask.source_map, ask.how.source, "from", ask.how.limit_m)
        target = self._point(routers, ask.target_map, ask.how.target, "to", ask.how.limit_m)
        found = route_across(routers, self.portals(routers), source, target)
        if found is None:
            raise NotFound(f"there is no way from {shown(ask.how.source)} on {ask.source_map!r} to {shown(ask.how.target)} on "
                           f"{ask.target_map!r}, through any of the {len(self.site.doors)} portals of this site; ask its maps "
                           "for the parts to see which closure cuts it")
        return FoundAcross(ask, found, self.lives)

    def pairs(self, ask: AskAcrossPairs) -> FoundAcrossPairs:
        """Many ways; a pair with a place that is not there, or without a way, costs INF. Invalid for an unknown map."""
        if len(ask.rows) > MAX_PAIRS:
            raise TooLarge(f"{len(ask.rows)} pairs of places on a site, and at most {MAX_PAIRS} are answered at once")
        routers = {name: live.now() for name, live in self.lives.items()}
        for name in {name for pair in ask.maps for name in pair} - routers.keys():
            raise Invalid(f"MAPS: {name[:80]!r} is none of the maps of this site, {', '.join(routers)}")
        portals, costs = self.portals(routers), np.full(len(ask.rows), INF, np.uint32)
        legs, edges, count = [], [np.empty(0, np.int32)], 0
        for i, (names, row) in enumerate(zip(ask.maps, ask.rows.tolist(), strict=True)):
            try:
                source = self._point(routers, names[0], (row[0], row[1]), "", LIMIT_M)
                target = self._point(routers, names[1], (row[2], row[3]), "", LIMIT_M)
            except AisleError:
                continue
            found = route_across(routers, portals, source, target)
            costs[i] = INF if found is None else found.cost_ms
            for leg in found.legs if found is not None else ():
                part = leg.route.nodes if isinstance(routers[leg.map], FloorMap) else leg.route.edges
                legs.append((i, self.site.maps.index(leg.map), count, count + len(part)))
                edges.append(part)
                count += len(part)
        versions = np.array([routers[name].version for name in self.site.maps], np.int64)
        return FoundAcrossPairs(costs, np.array(legs, np.int32).reshape(-1, 4), np.concatenate(edges).astype(np.int32),
                                versions)

    def portals(self, routers: Mapping[str, Map]) -> list[Portal]:
        """The portals, at the places that the maps have for them: whoever closes the cell or street there closes the door.

        Invalid for one whose end lies nowhere.
        """
        return [Portal(door.name, self._end(routers, door, door.a_map, door.a), self._end(routers, door, door.b_map, door.b),
                       round(door.cost_s * 1000), door.one_way) for door in self.site.doors]

    def _end(self, routers: Mapping[str, Map], door: Door, name: str, spot: Where) -> Point:
        router = routers[name]
        if isinstance(router, FloorMap) and not isinstance(spot, int):
            cell = router.nearest(*spot, FLOOR_LIMIT_M, plain=True)
            if cell is not None:
                return name, cell
        return self._point(routers, name, spot, f"portal {door.name!r}", LIMIT_M)

    def _point(self, routers: Mapping[str, Map], name: str, where: Where, what: str, limit_m: float) -> Point:
        if name not in routers:
            raise Invalid(f"{what}.map: {name[:80]!r} is none of the maps of this site, {', '.join(routers)}")
        return name, place(routers[name], where, what, limit_m)


def joined(site: Site, asset_of: Callable[[str], Any]) -> Joined:
    """The maps of a site; `asset_of` gives what serves under a name, or raises. Invalid for what is no map."""
    lives = {}
    for name in site.maps:
        live = getattr(asset_of(name), "live", None)
        if live is None:
            raise Invalid(f"{name!r} is a site itself; a site joins maps and floors")
        lives[name] = live
    return Joined(site, lives)


def across_pairs(maps: np.ndarray, rows: np.ndarray) -> AskAcrossPairs:
    """Pairs from tensors: MAPS bytes (n, 2) beside PLACES float64 (n, 4)."""
    if maps.shape != (len(rows), 2):
        raise Invalid(f"MAPS: expected the map of both ends of each of the {len(rows)} rows of PLACES, ({len(rows)}, 2), got "
                      f"{maps.shape}")
    names = [tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in row) for row in maps.tolist()]
    return AskAcrossPairs(tuple((a, b) for a, b in names), rows)
