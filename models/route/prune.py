"""Which nodes can reach each other: islands and traps are found here."""

from __future__ import annotations

import numpy as np

TRIES = 8


def lists(nodes: int, tail: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heads grouped by tail: first int64 (nodes + 1,), heads."""
    order = np.argsort(tail, kind="stable")
    return np.searchsorted(tail[order], np.arange(nodes + 1)), np.asarray(head)[order]


def spread(first: np.ndarray, heads: np.ndarray, start: int) -> np.ndarray:
    """All nodes that can be reached from `start`, bool (nodes,): breadth first, a whole ring at a time."""
    seen = np.zeros(len(first) - 1, bool)
    seen[start] = True
    ring = np.array([start])
    while len(ring):
        count = first[ring + 1] - first[ring]
        at = np.repeat(first[ring] - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
        ring = np.unique(heads[at])
        ring = ring[~seen[ring]]
        seen[ring] = True
    return seen


def strongest(nodes: int, tail: np.ndarray, head: np.ndarray, seed: int = 1) -> np.ndarray:
    """The largest set of nodes (bool) found in which each reaches each; from the largest island, by a few tries.

    What a node reaches and what reaches it meet in its set (Fleischer, Hendrickson, Pinar: On Identifying Strongly
    Connected Components in Parallel, 2000). A set of over half the rest ends the search: none larger can exist.
    """
    best = np.zeros(nodes, bool)
    out, into = lists(nodes, tail, head), lists(nodes, head, tail)
    left = np.zeros(nodes, bool)
    left[tail] = left[head] = True
    rng = np.random.default_rng(seed)
    for _ in range(TRIES * 8):
        rest = np.flatnonzero(left)
        if len(rest) <= best.sum():
            break
        start = int(rng.choice(rest))
        both = spread(*out, start) & spread(*into, start)
        if both.sum() > best.sum():
            best = both
        left &= ~both
    return best
