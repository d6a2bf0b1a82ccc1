"""The plain version of `shortest_path`: Dijkstra with a binary heap; the truth that the quick one is compared with."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import numpy as np

INF = 2**31 - 1


def build(tail: np.ndarray, head: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """What Dijkstra needs beyond the arcs: nothing. `x` and `y` are not looked at."""
    return {"tail": tail, "head": head}


class Engine:
    """See the package. One search costs O(m log n); an update costs its arcs."""

    def __init__(self, topology: Mapping[str, np.ndarray], nodes: int, weights: np.ndarray, metric: object = None,
                 run: object = None) -> None:
        self.tail, self.head, self.nodes, self.version = topology["tail"], topology["head"], nodes, 0
        self._weights = weights.copy()
        self._out, self._into = _lists(self.tail, nodes), _lists(self.head, nodes)

    def weights(self) -> np.ndarray:
        return self._weights.copy()

    def metric_arrays(self) -> dict[str, np.ndarray]:
        return {}

    def apply(self, arcs: np.ndarray, weights: np.ndarray, run: object = None) -> int:
        changed = self._weights.copy()
        changed[arcs] = weights
        self._weights = changed          # one assignment: a search that runs keeps the array it began with
        self.version += 1
        return self.version

    def _search(self, starts: Sequence[tuple[int, int]], goals: frozenset[int] | None, reverse: bool = False,
                ) -> tuple[dict[int, int], dict[int, int]]:
        """Costs and arcs into each node that was settled; it ends when every goal is."""
        lists, ends = (self._into, self.tail) if reverse else (self._out, self.head)
        weights, costs, done, into = self._weights, {}, {}, {}  # type: ignore[var-annotated]
        heap: list[tuple[int, int]] = []
        left = set(goals) if goals is not None else None
        for node, offset in starts:
            if offset < INF and offset < costs.get(node, INF):
                costs[node] = offset
                heapq.heappush(heap, (offset, node))
        while heap and (left is None or left):
            cost, node = heapq.heappop(heap)
            if node in done:
                continue
            done[node] = cost
            if left is not None:
                left.discard(node)
            for arc in lists[node]:
                weight, end = int(weights[arc]), int(ends[arc])
                if weight < INF and cost + weight < costs.get(end, INF):
                    costs[end], into[end] = cost + weight, arc
                    heapq.heappush(heap, (cost + weight, end))
        return done, into

    def distance(self, source: int, target: int) -> int:
        return self._search([(source, 0)], frozenset([target]))[0].get(target, INF)

    def way(self, source: int, target: int) -> tuple[int, np.ndarray]:
        ends = np.array([[source], [target]], np.int32)
        cost, _, _, arcs = self.path(ends[0], np.zeros(1, np.uint32), ends[1], np.zeros(1, np.uint32))
        return cost, arcs

    def path(self, sources: np.ndarray, source_offsets: np.ndarray, targets: np.ndarray, target_offsets: np.ndarray,
             ) -> tuple[int, int, int, np.ndarray]:
        starts = list(zip(sources.tolist(), source_offsets.tolist(), strict=True))
        costs, into = self._search(starts, frozenset(targets.tolist()))
        ends = [costs.get(t, INF) + o for t, o in zip(targets.tolist(), target_offsets.tolist(), strict=True)]
        best = int(np.argmin(ends))
        if ends[best] >= INF:
            return INF, -1, -1, np.empty(0, np.int32)
        arcs, node = [], int(targets[best])
        while node in into:
            arcs.append(into[node])
            node = int(self.tail[into[node]])
        first = min((o, i) for i, (n, o) in enumerate(starts) if n == node)[1]
        return ends[best], first, best, np.array(arcs[::-1], np.int32)

    def ways(self, source_first: np.ndarray, sources: np.ndarray, source_arcs: np.ndarray, source_parts: np.ndarray,
             target_first: np.ndarray, targets: np.ndarray, target_arcs: np.ndarray, target_parts: np.ndarray,
             paths: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
        found, version = [], self.version
        for q in range(len(source_first) - 1):
            s, t = slice(*source_first[q:q + 2].tolist()), slice(*target_first[q:q + 2].tolist())
            found.append((INF, -1, -1, np.empty(0, np.int32)) if s.start == s.stop or t.start == t.stop else
                         self.path(sources[s], self._part(source_arcs[s], source_parts[s]),
                                   targets[t], self._part(target_arcs[t], target_parts[t])))
        cost, start, goal, arcs = zip(*found, strict=True) if found else ((), (), (), ())
        starts, goals = np.array(start, np.int32), np.array(goal, np.int32)
        there = starts >= 0
        starts[there] += source_first[:-1][there]
        goals[there] += target_first[:-1][there]
        kept = [one if paths else one[:0] for one in arcs]
        return (np.array(cost, np.uint32), starts, goals, np.cumsum([0, *map(len, kept)]).astype(np.int32),
                np.concatenate([np.empty(0, np.int32), *kept]), version)

    def _part(self, arcs: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """What is still to be paid of each arc."""
        weights = np.where(arcs < 0, 0, self._weights[arcs]) if len(self._weights) else np.zeros(len(arcs))
        return np.where(weights >= INF, INF, np.round(weights * parts)).astype(np.uint32)

    def matrix(self, sources: np.ndarray, targets: np.ndarray, out: np.ndarray, values: np.ndarray | None = None,
               sums: np.ndarray | None = None) -> None:
        goals = frozenset(targets.tolist())
        for i, (row, source) in enumerate(zip(out, sources.tolist(), strict=True)):
            costs, into = self._search([(source, 0)], goals)
            row[:] = [costs.get(t, INF) for t in targets.tolist()]
            if values is not None and sums is not None:
                sums[i] = [self._sum(into, t, values) if t in costs else 0 for t in targets.tolist()]

    def _sum(self, into: Mapping[int, int], node: int, values: np.ndarray) -> int:
        """What the values of the arcs up to a node add up to."""
        total = 0
        while node in into:
            total += int(values[into[node]])
            node = int(self.tail[into[node]])
        return total

    def batch(self, sources: np.ndarray, targets: np.ndarray, out: np.ndarray) -> None:
        out[:] = [self.distance(s, t) for s, t in zip(sources.tolist(), targets.tolist(), strict=True)]

    def tree(self, sources: np.ndarray, offsets: np.ndarray, reverse: bool, out: np.ndarray) -> None:
        costs, _ = self._search(list(zip(sources.tolist(), offsets.tolist(), strict=True)), None, reverse)
        out[:] = INF
        out[list(costs)] = list(costs.values())


def _lists(ends: np.ndarray, nodes: int) -> list[list[int]]:
    """The arcs that have their end at each node."""
    found: list[list[int]] = [[] for _ in range(nodes)]
    for arc, node in enumerate(ends.tolist()):
        found[node].append(arc)
    return found
