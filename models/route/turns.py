"""Turn restrictions of OpenStreetMap as sequences of edges that must not follow each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .osm_data import OsmData
from .profile import Profile

Members = list[tuple[str, int, str]]
Edges = tuple[int, ...]
LONGEST = 64           # edges of the ways that a restriction goes via; a real one has a handful


@dataclass(frozen=True)
class Streets:
    """The edges of a map by their ends: (way, edge) into and out of each node, the head of each edge, nodes by OSM id."""

    into: dict[int, list[tuple[int, int]]]
    out: dict[int, list[tuple[int, int]]]
    head: list[int]
    node: dict[int, int]


def forbidden_turns(data: OsmData, profile: Profile, way: np.ndarray, tail: np.ndarray, head: np.ndarray,
                    node_id: np.ndarray, dropped: Counter[str]) -> list[Edges]:
    """Edges (from, to), or (from, via, ..., to). Restrictions that cannot be placed are counted in `dropped` with the reason.

    `way` is the OSM id of the way of each edge, `node_id` that of each node.
    """
    if not profile.turns:
        return []
    streets = Streets(defaultdict(list), defaultdict(list), head.tolist(), {int(n): i for i, n in enumerate(node_id.tolist())})
    for edge, (w, a, b) in enumerate(zip(way.tolist(), tail.tolist(), head.tolist(), strict=True)):
        streets.out[a].append((w, edge))
        streets.into[b].append((w, edge))
    found: set[Edges] = set()
    for _, members, tags in data.restrictions:
        value = profile.bound(tags)
        if value is None:
            dropped["restriction: for other vehicles"] += 1
            continue
        reason, sequences = _place(value, members, streets)
        if reason is not None:
            dropped[f"restriction: {reason}"] += 1
        found.update(sequences)
    return sorted(found)


def _place(value: str, members: Members, streets: Streets) -> tuple[str | None, list[Edges]]:
    """What one restriction forbids, or why that is nothing."""
    roles: dict[str, Members] = defaultdict(list)
    for member in members:
        roles[member[2]].append(member)
    if not value.startswith(("no_", "only_")):
        return f"{value[:40]!r} is not known", []
    if not (roles["from"] and roles["to"] and roles["via"]):
        return "broken: from, via or to is missing", []
    kinds = {member[0] for member in roles["via"]}
    if kinds == {"way"}:
        return _along(value.startswith("only_"), roles, streets)
    if len(roles["via"]) > 1 or kinds != {"node"}:
        return "broken: it goes via several nodes, or nodes and ways", []
    if roles["via"][0][1] not in streets.node:
        return "its crossing is not on the map", []
    via = streets.node[roles["via"][0][1]]
    froms, tos = _of(streets.into[via], roles["from"]), _of(streets.out[via], roles["to"])
    if not froms or not tos:
        return "its ways do not meet at its crossing for this vehicle", []
    if (len(froms) > 1 and len(roles["from"]) == 1) or (len(tos) > 1 and len(roles["to"]) == 1):
        return "broken: a way goes on beyond its crossing, so the direction is not known", []
    if value.startswith("only_"):
        return None, [(f, e) for f in froms for _, e in streets.out[via] if e not in tos]
    return None, [(f, t) for f in froms for t in tos]


def _of(edges: list[tuple[int, int]], members: Members) -> list[int]:
    """Those of the edges that belong to one of the ways."""
    ways = {member[1] for member in members}
    return [edge for way, edge in edges if way in ways]


def _along(only: bool, roles: dict[str, Members], streets: Streets) -> tuple[str | None, list[Edges]]:
    """What a restriction via ways forbids: to turn at the end of just these, or all but that."""
    ways = [member[1] for member in roles["via"]]
    starts = {n for n, out in streets.out.items() if any(w == ways[0] for w, _ in out) and _of(streets.into[n], roles["from"])}
    whole = [(f, *via, t) for n in sorted(starts) for via in _through(n, ways, streets)
             for f in _of(streets.into[n], roles["from"]) for t in _of(streets.out[streets.head[via[-1]]], roles["to"])]
    if not whole:
        return "its ways do not follow each other for this vehicle", []
    if len(whole) > len(roles["from"]) * len(roles["to"]):
        return "broken: its ways meet more than once, so the direction is not known", []
    if not only:
        return None, whole
    begun = {one[:n] for one in whole for n in range(1, len(one))}
    return None, sorted({(*gone, e) for gone in begun for _, e in streets.out[streets.head[gone[-1]]]} - begun - set(whole))


def _through(node: int, ways: list[int], streets: Streets) -> Iterator[Edges]:
    """Edges from a node along all of some ways in turn, at least one of each, no place twice."""
    waiting: list[tuple[Edges, int, frozenset[int]]] = [((), 0, frozenset([node]))]
    while waiting:
        gone, index, seen = waiting.pop()
        at = streets.head[gone[-1]] if gone else node
        if gone and index == len(ways) - 1:
            yield gone
        for way, edge in streets.out[at] if len(gone) < LONGEST else ():
            step = index if way == ways[index] else index + 1 if gone and ways[index + 1:index + 2] == [way] else None
            if step is not None and streets.head[edge] not in seen:
                waiting.append(((*gone, edge), step, seen | {streets.head[edge]}))
