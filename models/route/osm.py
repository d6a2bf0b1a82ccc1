"""From OpenStreetMap data to a network: ways are cut at crossings, and what cannot be used is counted with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .assemble import assemble
from .network import EARTH_M, INF, Network
from .osm_data import ATTRIBUTION, OsmData, OsmError, Progress
from .osm_pbf import read_pbf
from .osm_xml import read_xml
from .profile import Profile
from .prune import strongest
from .turns import forbidden_turns

MAX_LENGTH_DM = 10_000_000          # a piece of street over 1000 km is a mistake


@dataclass
class Pieces:
    """Streets between crossings: ends and inner points as places in the file's nodes, and what they are made of."""

    points: list[np.ndarray] = field(default_factory=list)
    way: list[int] = field(default_factory=list)          # index into the ways used


def read_osm(path: Path, progress: Progress | None = None) -> OsmData:
    """The data in an OSM file, by its name: .osm.pbf, .osm, .osm.gz, .osm.bz2."""
    return read_pbf(path, progress) if path.name.endswith(".pbf") else read_xml(path, progress)


def build_osm(path: Path, profile: Profile, progress: Progress | None = None) -> Network:
    """The network (without topology) of an OSM file for a vehicle; `report` says what was dropped and why.

    OsmError for a file that cannot be read, or in which nothing can be used.
    """
    data = read_osm(path, progress)
    dropped: Counter[str] = Counter()
    ways = _usable(data, profile, dropped)
    pieces = _cut(data, ways, profile, dropped)
    if not pieces.points:
        raise OsmError(f"{path} holds no street that {profile.name} can use ({dict(dropped.most_common(5))}); "
                       "take another file or another profile")
    return _network(path, data, profile, ways, pieces, dropped)


Way = tuple[int, np.ndarray, dict[str, str]]


def _usable(data: OsmData, profile: Profile, dropped: Counter[str]) -> list[Way]:
    """Ways of the profile, their references turned into places of nodes; missing nodes are left out."""
    order = np.argsort(data.node_id, kind="stable")
    ids = data.node_id[order]
    used = []
    for number, refs, tags in data.ways:
        reason = profile.refusal(tags)
        if reason is None:
            at = np.minimum(np.searchsorted(ids, refs), max(len(ids) - 1, 0))
            known = ids[at] == refs if len(ids) else np.zeros(len(refs), bool)
            dropped["node outside the extract"] += int((~known).sum())
            place = order[at[known]]
            place = place[np.concatenate([[True], place[1:] != place[:-1]])] if len(place) else place
            good = np.isfinite(data.lat[place]) & (np.abs(data.lat[place]) <= 90) & (np.abs(data.lon[place]) <= 180)
            dropped["node with impossible coordinates"] += int((~good).sum())
            place = place[good]
            reason = None if len(place) > 1 else "way of fewer than two known nodes"
            if reason is None:
                used.append((number, place, tags))
        if reason is not None:
            dropped[f"way: {reason}"] += 1
    dropped += Counter()                                   # forgets zeros
    return used


def _cut(data: OsmData, ways: list[Way], profile: Profile, dropped: Counter[str]) -> Pieces:
    """Every way in pieces between nodes that several ways (or a restriction) use; barriers end a piece for good."""
    times = np.zeros(len(data.node_id), np.int64)
    for _, place, _ in ways:
        np.add.at(times, place, 1)
        times[place[[0, -1]]] += 1
    index = {int(n): i for i, n in enumerate(data.node_id.tolist())} if data.restrictions or data.node_tags else {}
    for _, members, _ in data.restrictions:
        for kind, ref, role in members:
            if kind == "node" and role == "via" and ref in index:
                times[index[ref]] += 1
    wall = np.zeros(len(times), bool)
    for node, tags in data.node_tags.items():
        if node in index and profile.blocks(tags):
            wall[index[node]] = True
    pieces = Pieces()
    for number, (_, place, _) in enumerate(ways):
        stops = np.flatnonzero((times[place] > 1) | wall[place])
        for a, b in zip(stops[:-1].tolist(), stops[1:].tolist(), strict=True):
            if wall[place[a]] or wall[place[b]]:
                dropped["piece: ends at a barrier"] += 1
                continue
            pieces.points.append(place[a:b + 1])
            pieces.way.append(number)
    return pieces


