"""Answers one question on a live map; whatever is wrong with it becomes a sentence."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ...models.route.floor_map import FloorMap
from ...models.route.network import INF
from ...models.route.router import Alternative, Place, Router
from ...models.route.ways import Ways
from ..errors import Invalid, NotFound, TooLarge, Unsupported
from . import route_asks as asks
from .route_changes import Change
from .route_live import LiveMap

MAX_CELLS = 4_000_000      # of one table
MAX_ROBOTS = 20_000
QUICK_US = 1000.0          # pairs that are expected to take less are answered where they were read, without another thread
Map = Router | FloorMap
NOTHING = np.empty(0, np.int32)
NO_OTHERS = ("alternatives: a floor has none: between shelves a thousand ways are as short as the best; leave it out, or close "
             "cells of the best way and ask again")
FLOOR_LIMIT_M = 5.0        # between shelves, a place farther off is another place
FAR_M = 50_000.0           # how far away the nearest street is looked for, to say how far it is


class Seen:
    """Where robots were last, for the map page; bounded, and forgotten after their time."""

    def __init__(self) -> None:
        self._robots: OrderedDict[str, tuple[float, float, float, float]] = OrderedDict()

    def tell(self, ask: asks.AskRobots) -> dict[str, tuple[float, float, float]]:
        """Note the robots told; all known ones as (latitude, longitude, age in s)."""
        now = time.monotonic()
        for name, lat, lon in ask.robots:
            self._robots[name] = (lat, lon, now, now + ask.for_s)
            self._robots.move_to_end(name)
        while len(self._robots) > MAX_ROBOTS:
            self._robots.popitem(last=False)
        for name in [n for n, r in self._robots.items() if r[3] < now]:
            del self._robots[name]
        return {name: (lat, lon, now - at) for name, (lat, lon, at, _) in self._robots.items()}


def answer(live: LiveMap, seen: Seen, ask: asks.Ask) -> asks.Found:
    """The answer to one question; AisleError with a sentence."""
    work: Callable[[LiveMap, Any], asks.Found] | None = HOW.get(type(ask))
    if work is not None:
        return work(live, ask)
    assert isinstance(ask, asks.AskRobots)
    return asks.FoundRobots(seen.tell(ask))


def quick(live: LiveMap, ask: asks.Ask) -> asks.Found | None:
    """The answer where it takes well under a millisecond, else None; AisleError as `answer`."""
    if isinstance(ask, asks.AskNearest):
        return nearest(live, ask)
    if isinstance(ask, asks.AskPairs):
        return pairs(live, ask) if live.pace.expect_us(len(ask.rows)) < QUICK_US else None
    return one_way(live, ask) if isinstance(ask, asks.AskRoute) and ask.count == 1 else None


# ---- ways

def one_way(live: LiveMap, ask: asks.AskRoute) -> asks.FoundRoute | None:
    """The best way; None where there is none: why takes longer to say."""
    router = live.now()
    source, target = place(router, ask.source, "from", ask.limit_m), place(router, ask.target, "to", ask.limit_m)
    best = router.route(source, target)
    return None if best is None else asks.FoundRoute(ask, (Alternative(best, 1.0, 0.0),), source, target)


def route(live: LiveMap, ask: asks.AskRoute) -> asks.FoundRoute:
    """One way and others; NotFound says why there is none."""
    router = live.now()
    if ask.count > 1 and isinstance(router, FloorMap):
        raise Unsupported(NO_OTHERS)
    found = one_way(live, ask) if ask.count == 1 else None
    if found is not None:
        return found
    source, target = place(router, ask.source, "from", ask.limit_m), place(router, ask.target, "to", ask.limit_m)
    ways = tuple(router.alternatives(source, target, ask.count))
    if not ways:
        raise NotFound(why_cut(live, router, source, target, ask))
    return asks.FoundRoute(ask, ways, source, target)


def why_cut(live: LiveMap, router: Map, source: Place, target: Place, ask: asks.AskRoute) -> str:
    """Why there is no way: the closures that cut it, or that the map has none."""
    ends = f"there is no way from {shown(ask.source)} to {shown(ask.target)}"
    edges = router.cut_by(source, target)
    if not edges:
        return (f"{ends}, even with nothing closed: no edges of the map lead from the one to the other in that direction; "
                "look for one-way streets, or for an island of the map")
    closers = live.closers(edges)
    names = " and ".join(f"{c.name!r}{until(c)}" for c in closers[:3]) or "a change that has just ended"
    street = router.network.name(edges[0])
    where = f"edge {edges[0]}" + (f" ({street})" if street else "") + (f" and {len(edges) - 1} more" if len(edges) > 1 else "")
    return f"{ends}: {where} of the way that there would be is closed by {names}"


def until(change: Change) -> str:
    """How long a change still holds, in words."""
    left = (change.due_ns - time.monotonic_ns()) / 1e9
    return f" for another {left:.0f} s" if left < 1e9 else ""


def place(router: Map, where: asks.Where, name: str, limit_m: float) -> Place:
    """The place on the network; Invalid with the reason where there is none."""
    network = router.network
    if isinstance(where, int):
        if not 0 <= where < network.nodes:
            raise Invalid(f"{name}: node {where} is unknown: the map has the nodes 0 to {network.nodes - 1}")
        return where
    lat, lon = where
    if not (math.isfinite(lat) and math.isfinite(lon)):
        raise Invalid(f"{name}: expected finite coordinates, got {shown(where)}")
    if isinstance(router, FloorMap):
        limit_m = min(limit_m, FLOOR_LIMIT_M)
    try:
        snap = router.nearest(lat, lon, limit_m)
        fault = ""
    except ValueError as error:
        snap, fault = None, str(error)
    if snap is not None:
        return snap
    if router.swapped(lat, lon):
        raise Invalid(f"{name}: latitude and longitude look exchanged: {shown(where)} lies off the map and "
                      f"{shown((lon, lat))} on it; send \"lat\": {lon:g}, \"lon\": {lat:g}")
    if fault:
        raise Invalid(f"{name}: {fault}")
    raise Invalid(f"{name}: {shown(where)} {how_far(router, lat, lon)}; at most {limit_m:g} m are bridged (limit_m). "
                  f"The map covers {bounds_text(router)}")


def how_far(router: Map, lat: float, lon: float) -> str:
    """Where a point lies that no street is near to."""
    if not router.covers(lat, lon, FAR_M):
        return "lies far off the map"
    if isinstance(router, FloorMap):
        return "lies on no free cell"
    far = router.nearest(lat, lon, FAR_M * 4)
    return "lies on no street" if far is None else f"lies {far.distance_m:.0f} m from the nearest street"


def bounds_text(router: Map) -> str:
    """The bounds of the map in words."""
    south, west, north, east = router.bounds()
    one, two = ("latitude", "longitude") if router.network.frame == "wgs84" else ("y", "x")
    return f"{one} {south:.6g} to {north:.6g} and {two} {west:.6g} to {east:.6g}"


def shown(where: asks.Where) -> str:
    """A place as a caller wrote it."""
    return f"node {where}" if isinstance(where, int) else f"({where[0]:.7g}, {where[1]:.7g})"


def table(live: LiveMap, ask: asks.AskTable) -> asks.FoundTable:
    """Costs of all pairs."""
    cells = len(ask.sources) * len(ask.targets)
    if cells > MAX_CELLS:
        raise TooLarge(f"the table would have {cells} cells and at most {MAX_CELLS} are computed at once; ask in parts")
    router = live.now()
    sources = [place(router, w, f"sources[{i}]", ask.limit_m) for i, w in enumerate(ask.sources)]
    targets = [place(router, w, f"targets[{i}]", ask.limit_m) for i, w in enumerate(ask.targets)]
    version = router.version
    return asks.FoundTable(router.matrix(sources, targets), version)


def pairs(live: LiveMap, ask: asks.AskPairs) -> asks.FoundPairs:
    """The best way of each pair; a pair with a fault or without a way costs INF."""
    router, start = live.now(), time.perf_counter_ns()
    found = floor_pairs(router, ask) if isinstance(router, FloorMap) else router.ways(ask.rows, ask.limit_m, ask.paths)
    live.pace.add(len(ask.rows), time.perf_counter_ns() - start)
    return asks.FoundPairs(found.costs_ms, found.first, found.edges, found.version)


def floor_pairs(router: FloorMap, ask: asks.AskPairs) -> Ways:
    """The same on a floor, whose fields are one for each goal."""
    version, rows = router.version, ask.rows.tolist()
    costs, found = np.full(len(rows), INF, np.uint32), [NOTHING] * len(rows)
    for i, row in enumerate(rows):
        try:
            source, target = ends(router, row, ask.limit_m)
        except Invalid:
            continue
        best = router.route(source, target)
        if best is not None:
            costs[i], found[i] = best.cost_ms, best.nodes if ask.paths else NOTHING
    first = np.cumsum([0, *map(len, found)]).astype(np.int32)
    return Ways(costs, first, np.concatenate([NOTHING, *found]).astype(np.int32), version)


def ends(router: FloorMap, row: list[Any], limit_m: float) -> tuple[Place, Place]:
    """The two places of a row: two nodes, or two pairs of coordinates."""
    if len(row) == 2:
        return place(router, row[0], "", limit_m), place(router, row[1], "", limit_m)
    return place(router, (row[0], row[1]), "", limit_m), place(router, (row[2], row[3]), "", limit_m)


def nearest(live: LiveMap, ask: asks.AskNearest) -> asks.FoundNearest:
    """The nearest place on the network."""
    if isinstance(ask.place, int):
        raise Invalid("at: expected coordinates; a node is already on the network")
    return asks.FoundNearest(place(live.now(), ask.place, "at", ask.limit_m))


def reach(live: LiveMap, ask: asks.AskReach) -> asks.FoundReach:
    """Isochrones."""
    router = live.now()
    at = place(router, ask.place, "at", ask.limit_m)
    return asks.FoundReach(ask, tuple(router.reach(at, limit, arriving=ask.arriving) for limit in ask.limits_ms))


# ---- the state of the map

def update(live: LiveMap, ask: asks.AskUpdate) -> asks.FoundChanges:
    """Change the map."""
    version, made = live.update(ask.changes, ask.drop)
    return asks.FoundChanges(version, (), made)


def changes(live: LiveMap, ask: asks.AskChanges) -> asks.FoundChanges:
    """What holds now."""
    router = live.now()
    return asks.FoundChanges(router.version, tuple((c, live.count(c.name)) for c in list(live.changes.values())))


def draw(live: LiveMap, ask: asks.AskDraw) -> asks.FoundDraw:
    """The edges of a box, one direction each, the longest kept where there are too many."""
    router = live.now()
    if isinstance(router, FloorMap):     # drawn from its cells
        return asks.FoundDraw(NOTHING, live.closed(), True, router.version)
    a = router.network.arrays
    south, west, north, east = ask.box
    tail, head = np.asarray(a["edge_tail"]), np.asarray(a["edge_head"])
    x, y = np.asarray(a["node_x"]), np.asarray(a["node_y"])
    shown_ = (np.maximum(x[tail], x[head]) >= west) & (np.minimum(x[tail], x[head]) <= east)
    shown_ &= (np.maximum(y[tail], y[head]) >= south) & (np.minimum(y[tail], y[head]) <= north)
    twin = np.asarray(a["edge_twin"])
    shut = np.zeros(len(tail), bool)
    shut[live.closed()] = True
    # Of a pair the closed direction is drawn, so that a closure of one direction can be seen.
    number = np.arange(len(tail))
    shown_ &= (twin < 0) | (shut & ~shut[twin]) | ((shut == shut[twin]) & (number < twin))
    edges = np.flatnonzero(shown_).astype(np.int32)
    many = len(edges) > ask.most
    if many:
        weight = np.asarray(a["edge_length"])[edges].astype(np.int64) + shut[edges] * (1 << 40)
        edges = np.sort(edges[np.argpartition(-weight, ask.most)[:ask.most]])
    return asks.FoundDraw(edges, shut[edges], not many, router.version)


HOW: dict[type, Callable[[LiveMap, Any], asks.Found]] = {
    asks.AskRoute: route, asks.AskTable: table, asks.AskNearest: nearest, asks.AskReach: reach,
    asks.AskPairs: pairs, asks.AskUpdate: update, asks.AskChanges: changes, asks.AskDraw: draw,
}
