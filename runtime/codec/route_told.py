"""Answers of a map as plain data for JSON, and ways as numbers."""

from __future__ import annotations

import datetime
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...models.bundle import Bundle
from ...models.route import guide
from ...models.route.floor_map import FloorFace, FloorMap
from ...models.route.network import INF, Network
from ...models.route.router import Alternative, Place, Reach, Route
from ...models.route.site import Site
from ..workloads import route_asks as asks
from ..workloads.route_answer import Map
from ..workloads.route_asks import Where
from ..workloads.route_changes import NEVER, Change
from ..workloads.route_live import LiveMap
from ..workloads.route_site import FoundAcross, FoundAcrossPairs
from ..workloads.route_tours import FoundTour
from .route_floor import area, told_floor, told_steps
from .route_lines import areas, cells_of, geojson_line, lines, polyline
from .route_tours import told_tour

BINARY = "application/octet-stream"
DIGITS = {"wgs84": 6, "plane": 2}      # 0.1 m and 1 cm


def told(found: asks.Found | FoundTour | FoundAcross | FoundAcrossPairs, live: LiveMap) -> dict[str, Any]:
    """One answer."""
    return HOW[type(found)](found, live)


def told_route(found: asks.FoundRoute, live: LiveMap) -> dict[str, Any]:
    """The best way and the others."""
    router = live.router
    best, *others = [told_way(way, found.ask, router) for way in found.ways]
    made = {**best, "from": told_place(found.source, router), "to": told_place(found.target, router)}
    return made | ({"alternatives": others} if found.ask.count > 1 else {})


def told_way(way: Alternative, ask: asks.AskRoute, router: Map) -> dict[str, Any]:
    """One way."""
    route = way.route
    made: dict[str, Any] = {"cost_s": route.cost_ms / 1000, "length_m": round(route.length_m, 1), "map_version": route.version}
    made |= {"nodes": route.nodes.tolist()} if isinstance(router, FloorMap) else {"edges": route.edges.tolist()}
    if ask.count > 1:
        made |= {"stretch": round(way.stretch, 4), "shared": round(way.shared, 4)}
    steps = {"instructions": instructions(route, router)} if ask.guide else {}
    return made | told_times(ask, route.cost_ms) | shape(route, ask.shape, router) | steps


def told_times(ask: asks.AskRoute, cost_ms: int) -> dict[str, str]:
    """The other end of the trip, where one was given."""
    if ask.arrive_by is not None:
        return {"depart_at": clock(ask.arrive_by - cost_ms / 1000)}
    return {} if ask.depart_at is None else {"arrive_at": clock(ask.depart_at + cost_ms / 1000)}


def clock(seconds: float) -> str:
    """A time on the caller's clock."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def shape(route: Route, kind: str, router: Map) -> dict[str, Any]:
    """The way's line as asked for."""
    if kind == "none":
        return {}
    points = router.line(route) if isinstance(router, FloorMap) else guide.line(router.network, route)
    digits = DIGITS[router.network.frame]
    if kind == "geojson":
        return {"geometry": geojson_line(points, digits)}
    return {"polyline": polyline(points, digits), "polyline_digits": digits}


def instructions(route: Route, router: Map) -> list[dict[str, Any]]:
    """What to do on the way, in codes."""
    if isinstance(router, FloorMap):
        return told_steps(router, route)
    network = router.network
    return [{"code": s.code, "name": s.name, "kind": s.kind, "length_m": round(s.length_m, 1), "heading": s.heading,
             "edge": s.edge, **point(s.x, s.y, network)} for s in guide.steps(network, route)]


def point(x: float, y: float, network: Network | FloorFace) -> dict[str, float]:
    """Coordinates by the names of the map's frame."""
    digits = DIGITS[network.frame] + 1
    one, two = ("lat", "lon") if network.frame == "wgs84" else ("y", "x")
    return {one: round(y, digits), two: round(x, digits)}


def told_place(place: Place, router: Map) -> dict[str, Any]:
    """Where a place is on the network."""
    if isinstance(router, FloorMap):
        assert isinstance(place, int)
        y, x = router.point(place)
        return {"node": place, "edge": place, "twin": -1, **point(x, y, router.network)}
    network = router.network
    if isinstance(place, int):
        return {"node": place, **point(float(network.arrays["node_x"][place]), float(network.arrays["node_y"][place]), network)}
    return {**point(place.x, place.y, network), "edge": place.edge, "twin": int(network.arrays["edge_twin"][place.edge]),
            "fraction": round(place.fraction, 6), "side": place.side, "distance_m": round(place.distance_m, 2),
            "name": network.name(place.edge)}


def told_table(found: asks.FoundTable, live: LiveMap) -> dict[str, Any]:
    """Seconds, null without a way."""
    rows = [[None if cost >= INF else cost / 1000 for cost in row] for row in found.costs_ms.tolist()]
    return {"costs_s": rows, "map_version": found.version}


def told_pairs(found: asks.FoundPairs, live: LiveMap) -> dict[str, Any]:
    """What stands beside the numbers of a binary answer."""
    return {"pairs": len(found.costs_ms), "map_version": found.version}


def packed(found: asks.FoundPairs) -> bytes:
    """Little-endian: int64 version, int32 pairs, int32 edges; uint32 costs in ms, int32 first (pairs + 1), int32 edges."""
    head = struct.pack("<qii", found.version, len(found.costs_ms), len(found.edges))
    return b"".join((head, found.costs_ms.astype("<u4").tobytes(), found.first.astype("<i4").tobytes(),
                     found.edges.astype("<i4").tobytes()))


