"""Ways through one map: nearest place, route, alternatives, table, reach; and the changes that the day brings."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...kernels import shortest_path
from ..bundle_file import read_bundle
from .alternatives import Penalised
from .answers import Alternative, Place, Reach, Route
from .area import touching
from .ends import Ends, Spots
from .floor import Floor, load_floor
from .network import INF, Network, load, with_topology
from .snap import Snap, Snapper
from .tables import table
from .ways import Ways, ways_between

MAX_COST = INF - 1


class Router:
    """One map with its present weights. Every method may be called from any thread at any time.

    Queries see one version of the weights throughout; a change is visible to every query that starts after its
    call returned. Expiry and persistence of changes are the caller's; `changes()` says what to keep.
    """

    def __init__(self, network: Network) -> None:
        self.network = network = network if network.topology else with_topology(network)
        a = network.arrays
        self.arc_edge = np.asarray(a["arc_edge"])
        self._base = np.asarray(a["edge_cost"])
        self.ends = Ends(network)
        self._engine = self.new_engine(self._base[self.arc_edge], network.metric or None)
        self._changed: dict[int, int] = {}
        self._lock = threading.Lock()                # orders writers; readers never take it
        self._snapper: Snapper | None = None
        self._plain: Router | None = None            # the map without changes, once somebody asks why there is no way
        self._penalised = Penalised(self)

    # ---- places

    @property
    def version(self) -> int:
        """Rises with every change of weights."""
        return self._engine.version

    def nearest(self, lat: float, lon: float, limit_m: float = 500.0) -> Snap | None:
        """The nearest place on the network within `limit_m`, or None. On a plane map give (y, x) in metres.

        ValueError for coordinates that are not finite or, on the globe, out of range; it says so if they look swapped.
        """
        if not (np.isfinite(lat) and np.isfinite(lon)):
            raise ValueError(f"expected finite coordinates, got ({lat}, {lon})")
        if self.network.frame == "wgs84" and not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise ValueError(f"expected a latitude from -90 to 90 and a longitude from -180 to 180, got ({lat}, {lon})")
        return self.snapper.nearest(lon, lat, limit_m)

    @property
    def snapper(self) -> Snapper:
        """The index of places, made when it is first needed and not in the bundle."""
        if self._snapper is None:
            self._snapper = Snapper(self.network)
        return self._snapper

    def swapped(self, lat: float, lon: float) -> bool:
        """Whether the point lies off the map, but on it with latitude and longitude exchanged."""
        return not self.covers(lat, lon) and self.covers(lon, lat)

    def bounds(self) -> tuple[float, float, float, float]:
        """South, west, north, east of all nodes (zeros for an empty map)."""
        a = self.network.arrays
        if not self.network.nodes:
            return 0.0, 0.0, 0.0, 0.0
        return float(a["node_y"].min()), float(a["node_x"].min()), float(a["node_y"].max()), float(a["node_x"].max())

    def covers(self, lat: float, lon: float, margin_m: float = 2000.0) -> bool:
        """Whether the point lies in the bounds of the map, or within the margin of them."""
        south, west, north, east = self.bounds()
        mx, my = margin_m / self.network.scale
        return bool(south - my <= lat <= north + my and west - mx <= lon <= east + mx)

    # ---- questions

    def route(self, source: Place, target: Place) -> Route | None:
        """The cheapest way from place to place, or None if there is none (then ask `cut_by`).

        On one edge, forwards, it is the part between. ValueError for a node or an edge that does not exist.
        """
        return self.route_with(self._engine, source, target)

    def route_with(self, engine: shortest_path.Engine, source: Place, target: Place) -> Route | None:
        """`route` on another engine of the same map (alternatives bend the weights of one)."""
        starts, ends = self.ends.sources([source]), self.ends.targets([target])
        costs, start, goal, _, arcs, version = engine.ways(*starts.arguments, *ends.arguments)
        cost, edges = int(costs[0]), self.arc_edge[arcs]
        direct = self._within(source, target)
        if direct is not None and direct[0] <= cost:
            edge, first, last = direct[1:]
            return self._made(direct[0], np.array([edge], np.int32), first, last, version)
        if cost >= INF:
            return None
        i, j, first, last = int(start[0]), int(goal[0]), 0.0, 1.0
        if starts.edge[i] >= 0:
            edges, first = np.concatenate([starts.edge[i:i + 1], edges]), float(starts.at[i])
        if ends.edge[j] >= 0:
            edges, last = np.concatenate([edges, ends.edge[j:j + 1]]), float(ends.at[j])
        node = source if isinstance(source, int) else None
        return self._made(cost, edges.astype(np.int32), first, last, version, node)

    def ways(self, rows: np.ndarray, limit_m: float = 500.0, paths: bool = True) -> Ways:
        """The best way of many pairs in a few calls: rows int32 (n, 2) of nodes, or float64 (n, 4) of (lat, lon) from and to.

        A pair with a node that does not exist, or a place farther than `limit_m` from the network, has no way.
        """
        return ways_between(self, self._engine, rows, limit_m, paths)

    def cost(self, source: int, target: int) -> int:
        """The least cost from node to node in milliseconds; INF without a way. The quickest question."""
        if self.ends.single(self.ends.check_node(target)):
            return self._engine.distance(self.ends.check_node(source), target)
        starts, ends = self.ends.sources([source]), self.ends.targets([target])
        return int(self._engine.ways(*starts.arguments, *ends.arguments, False)[0][0])

    def matrix(self, sources: Sequence[Place], targets: Sequence[Place]) -> np.ndarray:
        """Costs in milliseconds of all pairs, uint32 (sources, targets); INF without a way."""
        return table(self, self._engine, sources, targets)[0]

    def lengths(self, sources: Sequence[Place], targets: Sequence[Place]) -> tuple[np.ndarray, np.ndarray]:
        """`matrix`, and the decimetres of one cheapest way of each pair, int64; 0 without a way."""
        return table(self, self._engine, sources, targets, np.asarray(self.network.arrays["edge_length"]))

    def alternatives(self, source: Place, target: Place, count: int = 3, stretch: float = 1.4,
                     shared: float = 0.7) -> list[Alternative]:
        """The best way and up to `count` - 1 others, at most `stretch` times as dear and `shared` with earlier ones.

        The penalty method (Bader, Dees, Geisberger, Sanders: Alternative Route Graphs, TAPAS 2011): ways found so far
        are made dearer on a copy of the weights, and the next best is judged by the true ones.
        """
        best = self.route(source, target)
        if best is None or count < 1:
            return []
        return [Alternative(best, 1.0, 0.0), *self._penalised.others(source, target, best, count - 1, stretch, shared)]

    def reach(self, place: Place, limit_ms: int, *, arriving: bool = False) -> Reach:
        """All that can be reached from the place within the limit; with `arriving`, all that can reach it."""
        version = self._engine.version
        ends = self.ends.targets([place]) if arriving else self.ends.sources([place])
        costs = np.empty(len(self.network.arrays["state_node"]), np.uint32)
        self._engine.tree(ends.node, self.offsets(ends), arriving, costs)
        merged = costs[:self.network.nodes].copy()
        extra = np.asarray(self.network.arrays["state_node"])[self.network.nodes:]
        np.minimum.at(merged, extra, costs[self.network.nodes:])
        within = np.flatnonzero(merged <= min(limit_ms, MAX_COST)).astype(np.int32)
        entered = self.network.arrays["edge_head" if arriving else "edge_tail"]
        open_ = self.edge_costs() < INF
        edges = np.flatnonzero((merged[np.asarray(entered)] <= min(limit_ms, MAX_COST)) & open_).astype(np.int32)
        return Reach(within, merged[within], edges, version)

    def cut_by(self, source: Place, target: Place) -> list[int]:
        """The closed edges on the way that would be taken if nothing were closed; [] if even then there is no way."""
        closed = {edge for edge, cost in self.changes().items() if cost >= INF}
        if not closed:
            return []
        if self._plain is None:
            self._plain = Router(self.network)
        way = self._plain.route(source, target)
        return [] if way is None else [int(e) for e in way.edges if int(e) in closed]

    # ---- changes

    def apply(self, costs_ms: Mapping[int, int | None], run: shortest_path.Run | None = None) -> int:
        """Set the cost of edges, all or none: milliseconds, INF to close, None for the map's own. The new version.

        Every later query sees it. Where a large part of the map changes, `run` may share the work out over threads of the
        caller's. ValueError for an unknown edge or a cost outside 0..INF; then nothing changes.
        """
        for edge, cost in costs_ms.items():
            self.ends.check_edge(edge)
            if cost is not None and not 0 <= cost <= INF:
                raise ValueError(f"expected a cost from 0 to {INF} ms, got {cost} - at edge {edge}")
        with self._lock:
            wanted = {e: int(self._base[e]) if c is None else c for e, c in costs_ms.items()}
            if not wanted:
                return self._engine.version
            arcs, which = self.ends.copies(np.fromiter(wanted, np.int64, len(wanted)))
            version = self._engine.apply(arcs, np.fromiter(wanted.values(), np.uint32, len(wanted))[which], run)
            self._changed.update({e: c for e, c in wanted.items() if c != self._base[e]})
            for edge, cost in wanted.items():
                if cost == self._base[edge]:
                    self._changed.pop(edge, None)
            return version

    def close(self, edges: Iterable[int]) -> int:
        """Close directed edges (name the twin too for both directions)."""
        return self.apply(dict.fromkeys(edges, INF))

    def reopen(self, edges: Iterable[int]) -> int:
        """Give edges the map's own cost again."""
        return self.apply(dict.fromkeys(edges))

    def set_speed(self, edges: Iterable[int], kmh: float) -> int:
        """Let edges be travelled at `kmh` (over 0); ValueError otherwise."""
        if not 0 < kmh < 1000:
            raise ValueError(f"expected a speed over 0 and below 1000 km/h, got {kmh}; close the edge to stop all traffic")
        lengths = self.network.arrays["edge_length"]
        known = [self.ends.check_edge(edge) for edge in edges]
        return self.apply({e: min(round(int(lengths[e]) * 360 / kmh), MAX_COST) for e in known})

    def changes(self) -> dict[int, int]:
        """Every edge whose cost is not the map's own, with its cost: what `apply` needs after a restart."""
        with self._lock:
            return dict(self._changed)

    def inside(self, area: Sequence[tuple[float, float]]) -> np.ndarray:
        """Edges (int32) that touch a polygon of (lat, lon) corners: an end inside it, or a crossing with its border."""
        return touching(self.network, np.array([(lon, lat) for lat, lon in area], np.float64))

    # ---- for alternatives

    def new_engine(self, weights: np.ndarray, metric: Mapping[str, np.ndarray] | None = None) -> shortest_path.Engine:
        """Another engine on this map's graph, with these weights of arcs; `metric` is what was kept of it."""
        a = self.network.arrays
        topology = {"tail": np.asarray(a["arc_tail"]), "head": np.asarray(a["arc_head"]),
                    **{name: np.asarray(value) for name, value in self.network.topology.items()}}
        made: shortest_path.Engine = shortest_path.engine(topology, len(a["state_node"]), weights, metric)
        return made

    def edge_costs(self) -> np.ndarray:
        """The present cost of every edge, uint32, as a copy."""
        return self._engine.weights()[:self.network.edges].copy()

    def true_cost(self, route: Route) -> Route:
        """The same way with what it costs at present."""
        costs = self.edge_costs()[route.edges].astype(np.int64)
        if len(costs) == 1:
            costs[0] = round(int(costs[0]) * (route.last - route.first))
        elif len(costs):
            costs[0], costs[-1] = round(int(costs[0]) * (1 - route.first)), round(int(costs[-1]) * route.last)
        return replace(route, cost_ms=int(costs.sum()))

    # ---- places on edges

    def edge_cost(self, edge: int) -> int:
        """The present cost of one edge."""
        return self._changed.get(edge, int(self._base[edge]))

    def offsets(self, spots: Spots) -> np.ndarray:
        """What is to be paid of each end at present, uint32; INF for those on closed edges."""
        costs = [0 if edge < 0 else self.edge_cost(edge) for edge in spots.edge.tolist()]
        return np.array([INF if cost >= INF else round(cost * part)
                         for cost, part in zip(costs, spots.part.tolist(), strict=True)], np.uint32)

    def _within(self, source: Place, target: Place) -> tuple[int, int, float, float] | None:
        """Cost, edge and parts of the way that never leaves one edge, if there is one."""
        if isinstance(source, int) or isinstance(target, int):
            return None
        ends = dict(self.ends.sides(target))
        ways = [(round(self.edge_cost(e) * (ends[e] - part)), e, part, ends[e])
                for e, part in self.ends.sides(source) if e in ends and part <= ends[e] and self.edge_cost(e) < INF]
        return min(ways) if ways else None

    def _made(self, cost: int, edges: np.ndarray, first: float, last: float, version: int, node: int | None = None) -> Route:
        a = self.network.arrays
        lengths = np.asarray(a["edge_length"])[edges].astype(np.float64)
        if len(edges) == 1:
            lengths *= last - first
        elif len(edges):
            lengths[0] *= 1 - first
            lengths[-1] *= last
        tail = [node] if node is not None and not len(edges) else [int(a["edge_tail"][edges[0]])] if len(edges) else []
        nodes = np.concatenate([tail, np.asarray(a["edge_head"])[edges]]).astype(np.int32)
        return Route(cost, float(lengths.sum()) / 10, edges, nodes, first, last, version)


def open_map(folder: Path) -> Router:
    """The router of the network in the map bundle `folder`; BundleError if it cannot be used (or is a floor)."""
    return Router(load(folder))


def open_any(folder: Path) -> Router | Floor:
    """What answers for the map bundle in `folder`, a network or a floor; BundleError if it cannot be used."""
    return load_floor(folder) if read_bundle(folder).params.get("frame") == "floor" else open_map(folder)
