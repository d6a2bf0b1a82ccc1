"""Turn restrictions of OpenStreetMap as pairs of edges that must not follow each other."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from .osm_data import OsmData
from .profile import Profile

Members = list[tuple[str, int, str]]


def forbidden_turns(data: OsmData, profile: Profile, way: np.ndarray, tail: np.ndarray, head: np.ndarray,
                    node_id: np.ndarray, dropped: Counter[str]) -> list[tuple[int, int]]:
    """Pairs of edges (from, to). Restrictions that cannot be placed are counted in `dropped` with the reason.

    `way` is the OSM id of the way of each edge, `node_id` that of each node.
    """
    if not profile.turns:
        return []
    node = {int(n): i for i, n in enumerate(node_id.tolist())}
    into, out = defaultdict(list), defaultdict(list)
    for edge, (w, a, b) in enumerate(zip(way.tolist(), tail.tolist(), head.tolist(), strict=True)):
        out[a].append((w, edge))
        into[b].append((w, edge))
    found: set[tuple[int, int]] = set()
    for _, members, tags in data.restrictions:
        value = profile.bound(tags)
        if value is None:
            dropped["restriction: for other vehicles"] += 1
            continue
        reason, pairs = _place(value, members, node, into, out)
        if reason is not None:
            dropped[f"restriction: {reason}"] += 1
        found.update(pairs)
    return sorted(found)


def _place(value: str, members: Members, node: dict[int, int], into: dict[int, list[tuple[int, int]]],
           out: dict[int, list[tuple[int, int]]]) -> tuple[str | None, list[tuple[int, int]]]:
    """The pairs that one restriction forbids, or why there are none."""
    roles: dict[str, Members] = defaultdict(list)
    for member in members:
        roles[member[2]].append(member)
    if not value.startswith(("no_", "only_")):
        return f"{value[:40]!r} is not known", []
    if not (roles["from"] and roles["to"] and roles["via"]):
        return "broken: from, via or to is missing", []
    if len(roles["via"]) > 1 or roles["via"][0][0] != "node":
        return "goes via a way, which is not supported", []
    if roles["via"][0][1] not in node:
        return "its crossing is not on the map", []
    via = node[roles["via"][0][1]]
    froms = [e for w, e in into[via] if w in {m[1] for m in roles["from"]}]
    tos = [e for w, e in out[via] if w in {m[1] for m in roles["to"]}]
    if not froms or not tos:
        return "its ways do not meet at its crossing for this vehicle", []
    if (len(froms) > 1 and len(roles["from"]) == 1) or (len(tos) > 1 and len(roles["to"]) == 1):
        return "broken: a way goes on beyond its crossing, so the direction is not known", []
    if value.startswith("only_"):
        return None, [(f, e) for f in froms for _, e in out[via] if e not in tos]
    return None, [(f, t) for f in froms for t in tos]
