"""Runs in the peers' environment: reads questions as JSON lines, answers with times in microseconds and costs.

Peers are called in the way that their documentation shows for one query; making the graph is not timed, but told.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

GRAPH = dict(np.load(sys.argv[1]))
NODES = len(GRAPH["x"])
TAIL, HEAD, WEIGHTS = (GRAPH[k] for k in ("tail", "head", "weights"))
CLOSED = 2**31 - 1
Query = Callable[[int, int], Any]


def routingkit() -> dict[str, Query]:
    rk = import_module("routingkit_cch")
    global HIERARCHY, METRIC
    tail, head = TAIL.tolist(), HEAD.tolist()
    order = rk.compute_order_inertial(NODES, tail, head, GRAPH["y"].tolist(), GRAPH["x"].tolist())
    HIERARCHY = rk.CCH(order, tail, head, False)
    METRIC = rk.CCHMetric(HIERARCHY, WEIGHTS.tolist())
    query = rk.CCHQuery(METRIC)
    return {"distance": lambda s, t: query.run(s, t).distance, "path": lambda s, t: query.run(s, t).node_path}


def rustworkx() -> dict[str, Query]:
    rx = import_module("rustworkx")
    graph = rx.PyDiGraph()
    graph.add_nodes_from(range(NODES))
    graph.add_edges_from(list(zip(TAIL.tolist(), HEAD.tolist(), WEIGHTS.tolist(), strict=True)))
    x, y, scale = GRAPH["x"].tolist(), GRAPH["y"].tolist(), float(GRAPH["bound"])

    def path(s: int, t: int) -> Any:
        gx, gy = x[t], y[t]
        return rx.digraph_astar_shortest_path(graph, s, lambda n: n == t, float,
                                              lambda n: ((x[n] - gx) ** 2 + (y[n] - gy) ** 2) ** 0.5 * scale)
    return {"distance": lambda s, t: rx.digraph_dijkstra_shortest_path_lengths(graph, s, float, t)[t], "path": path}


def igraph() -> dict[str, Query]:
    ig = import_module("igraph")
    graph = ig.Graph(n=NODES, edges=np.stack([TAIL, HEAD], 1).tolist(), directed=True)
    graph.es["weight"] = WEIGHTS.tolist()
    return {"distance": lambda s, t: graph.distances(s, t, weights="weight")[0][0],
            "path": lambda s, t: graph.get_shortest_path(s, t, weights="weight")}


def matrix(weights: np.ndarray) -> Any:
    order = np.lexsort((weights, HEAD, TAIL))      # SciPy would add parallel arcs up: the cheapest stays
    key = TAIL[order].astype(np.int64) * NODES + HEAD[order]
    kept = order[np.concatenate([[True], key[1:] != key[:-1]])]
    kept = kept[(weights[kept] < CLOSED) & (TAIL[kept] != HEAD[kept])]
    made = import_module("scipy.sparse").csr_matrix
    return made((weights[kept].astype(float), (TAIL[kept], HEAD[kept])), (NODES, NODES))


def scipy() -> dict[str, Query]:
    dijkstra = import_module("scipy.sparse.csgraph").dijkstra
    made = matrix(WEIGHTS)
    return {"distance": lambda s, t: dijkstra(made, indices=s)[t],
            "path": lambda s, t: dijkstra(made, indices=s, return_predecessors=True)[1][t]}


PEERS = {"routingkit_cch": routingkit, "rustworkx": rustworkx, "igraph": igraph, "scipy": scipy}
MADE: dict[str, tuple[dict[str, Query], float]] = {}
HIERARCHY: Any = None
METRIC: Any = None


def queries(peer: str) -> tuple[dict[str, Query], float]:
    if peer not in MADE:
        start = time.thread_time()
        MADE[peer] = PEERS[peer](), time.thread_time() - start
    return MADE[peer]


def timed(peer: str, what: str, pairs: str, start: int, count: int) -> dict[str, Any]:
    """Times of some queries; `costs` where the answer is a cost."""
    made, prepared = queries(peer)
    ask, times, costs = made[what], [], []
    for s, t in GRAPH[pairs][start:start + count].tolist():
        begin = time.perf_counter()
        answer = ask(s, t)
        times.append((time.perf_counter() - begin) * 1e6)
        if what == "distance":
            costs.append(None if answer is None else float(answer))
        del answer
    return {"times": times, "costs": costs, "prepared": prepared}


def truth(sources: str, targets: str, weights: str) -> dict[str, Any]:
    """Costs of all sources x targets by SciPy's Dijkstra on a named array of weights; -1 for no way."""
    dijkstra = import_module("scipy.sparse.csgraph").dijkstra
    made, rows = matrix(GRAPH[weights]), []
    for source in GRAPH[sources].tolist():
        row = dijkstra(made, indices=source)[GRAPH[targets]]
        rows.append([-1 if np.isinf(v) else int(v) for v in row])
    return {"rows": rows}


def changes(count: int) -> dict[str, Any]:
    """Routingkit: times of all weights anew, and of one closure."""
    rk = import_module("routingkit_cch")
    queries("routingkit_cch")
    MADE.pop("routingkit_cch")                 # a metric cannot change while a query holds it
    whole = []
    for _ in range(count):
        weights = WEIGHTS.tolist()
        begin = time.thread_time()
        METRIC.reset(weights)
        whole.append((time.thread_time() - begin) * 1e6)
    updater, one = rk.CCHMetricPartialUpdater(HIERARCHY), []
    for arc in GRAPH["arcs"].tolist():
        begin = time.perf_counter()
        updater.apply(METRIC, {arc: CLOSED})
        one.append((time.perf_counter() - begin) * 1e6)
        updater.apply(METRIC, {arc: int(WEIGHTS[arc])})
    begin = time.thread_time()
    many = rk.CCHOneToMany(METRIC, GRAPH["targets"].tolist())
    for source in GRAPH["sources"].tolist():
        many.distances_from(source)
    return {"whole": whole, "one": one, "table": (time.thread_time() - begin) * 1e6}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"timed": timed, "truth": truth, "changes": changes}
for line in sys.stdin:
    question = json.loads(line)
    try:
        reply = TASKS[question.pop("do")](**question)
    except Exception as error:  # noqa: BLE001  whatever a peer does wrong becomes its answer
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
