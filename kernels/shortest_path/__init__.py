"""Shortest paths on a fixed graph whose weights change all the time: build once, apply changes, ask.

The quick version is a customizable contraction hierarchy (Dibbelt, Strasser, Wagner: Customizable Contraction
Hierarchies, JEA 21, 2016): `build` looks only at the graph, `Engine.apply` only at what changed, a query walks two
short paths of the elimination tree. The reference is Dijkstra's algorithm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from .. import _check
from .._op import Op

INF = 2**31 - 1        # no way; also the weight of a closed arc. Two of them still fit in 32 bits.
TOLERANCE = 0          # whole numbers: every variant gives the same costs (paths may differ among equals)
NAMES = ("rank", "up_first", "up_head", "up_tail", "up_depth", "depth", "down_first", "down_arc", "arc_slot", "slot_arc",
         "next_same")  # of a topology; the reference needs none of them
_build = Op(__package__, "build")
_engine = Op(__package__, "Engine")


class Engine(Protocol):
    """Answers queries on the newest weights; any number of threads may ask while one applies.

    Costs are whole numbers below INF, or INF where there is no way. A query sees one version of the weights
    throughout; `version` rises by one with every `apply`, whose changes every later query sees.
    """

    nodes: int
    version: int

    def weights(self) -> np.ndarray:
        """The newest weights, uint32 (arcs,), as a copy."""

    def apply(self, arcs: np.ndarray, weights: np.ndarray) -> int:
        """Set `weights` uint32 (k,) of `arcs` int32 (k,), all or none, and return the new version."""

    def distance(self, source: int, target: int) -> int:
        """The least cost from node to node."""

    def way(self, source: int, target: int) -> tuple[int, np.ndarray]:
        """The least cost from node to node and the arcs of that way, int32 in order."""

    def path(self, sources: np.ndarray, source_offsets: np.ndarray, targets: np.ndarray, target_offsets: np.ndarray,
             ) -> tuple[int, int, int, np.ndarray]:
        """The cheapest way from any source to any target, offsets added: cost, which source, which target, arcs.

        Nodes int32 (k,) from 1 each, offsets uint32 (k,); arcs int32 in order. (INF, -1, -1, none) without a way.
        """

    def matrix(self, sources: np.ndarray, targets: np.ndarray, out: np.ndarray) -> None:
        """Costs of every pair: int32 (s,), int32 (t,) -> uint32 (s, t)."""

    def batch(self, sources: np.ndarray, targets: np.ndarray, out: np.ndarray) -> None:
        """Costs of pairs: int32 (q,), int32 (q,) -> uint32 (q,)."""

    def tree(self, sources: np.ndarray, offsets: np.ndarray, reverse: bool, out: np.ndarray) -> None:
        """Cost from the nearest source (to it, if `reverse`) of every node: out uint32 (nodes,)."""


def build(tail: np.ndarray, head: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """What an engine needs to know of the graph, without its weights: named arrays, to be kept beside the map.

    `tail`, `head` int32 (arcs,) below the number of nodes; `x`, `y` float64 (nodes,) finite, any unit: they find
    good separators. ValueError says what does not fit.
    """
    _check.array(x, "x", "float64", ("nodes",))
    _check.array(y, "y", "float64", x.shape)
    _check.array(tail, "tail", "int32", (None,))
    _check.array(head, "head", "int32", tail.shape)
    for name, ends in (("tail", tail), ("head", head)):
        if len(ends) and not 0 <= int(ends.min()) <= int(ends.max()) < len(x):
            raise ValueError(f"expected nodes from 0 to {len(x) - 1}, got {ends.min()} to {ends.max()} - at `{name}`")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("expected finite coordinates, got NaN or infinity - at `x` or `y`")
    made: dict[str, np.ndarray] = _build(tail, head, x, y)
    return made


def engine(topology: Mapping[str, np.ndarray], nodes: int, weights: np.ndarray) -> Any:
    """An `Engine` over what `build` gave (arrays may be memory maps) and first `weights` uint32 (arcs,).

    Weights are 1 to INF - 1 and INF for closed; 0 is allowed. ValueError if the topology does not belong together.
    """
    _check.array(weights, "weights", "uint32", topology["tail"].shape)
    if len(weights) and int(weights.max()) > INF:
        raise ValueError(f"expected weights up to {INF} (closed), got {weights.max()} - at `weights`")
    missing = [name for name in NAMES if name not in topology]
    if missing and _engine.choice().variant == "fast":
        raise ValueError(f"expected what `build` gives, got no {', '.join(missing)} - at `topology`; build the map again")
    return _engine(topology, nodes, weights)


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Graphs (tail, head, x, y, weights) that every variant must agree on: empty, islands, loops, grids, closed arcs."""
    def graph(nodes: int, arcs: int, top: int) -> dict:
        return {"tail": rng.integers(0, nodes, arcs, dtype=np.int32), "head": rng.integers(0, nodes, arcs, dtype=np.int32),
                "x": rng.random(nodes), "y": rng.random(nodes), "weights": rng.integers(0, top, arcs, dtype=np.uint32)}
    yield graph(1, 0, 1)
    yield graph(1, 3, 9)
    yield graph(2, 1, 9)
    for nodes, arcs in ((5, 8), (10, 40), (30, 40), (60, 100), (100, 400)):
        for top in (2, 1000):
            made = graph(nodes, arcs, top)
            made["weights"][rng.random(arcs) < 0.1] = INF
            yield made
    yield grid(rng, 9, 13)


def grid(rng: np.random.Generator, rows: int, columns: int) -> dict:
    """A city of blocks: each street both ways with its own weights, crossings moved a little."""
    at = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    pairs = np.concatenate([np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], 1),
                            np.stack([at[:-1].ravel(), at[1:].ravel()], 1)])
    tail, head = np.concatenate([pairs, pairs[:, ::-1]]).T
    y, x = np.divmod(np.arange(rows * columns), columns)
    return {"tail": np.ascontiguousarray(tail), "head": np.ascontiguousarray(head),
            "x": x + rng.random(rows * columns) * 0.4, "y": y + rng.random(rows * columns) * 0.4,
            "weights": rng.integers(800, 1600, len(tail), dtype=np.uint32)}


__all__ = ["INF", "TOLERANCE", "Engine", "build", "cases", "engine", "grid"]