def _network(path: Path, data: OsmData, profile: Profile, ways: list[Way], pieces: Pieces, dropped: Counter[str]) -> Network:
    ends = np.array([(p[0], p[-1]) for p in pieces.points], np.int64)
    nodes, flat = np.unique(ends, return_inverse=True)
    ends = flat.reshape(-1, 2).astype(np.int32)
    of_way = np.array(pieces.way)
    length = np.array([_length(data, p) for p in pieces.points])
    speed = np.array([profile.speed(tags) for _, _, tags in ways])[of_way]
    both = np.array([profile.directions(tags) for _, _, tags in ways])[of_way]
    tail, head, piece, forward = _directed(ends, both)
    kept = _connected(len(nodes), tail, head, length, piece, forward, dropped)
    if not kept.any():
        raise OsmError(f"{path} holds no two places between which {profile.name} can go there and back "
                       f"({dict(dropped.most_common(5))}); take another file or another profile")
    tail, head, piece, forward = tail[kept], head[kept], piece[kept], forward[kept]
    used, renamed = np.unique(np.concatenate([tail, head]), return_inverse=True)
    tail, head = renamed.astype(np.int32)[:len(tail)], renamed.astype(np.int32)[len(tail):]
    dm = np.clip(np.round(length[piece] * 10), 1, MAX_LENGTH_DM)
    cost = np.clip(np.round(length[piece] * 3600 / speed[piece]), 1, INF - 1)
    way_id = np.array([w[0] for w in ways], np.int64)[of_way[piece]]
    place = nodes[used]
    turns = forbidden_turns(data, profile, way_id, tail, head, data.node_id[place], dropped)
    kinds = sorted({tags["highway"] for _, _, tags in ways})[:255]
    names = sorted({_name(tags) for _, _, tags in ways} - {""})
    kind, name = {k: i for i, k in enumerate(kinds)}, {n: i for i, n in enumerate(names)}
    tags_of = [w[2] for w in ways]
    return assemble(
        data.lon[place], data.lat[place], tail, head, cost, dm, twin=_twins(piece, forward), way=way_id,
        kind=np.array([kind.get(tags_of[w]["highway"], 0) for w in of_way[piece]]),
        name=np.array([name.get(_name(tags_of[w]), -1) for w in of_way[piece]]),
        shapes=_shapes(data, pieces, piece, forward), forbidden=turns, names=tuple(names), kinds=tuple(kinds),
        profile=profile.name, source=path.name, attribution=ATTRIBUTION,
        report={"ways": len(data.ways), "ways_used": len(ways), "nodes": len(used), "edges": len(tail),
                "km": round(float(length[np.unique(piece)].sum()) / 1000, 1), "forbidden_turns": len(turns),
                "of_them_via_ways": sum(len(turn) > 2 for turn in turns),
                "dropped": dict(dropped.most_common())})


def _name(tags: dict[str, str]) -> str:
    return (tags.get("name") or tags.get("ref") or "").replace("\n", " ")


def _length(data: OsmData, place: np.ndarray) -> float:
    """Metres along nodes (haversine)."""
    lat, lon = np.radians(data.lat[place]), np.radians(data.lon[place])
    half = np.sin(np.diff(lat) / 2) ** 2 + np.cos(lat[1:]) * np.cos(lat[:-1]) * np.sin(np.diff(lon) / 2) ** 2
    return float(2 * EARTH_M * np.arcsin(np.sqrt(half)).sum())


def _directed(ends: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, ...]:
    """Tail, head, piece, and whether along the piece, for each allowed direction."""
    on, back = np.flatnonzero(both[:, 0]), np.flatnonzero(both[:, 1])
    piece = np.concatenate([on, back])
    forward = np.arange(len(piece)) < len(on)
    return (np.concatenate([ends[on, 0], ends[back, 1]]), np.concatenate([ends[on, 1], ends[back, 0]]), piece, forward)


def _connected(nodes: int, tail: np.ndarray, head: np.ndarray, length: np.ndarray, piece: np.ndarray, forward: np.ndarray,
               dropped: Counter[str]) -> np.ndarray:
    """Edges within the largest part in which every place reaches every other."""
    strong = strongest(nodes, tail, head)
    kept = strong[tail] & strong[head]
    lost = np.setdiff1d(piece, piece[kept])
    if len(lost):
        dropped["piece: on an island, or without a way back"] += len(lost)
        dropped["metres on islands"] += int(length[lost].sum())
    return kept


def _twins(piece: np.ndarray, forward: np.ndarray) -> np.ndarray:
    on, back = np.full(int(piece.max()) + 1, -1), np.full(int(piece.max()) + 1, -1)
    number = np.arange(len(piece))
    on[piece[forward]], back[piece[~forward]] = number[forward], number[~forward]
    return np.where(forward, back[piece], on[piece])


def _shapes(data: OsmData, pieces: Pieces, piece: np.ndarray, forward: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inner points of every edge, in its direction."""
    inner = [pieces.points[p][1:-1] if f else pieces.points[p][-2:0:-1]
             for p, f in zip(piece.tolist(), forward.tolist(), strict=True)]
    first = np.concatenate([[0], np.cumsum([len(i) for i in inner])]).astype(np.int32)
    place = np.concatenate(inner).astype(np.int64) if inner else np.empty(0, np.int64)
    return first, data.lon[place], data.lat[place]