def told_nearest(found: asks.FoundNearest, live: LiveMap) -> dict[str, Any]:
    """The place."""
    return told_place(found.snap, live.router)


def told_reach(found: asks.FoundReach, live: LiveMap) -> dict[str, Any]:
    """One item for each limit."""
    items = [reached(reach, limit, found.ask.shape, live.router)
             for reach, limit in zip(found.reaches, found.ask.limits_ms, strict=True)]
    return {"reach": items, "map_version": found.reaches[0].version}


def reached(reach: Reach, limit: int, kind: str, router: Map) -> dict[str, Any]:
    """One isochrone."""
    made: dict[str, Any] = {"limit_s": limit / 1000, "nodes": len(reach.nodes), "edges": len(reach.edges)}
    if isinstance(router, FloorMap):
        return made | ({"geometry": area(router, reach)} if kind != "none" else {})
    network = router.network
    if kind == "area":
        made["geometry"] = areas(network, reach.edges, DIGITS[network.frame])
    elif kind == "lines":
        made["geometry"] = lines(network, reach.edges, DIGITS[network.frame])
    return made


def told_changes(found: asks.FoundChanges, live: LiveMap) -> dict[str, Any]:
    """The changes that hold, or those just made."""
    if found.made or not found.changes:
        return {"made": list(found.made), "map_version": found.version} | ({} if found.made else {"changes": []})
    return {"changes": [told_change(c, n) for c, n in found.changes], "map_version": found.version}


def told_change(change: Change, edges: int) -> dict[str, Any]:
    """One change."""
    made: dict[str, Any] = {"name": change.name, "do": change.do, "edges": edges}
    if change.kmh:
        made["kmh"] = change.kmh
    if change.due_ns < NEVER:
        made["left_s"] = max(0.0, round((change.due_ns - time.monotonic_ns()) / 1e9, 1))
    return made


def told_draw(found: asks.FoundDraw, live: LiveMap) -> dict[str, Any]:
    """Edges as whole numbers: see `cells_of`."""
    if isinstance(live.router, FloorMap):
        return told_floor(live.router, found.closed, found.version)
    network = live.router.network
    kinds = np.asarray(network.arrays["edge_kind"])[found.edges]
    points, counts, unit, origin = cells_of(network, found.edges)
    return {"edges": found.edges.tolist(), "kinds": kinds.tolist(), "closed": np.flatnonzero(found.closed).tolist(),
            "counts": counts.tolist(), "points": points.ravel().tolist(), "unit": unit, "origin": origin,
            "all": found.all_shown, "map_version": found.version}


def told_robots(found: asks.FoundRobots, live: LiveMap) -> dict[str, Any]:
    """Name, place and age of each."""
    network = live.router.network
    return {"robots": [{"name": name, **point(lon, lat, network), "age_s": round(age, 1)}
                       for name, (lat, lon, age) in found.robots.items()]}


def told_refused(found: asks.Refused, live: LiveMap) -> dict[str, Any]:
    """A question of a batch that has no answer."""
    return {"error": found.sentence, "code": found.code}


def told_across(found: FoundAcross, live: LiveMap) -> dict[str, Any]:
    """A way over several maps: its legs in turn, each as a way of its map and with the portal that leads to it."""
    crossing, how = found.crossing, found.ask.how
    plain = replace(how, arrive_by=None, depart_at=None)
    legs = [{"map": leg.map, "portal": leg.portal or None,
             **told_way(Alternative(leg.route, 1.0, 0.0), plain, found.lives[leg.map].router)} for leg in crossing.legs]
    made: dict[str, Any] = {"cost_s": crossing.cost_ms / 1000, "length_m": round(sum(leg["length_m"] for leg in legs), 1),
                            "portals": list(crossing.portals), "legs": legs}
    return made | told_times(how, crossing.cost_ms)


HOW: dict[type, Callable[[Any, LiveMap], dict[str, Any]]] = {
    asks.FoundRoute: told_route, asks.FoundTable: told_table, asks.FoundPairs: told_pairs, asks.FoundNearest: told_nearest,
    asks.FoundReach: told_reach, asks.FoundChanges: told_changes, asks.FoundDraw: told_draw, asks.FoundRobots: told_robots,
    asks.Refused: told_refused, FoundTour: told_tour,
    FoundAcross: told_across,
}


def about(live: LiveMap, bundle: Bundle) -> dict[str, Any]:
    """Size, bounds, source and state of a map."""
    router = live.now()
    network = router.network
    south, west, north, east = router.bounds()
    return {"frame": network.frame, "profile": network.profile, "nodes": network.nodes, "edges": network.edges,
            "bounds": [south, west, north, east], "kinds": list(network.kinds), "attribution": network.attribution,
            "changes": len(live.changes), "map_version": router.version}


def about_site(site: Site) -> dict[str, Any]:
    """The maps and portals of a site."""
    return {"frame": "site", "maps": list(site.maps), "portals": [
        {"name": door.name, "a": spot_of(door.a_map, door.a), "b": spot_of(door.b_map, door.b), "cost_s": door.cost_s,
         "one_way": door.one_way} for door in site.doors]}


def spot_of(name: str, spot: Where) -> dict[str, Any]:
    """An end of a portal; the site does not know the frame of its map, so coordinates are x and y."""
    return {"map": name, **({"node": spot} if isinstance(spot, int) else {"x": spot[1], "y": spot[0]})}
