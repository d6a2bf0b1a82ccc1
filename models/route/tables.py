"""Tables of costs between places, and of the metres along the same ways, some rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...kernels import shortest_path
from .answers import Place
from .ends import Spots
from .network import INF

if TYPE_CHECKING:
    from .router import Router

BLOCK = 256            # places whose rows are worked on together: some tens of MB for a table of 2,000 x 2,000
LOW = (1 << 24) - 1    # room for the number of an end beside its cost, so that one minimum finds both


def table(router: Router, engine: shortest_path.Engine, sources: Sequence[Place], targets: Sequence[Place],
          lengths: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """uint32 costs in ms (sources, targets), INF without a way, and int64 sums of edges' `lengths` along the ways (else empty).

    Blocks of a large table may see later versions of the weights than the first.
    """
    costs = np.full((len(sources), len(targets)), INF, np.uint32)
    sums = np.zeros(costs.shape if lengths is not None else (0, 0), np.int64)
    if not costs.size:
        return costs, sums
    ends = router.ends.targets(targets)
    for at in range(0, len(sources), BLOCK):
        starts = router.ends.sources(sources[at:at + BLOCK])
        rows = slice(at, at + BLOCK)
        block(router, engine, starts, ends, lengths, costs[rows], sums[rows])
    _along_edges(router, sources, targets, lengths, costs, sums)
    return costs, sums


def block(router: Router, engine: shortest_path.Engine, starts: Spots, ends: Spots, lengths: np.ndarray | None,
          costs: np.ndarray, sums: np.ndarray) -> None:
    """Some rows, between the ends of places, each place's cheapest."""
    between = np.empty((len(starts.node), len(ends.node)), np.uint32)
    if lengths is None:
        engine.matrix(starts.node, ends.node, between)
        metres = None
    else:
        metres = np.empty(between.shape, np.int64)
        engine.matrix(starts.node, ends.node, between, np.ascontiguousarray(lengths[router.arc_edge]), metres)
        metres += _part(starts, lengths)[:, None] + _part(ends, lengths)
    whole = between + router.offsets(starts)[:, None].astype(np.int64) + router.offsets(ends)
    whole, metres = _least(whole, metres, starts.first)
    whole, metres = _least(whole.T, None if metres is None else metres.T, ends.first)
    costs[:] = np.minimum(whole.T, INF)
    if metres is not None:
        sums[:] = np.where(whole.T < INF, metres.T, 0)


def _part(spots: Spots, lengths: np.ndarray) -> np.ndarray:
    """What of the length of its edge each end takes."""
    made, within = np.zeros(len(spots.edge), np.int64), spots.edge >= 0
    made[within] = np.round(lengths[spots.edge[within]] * spots.part[within])
    return made


def _least(costs: np.ndarray, metres: np.ndarray | None, first: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """For each place the row of its cheapest end, and what belongs to it. Every place has at least one end."""
    if len(first) == len(costs) + 1:             # one each
        return costs, metres
    named = costs << 24 | np.arange(len(costs))[:, None]
    best = np.minimum.reduceat(named, first[:-1], axis=0)
    return best >> 24, None if metres is None else np.take_along_axis(metres, best & LOW, axis=0)


def _along_edges(router: Router, sources: Sequence[Place], targets: Sequence[Place], lengths: np.ndarray | None,
                 costs: np.ndarray, sums: np.ndarray) -> None:
    """Ways that never leave one edge, where they are cheaper."""
    on: dict[int, list[tuple[int, float]]] = {}
    for j, target in enumerate(targets):
        for edge, at in router.ends.sides(target) if not isinstance(target, int) else ():
            on.setdefault(edge, []).append((j, at))
    for i, source in enumerate(sources):
        for edge, at in router.ends.sides(source) if not isinstance(source, int) else ():
            for j, end in on.get(edge, ()):
                cost = router.edge_cost(edge)
                if at <= end and cost < INF and round(cost * (end - at)) <= costs[i, j]:
                    costs[i, j] = round(cost * (end - at))
                    if lengths is not None:
                        sums[i, j] = round(int(lengths[edge]) * (end - at))
