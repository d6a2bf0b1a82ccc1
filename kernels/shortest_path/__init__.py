"""Shortest paths on a fixed graph whose weights change all the time: build once, apply changes, ask.

The quick version is a customizable contraction hierarchy (Dibbelt, Strasser, Wagner: Customizable Contraction
Hierarchies, JEA 21, 2016): `build` looks only at the graph, `Engine.apply` only at what changed, a query walks two
short paths of the elimination tree. The reference is Dijkstra's algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


Run = Callable[[list[Callable[[], None]]], object]   # calls each job once, on any threads, and returns when all have ended


class Engine(Protocol):
    """Answers queries on the newest weights; any number of threads may ask while one applies.

    Costs are whole numbers below INF, or INF where there is no way. A query sees one version of the weights
    throughout; `version` rises by one with every `apply`, whose changes every later query sees.
    """

    nodes: int
    version: int

    def weights(self) -> np.ndarray:
        """The newest weights, uint32 (arcs,), as a copy."""

    def apply(self, arcs: np.ndarray, weights: np.ndarray, run: Run | None = None) -> int:
        """Set `weights` uint32 (k,) of `arcs` int32 (k,), all or none, and return the new version.

        Where most weights change, `run` may share the work out: see `Run`. No bit depends on it.
        """

    def distance(self, source: int, target: int) -> int:
        """The least cost from node to node."""

    def way(self, source: int, target: int) -> tuple[int, np.ndarray]:
        """The least cost from node to node and the arcs of that way, int32 in order."""

    def path(self, sources: np.ndarray, source_offsets: np.ndarray, targets: np.ndarray, target_offsets: np.ndarray,
             ) -> tuple[int, int, int, np.ndarray]:
        """The cheapest way from any source to any target, offsets added: cost, which source, which target, arcs.

        Nodes int32 (k,) from 1 each, offsets uint32 (k,); arcs int32 in order. (INF, -1, -1, none) without a way.
        """

    def ways(self, source_first: np.ndarray, sources: np.ndarray, source_arcs: np.ndarray, source_parts: np.ndarray,
             target_first: np.ndarray, targets: np.ndarray, target_arcs: np.ndarray, target_parts: np.ndarray,
             paths: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
        """The cheapest way of each of q questions, in one call without the GIL.

        The sources of question q are source_first[q] : source_first[q + 1] (int32, q + 1): nodes int32, and where one lies
        within an arc, that arc (int32, -1 for none) and the part of it (float64, 0 to 1) that is still to be paid; likewise
        targets. Parts are paid by the weights that answer, rounded half to even. The answer: costs uint32 (q) with INF for no
        way; int32 (q) which source and which target (places in the whole lists, -1 for no way); int32 (q + 1) first and int32
        arcs, those of question q being arcs[first[q] : first[q + 1]] (none unless `paths`); the version. Of thousands of
        questions, later ones may see later versions than that one: a change need not wait for all of them.
        """

    def matrix(self, sources: np.ndarray, targets: np.ndarray, out: np.ndarray, values: np.ndarray | None = None,
               sums: np.ndarray | None = None) -> None:
        """Costs of every pair: int32 (s,), int32 (t,) -> uint32 (s, t).

        With `values` uint32 (arcs,), `sums` int64 (s, t) gets what they add up to along one cheapest way of each pair (0
        without a way): metres, where weights are times.
        """

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


def engine(topology: Mapping[str, np.ndarray], nodes: int, weights: np.ndarray,
           metric: Mapping[str, np.ndarray] | None = None, run: Run | None = None) -> Any:
    """An `Engine` over what `build` gave (arrays may be memory maps) and first `weights` uint32 (arcs,).

    Weights are 1 to INF - 1 and INF for closed; 0 is allowed. `metric` is what `metric_arrays` gave for these weights: then
    nothing has to be worked out, only checked. `run` shares the work out otherwise. ValueError if the topology does not
    belong together, or the metric not to the weights.
    """
    _check.array(weights, "weights", "uint32", topology["tail"].shape)
    if len(weights) and int(weights.max()) > INF:
        raise ValueError(f"expected weights up to {INF} (closed), got {weights.max()} - at `weights`")
    missing = [name for name in NAMES if name not in topology]
    if missing and _engine.choice().variant == "fast":
        raise ValueError(f"expected what `build` gives, got no {', '.join(missing)} - at `topology`; build the map again")
    return _engine(topology, nodes, weights, metric, run)


def metric_arrays(engine: Any) -> dict[str, np.ndarray]:
    """The present weights of an engine's hierarchy, to be kept beside its topology; {} where the variant has none."""
    made: dict[str, np.ndarray] = engine.metric_arrays()
    return made


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


__all__ = ["INF", "TOLERANCE", "Engine", "build", "cases", "engine", "grid", "metric_arrays"]
