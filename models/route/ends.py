"""Where a way may begin and end: places as states of the search graph, each with the part of an edge still to be paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .answers import Place
from .network import Network
from .snap import Snap

End = tuple[int, int, float, int, float]      # state, arc (-1: none), part of it to be paid, its edge, where on that


@dataclass(frozen=True)
class Spots:
    """Ends of q questions, as `kernels.shortest_path.Engine.ways` takes them: those of question i are first[i] : first[i + 1].

    `edge` is the edge that an end lies within (-1: it is a node), `at` where on it, 0 to 1 from its tail.
    """

    first: np.ndarray
    node: np.ndarray
    arc: np.ndarray
    part: np.ndarray
    edge: np.ndarray
    at: np.ndarray

    @property
    def arguments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What the kernel takes."""
        return self.first, self.node, self.arc, self.part


class Ends:
    """The states and arcs of one network, sorted by the nodes and edges that they stand for."""

    def __init__(self, network: Network) -> None:
        a = network.arrays
        self.nodes, self.edges = network.nodes, network.edges
        self._tail, self._head, self._twin = (np.asarray(a[k]) for k in ("arc_tail", "arc_head", "edge_twin"))
        self._arc_first, self._arcs = grouped(np.asarray(a["arc_edge"]), self.edges)
        self._state_first, self._states = grouped(np.asarray(a["state_node"]), self.nodes)

    def copies(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(int32 arcs of each edge, the edge itself first; which of `edges` each belongs to)."""
        return gathered(self._arc_first, self._arcs, edges)

    def single(self, node: int) -> bool:
        """Whether a node has no states beside itself, so that nothing but it may be an end."""
        return int(self._state_first[node + 1] - self._state_first[node]) == 1

    def check_node(self, node: int) -> int:
        """The node; ValueError for one that is not there."""
        if not 0 <= node < self.nodes:
            raise ValueError(f"expected a node from 0 to {self.nodes - 1}, got {node}")
        return node

    def check_edge(self, edge: int) -> int:
        """The edge; ValueError for one that is not there."""
        if not 0 <= edge < self.edges:
            raise ValueError(f"expected an edge from 0 to {self.edges - 1}, got {edge}")
        return edge

    def sides(self, place: Snap) -> list[tuple[int, float]]:
        """The edge and its twin, with how far along each the place lies."""
        twin = int(self._twin[self.check_edge(place.edge)])
        return [(place.edge, place.fraction), *([(twin, 1 - place.fraction)] if twin >= 0 else [])]

    # ---- sources: what is left of an edge is still to be paid

    def sources(self, places: Sequence[Place]) -> Spots:
        """Where ways from these places begin, a question each. ValueError for nodes or edges that are not there."""
        return spots([[(self.check_node(p), -1, 0.0, -1, 0.0)] if isinstance(p, int) else
                      [(int(self._head[e]), e, 1 - at, e, at) for e, at in self.sides(p)] for p in places])

    def sources_at_nodes(self, nodes: np.ndarray) -> Spots:
        """The same for nodes that are there, int32 (q)."""
        return of_nodes(np.arange(len(nodes) + 1, dtype=np.int32), nodes.astype(np.int32))

    def sources_on_edges(self, edges: np.ndarray, at: np.ndarray) -> Spots:
        """The same for places on edges: int (q), -1 for no place; float64 (q) from the tail."""
        owner, edge, where = self._both_sides(edges, at)
        return Spots(firsts(owner, len(edges)), self._head[edge], edge, 1 - where, edge, where)

    # ---- targets: every state from which an edge may be entered, or that stands for a node

    def targets(self, places: Sequence[Place]) -> Spots:
        """Where ways to these places end. ValueError for nodes or edges that are not there."""
        return spots([self._ends_at(p) if isinstance(p, int) else
                      [(int(self._tail[arc]), arc, at, e, at) for e, at in self.sides(p) for arc in self._arcs_of(e)]
                      for p in places])

    def targets_at_nodes(self, nodes: np.ndarray) -> Spots:
        """The same for nodes that are there."""
        states, owner = gathered(self._state_first, self._states, nodes)
        return of_nodes(firsts(owner, len(nodes)), states)

    def targets_on_edges(self, edges: np.ndarray, at: np.ndarray) -> Spots:
        """The same for places on edges."""
        owner, edge, where = self._both_sides(edges, at)
        arcs, which = self.copies(edge)
        return Spots(firsts(owner[which], len(edges)), self._tail[arcs], arcs, where[which], edge[which], where[which])

    def _arcs_of(self, edge: int) -> list[int]:
        found: list[int] = self._arcs[self._arc_first[edge]:self._arc_first[edge + 1]].tolist()
        return found

    def _ends_at(self, node: int) -> list[End]:
        first, end = self._state_first[self.check_node(node):node + 2]
        return [(state, -1, 0.0, -1, 0.0) for state in self._states[first:end].tolist()]

    def _both_sides(self, edges: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(question, edge, where on it) of each edge and its twin, by question; questions without a place have none."""
        twins = np.where(edges < 0, -1, self._twin[edges])
        both = np.stack([edges, twins], 1).astype(np.int32)
        where = np.stack([at, 1 - at], 1)
        owner, side = np.nonzero(both >= 0)
        return owner, both[owner, side], where[owner, side]


def spots(ends: Sequence[Sequence[End]]) -> Spots:
    """Ends by question as arrays."""
    first = np.zeros(len(ends) + 1, np.int32)
    np.cumsum([len(some) for some in ends], out=first[1:])
    node, arc, part, edge, at = zip(*(end for some in ends for end in some), strict=True) if first[-1] else ((),) * 5
    whole, share = np.array((node, arc, edge), np.int32), np.array((part, at), np.float64)
    return Spots(first, whole[0], whole[1], share[0], whole[2], share[1])


def of_nodes(first: np.ndarray, states: np.ndarray) -> Spots:
    """Ends that lie in no edge."""
    none, nothing = np.full(len(states), -1, np.int32), np.zeros(len(states))
    return Spots(first, states, none, nothing, none, nothing)


def grouped(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(int64 first (count + 1), int32 places): where each of the numbers 0 to count - 1 stands in `values`, rising.

    `values` begins with these numbers in order, as `Network` says; the few after them are copies.
    """
    copies = values[count:]
    order = np.argsort(copies, kind="stable")
    places = np.insert(np.arange(count, dtype=np.int32), copies[order] + 1, (count + order).astype(np.int32))
    first = np.arange(count + 1, dtype=np.int64)
    if len(copies):
        first[1:] += np.cumsum(np.bincount(copies, minlength=count))
    return first, places


def gathered(first: np.ndarray, members: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the members of all wanted groups one after the other, which of `wanted` each belongs to)."""
    begin, count = first[wanted], first[wanted + 1] - first[wanted]
    which = np.repeat(np.arange(len(wanted)), count)
    return members[np.arange(len(which)) + (begin - np.cumsum(count) + count)[which]], which


def firsts(owner: np.ndarray, count: int) -> np.ndarray:
    """int32 (count + 1): where the ends of each question begin; `owner` rises."""
    return np.searchsorted(owner, np.arange(count + 1)).astype(np.int32)
