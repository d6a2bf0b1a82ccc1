"""Many ways in one go, as arrays from the first to the last: for fleets, not for one robot's question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...kernels import shortest_path
from .ends import Spots
from .network import INF

if TYPE_CHECKING:
    from .router import Router


@dataclass(frozen=True)
class Ways:
    """uint32 `costs_ms` (n), INF where there is no way; the edges of way i are edges[first[i] : first[i + 1]], int32.

    Each way was found on one version of the weights: `version`, or a later one where there are thousands of them.
    """

    costs_ms: np.ndarray
    first: np.ndarray
    edges: np.ndarray
    version: int


@dataclass(frozen=True)
class Spot:
    """Places on edges: int64 `edge` (n), -1 for none, and where on it, float64 (n) from 0 to 1."""

    edge: np.ndarray
    at: np.ndarray


def ways_between(router: Router, engine: shortest_path.Engine, rows: np.ndarray, limit_m: float, paths: bool) -> Ways:
    """See `Router.ways`."""
    if rows.shape[1] == 2:
        return between_nodes(router, engine, rows, paths)
    places = [Spot(*router.snapper.nearest_all(rows[:, k + 1], rows[:, k], limit_m)) for k in (0, 2)]
    return between_places(router, engine, places[0], places[1], paths)


def between_nodes(router: Router, engine: shortest_path.Engine, rows: np.ndarray, paths: bool) -> Ways:
    """Pairs of nodes; one that does not exist has no way."""
    known = ((rows >= 0) & (rows < router.network.nodes)).all(axis=1)
    good = rows[known]
    starts, ends = router.ends.sources_at_nodes(good[:, 0]), router.ends.targets_at_nodes(good[:, 1])
    costs, _, _, first, arcs, version = engine.ways(*starts.arguments, *ends.arguments, paths)
    if known.all():
        return Ways(costs, first, router.arc_edge[arcs], version)
    whole, lengths = np.full(len(rows), INF, np.uint32), np.zeros(len(rows), np.int32)
    whole[known], lengths[known] = costs, np.diff(first)
    return Ways(whole, sums(lengths), router.arc_edge[arcs], version)


def between_places(router: Router, engine: shortest_path.Engine, source: Spot, target: Spot, paths: bool) -> Ways:
    """Pairs of places on edges."""
    starts = router.ends.sources_on_edges(source.edge, source.at)
    ends = router.ends.targets_on_edges(target.edge, target.at)
    costs, start, goal, first, arcs, version = engine.ways(*starts.arguments, *ends.arguments, paths)
    middle = [router.arc_edge[arcs[first[i]:first[i + 1]]] for i in range(len(costs))] if paths else []
    before, after = edge_at(starts, start), edge_at(ends, goal)
    for i, cost, edge in along_one_edge(router, source, target):
        if cost <= costs[i]:
            costs[i], before[i], after[i] = cost, edge, -1
            if paths:
                middle[i] = middle[i][:0]
    if not paths:
        return Ways(costs, np.zeros(len(costs) + 1, np.int32), arcs, version)
    parts = [piece for i, inner in enumerate(middle) for piece in (before[i:i + 1], inner, after[i:i + 1])]
    lengths = np.fromiter(map(len, middle), np.int32, len(middle)) + (before >= 0) + (after >= 0)
    edges = np.concatenate([arcs[:0], *parts])
    return Ways(costs, sums(lengths), edges[edges >= 0].astype(np.int32), version)


def edge_at(spots: Spots, which: np.ndarray) -> np.ndarray:
    """The edge of each end that was taken, -1 where no way was."""
    return np.where(which < 0, -1, spots.edge[which]) if len(spots.edge) else which.copy()


def along_one_edge(router: Router, source: Spot, target: Spot) -> list[tuple[int, int, int]]:
    """(question, cost, edge) of the best way that never leaves the edge on which it begins, where there is one."""
    twins = np.asarray(router.network.arrays["edge_twin"])
    there = (source.edge >= 0) & (target.edge >= 0)
    same = there & ((source.edge == target.edge) | (source.edge == np.where(there, twins[target.edge], -1)))
    found = []
    for i in np.flatnonzero(same).tolist():
        ways = []
        for edge, at in ((int(source.edge[i]), float(source.at[i])), (int(twins[source.edge[i]]), 1 - float(source.at[i]))):
            end = float(target.at[i]) if edge == target.edge[i] else 1 - float(target.at[i])
            cost = router.edge_cost(edge) if edge >= 0 else INF
            if at <= end and cost < INF:
                ways.append((round(cost * (end - at)), edge))
        if ways:
            found.append((i, *min(ways)))
    return found


def sums(lengths: np.ndarray) -> np.ndarray:
    """int32: where each begins, and the end of the last."""
    first = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=first[1:])
    return first
