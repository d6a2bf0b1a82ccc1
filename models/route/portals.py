"""Ways across maps: doors, docks and lifts join streets with floors and floors with each other."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answers import Route
from .network import INF

Point = tuple[str, Any]         # a map's name, and a place on it: a node, a cell, or a snap


@dataclass(frozen=True)
class Portal:
    """A way between two points on different maps (or two floors of one): `cost_ms` each way, one way if `one_way`."""

    name: str
    a: Point
    b: Point
    cost_ms: int = 0
    one_way: bool = False


@dataclass(frozen=True)
class Leg:
    """A part of a way: on `map` along `route`, after passing `portal` ("" for the first)."""

    map: str
    route: Route
    portal: str


@dataclass(frozen=True)
class Crossing:
    """A way over several maps, with what its portals and legs cost together, and the portals in the order they are passed."""

    cost_ms: int
    legs: tuple[Leg, ...]
    portals: tuple[str, ...] = ()


def route_across(maps: Mapping[str, Any], portals: Sequence[Portal], source: Point, target: Point) -> Crossing | None:
    """The cheapest way from point to point over routers and floors by name; None without one.

    Portals are few: a table of each map over the portals' ends, then Dijkstra's algorithm over them. A closed door is a
    portal left out; closures within a map are that map's. ValueError for a map that is not there.
    """
    points = [source, target, *(end for portal in portals for end in (portal.a, portal.b))]
    for name, _ in points:
        if name not in maps:
            raise ValueError(f"expected one of the maps {', '.join(maps)}, got {name!r}")
    walks = _walks(maps, points)
    doors: dict[int, list[tuple[int, int, str]]] = {}
    for i, portal in enumerate(portals):
        a, b = 2 + 2 * i, 3 + 2 * i
        doors.setdefault(a, []).append((b, portal.cost_ms, portal.name))
        if not portal.one_way:
            doors.setdefault(b, []).append((a, portal.cost_ms, portal.name))
    found = _search(walks, doors)
    return None if found is None else _legs(maps, points, *found)


def _walks(maps: Mapping[str, Any], points: Sequence[Point]) -> dict[int, list[tuple[int, int]]]:
    """Costs within each map between its points."""
    walks: dict[int, list[tuple[int, int]]] = {}
    for name in {point[0] for point in points}:
        own = [i for i, point in enumerate(points) if point[0] == name]
        places = [points[i][1] for i in own]
        for i, row in zip(own, maps[name].matrix(places, places).tolist(), strict=True):
            walks[i] = [(j, cost) for j, cost in zip(own, row, strict=True) if i != j and cost < INF]
    return walks


def _search(walks: dict[int, list[tuple[int, int]]], doors: dict[int, list[tuple[int, int, str]]],
            ) -> tuple[int, list[tuple[int, int, str]]] | None:
    """Cost, and steps (from, to, portal or "") from point 0 to point 1."""
    before: dict[int, tuple[int, str]] = {}
    best, heap, done = {0: 0}, [(0, 0)], set()
    while heap:
        cost, at = heapq.heappop(heap)
        if at == 1:
            break
        if at in done:
            continue
        done.add(at)
        for to, step, name in [*((t, c, "") for t, c in walks.get(at, ())), *doors.get(at, ())]:
            if cost + step < best.get(to, INF):
                best[to] = cost + step
                before[to] = at, name
                heapq.heappush(heap, (best[to], to))
    if 1 not in best:
        return None
    steps, at = [], 1
    while at != 0:
        steps.append((before[at][0], at, before[at][1]))
        at = before[at][0]
    return best[1], steps[::-1]


def _legs(maps: Mapping[str, Any], points: Sequence[Point], cost: int, steps: list[tuple[int, int, str]]) -> Crossing | None:
    """The ways behind the steps. A closure since the table was made may have cut one: then there is none."""
    legs, portal = [], ""
    for a, b, name in steps:
        if name:
            portal = name
            continue
        way = maps[points[a][0]].route(points[a][1], points[b][1])
        if way is None:
            return None
        legs.append(Leg(points[a][0], way, portal))
        portal = ""
    return Crossing(cost, tuple(legs), tuple(name for _, _, name in steps if name))
