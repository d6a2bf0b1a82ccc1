"""Forbidden sequences of edges become states: a network in which every way that can be walked is allowed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

Sequence_ = tuple[int, ...]      # edges that must not follow each other in this order; two, or more through a street


def expanded(nodes: int, tail: np.ndarray, head: np.ndarray, forbidden: Iterable[Sequence[int]],
             ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The node of each state, int32, and tail, head and edge of each arc, int32; arc i is edge i from its node.

    A state after the nodes stands for "these edges were just gone along": a beginning of a forbidden sequence. An edge from
    there leads to the state of the longest beginning that has then been gone along, or to the plain node; one that would
    complete a sequence is left out. So the pattern matcher of Aho and Corasick (1975) is woven into the graph (for turns
    alone see Geisberger, Vetter: Efficient Routing in Road Networks with Turn Costs, SEA 2011, who expand every edge): only
    edges of restrictions are copied, and a city has a few hundred of those among a hundred thousand crossings.
    """
    bad = {tuple(one) for one in forbidden}
    begun = sorted({one[:n] for one in bad for n in range(1, len(one))}, key=lambda one: (len(one), one))
    state = {one: nodes + i for i, one in enumerate(begun)}
    longest = max(map(len, bad), default=0)

    def after(gone: Sequence_, edge: int) -> int | None:
        """The state after `edge`, None where that is forbidden."""
        new = (*gone, edge)[-longest:] if longest else (edge,)
        ends = [new[i:] for i in range(len(new))]
        if any(one in bad for one in ends):
            return None
        return next((state[one] for one in ends if one in state), int(head[edge]))
    ends = np.array(head, np.int32)
    for one, number in state.items():
        if len(one) == 1:
            ends[one[0]] = number
    leaving = _leaving(tail, {int(head[one[-1]]) for one in begun})
    extra = [(state[one], to, edge) for one in begun for edge in leaving[int(head[one[-1]])]
             if (to := after(one, edge)) is not None]
    more = np.array(extra, np.int32).reshape(-1, 3).T
    own = np.arange(len(tail), dtype=np.int32)
    states = np.concatenate([np.arange(nodes), [int(head[one[-1]]) for one in begun]]).astype(np.int32)
    arcs = [np.concatenate(pair).astype(np.int32) for pair in ((tail, more[0]), (ends, more[1]), (own, more[2]))]
    return states, (arcs[0], arcs[1], arcs[2])


def _leaving(tail: np.ndarray, nodes: set[int]) -> dict[int, list[int]]:
    """The edges that leave each of some nodes, rising."""
    found: dict[int, list[int]] = defaultdict(list)
    for edge in np.flatnonzero(np.isin(tail, list(nodes))).tolist() if nodes else ():
        found[int(tail[edge])].append(edge)
    return found
