"""Other ways than the best: what was taken once is made dearer, and the next best is judged by its true cost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from ...kernels import shortest_path
from .answers import Alternative, Place, Route
from .network import INF

if TYPE_CHECKING:
    from .router import Router

PENALTY = 1.4          # a taken edge costs this much more, each time it is taken
TRIES = 3              # searches for each alternative that is asked for


class Penalised:
    """A second engine on the same map whose weights may be bent; one search at a time."""

    def __init__(self, router: Router) -> None:
        self.router, self._lock = router, threading.Lock()
        self._engine: shortest_path.Engine | None = None

    def others(self, source: Place, target: Place, best: Route, count: int, stretch: float, shared: float) -> list[Alternative]:
        """Up to `count` ways that differ enough from `best` and from each other; see `Router.alternatives`."""
        router = self.router
        with self._lock:
            true = router.edge_costs()
            bent = true.astype(np.float64)
            kept: list[Alternative] = []
            taken = np.zeros(len(true), bool)
            route = best
            for _ in range(TRIES * count):
                taken[route.edges] |= route is best or any(route is a.route for a in kept)
                bent[route.edges] = np.minimum(bent[route.edges] * PENALTY + 1, INF - 1)   # none of them is closed
                found = router.route_with(self._follow(bent), source, target)
                if found is None:
                    break
                route = router.true_cost(found)
                alternative = Alternative(route, route.cost_ms / max(best.cost_ms, 1), _share(route, taken, true))
                if alternative.stretch <= stretch and alternative.shared <= shared:
                    kept.append(alternative)
                    if len(kept) == count:
                        break
            return sorted(kept, key=lambda a: a.route.cost_ms)

    def _follow(self, costs: np.ndarray) -> shortest_path.Engine:
        """The engine, brought to these costs of edges."""
        wanted = costs.astype(np.uint32)[self.router.arc_edge]
        if self._engine is None:
            self._engine = self.router.new_engine(wanted)
        else:
            arcs = np.flatnonzero(self._engine.weights() != wanted).astype(np.int32)
            self._engine.apply(arcs, wanted[arcs])
        return self._engine


def _share(route: Route, taken: np.ndarray, costs: np.ndarray) -> float:
    """The part of the way's cost that lies on edges taken before."""
    own = costs[route.edges].astype(np.float64) + 1e-9
    return float(own[taken[route.edges]].sum() / own.sum()) if len(own) else 1.0
