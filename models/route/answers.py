"""What a map answers: routes, alternatives, reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .snap import Snap

Place = int | Snap      # a node, or a place on an edge


@dataclass(frozen=True)
class Route:
    """A way: `cost_ms`, `length_m`, directed `edges` int32 in order, `nodes` int32 (edges + 1; none within one edge).

    `first` and `last` are the parts (0 to 1, from the tail) of the first and last edge where it begins and ends;
    `version` is that of the weights it was found on. A way without edges ends where it starts.
    """

    cost_ms: int
    length_m: float
    edges: np.ndarray
    nodes: np.ndarray
    first: float
    last: float
    version: int


@dataclass(frozen=True)
class Alternative:
    """Another way and how it compares: `stretch` = cost / best cost, `shared` = part of its cost on earlier ways."""

    route: Route
    stretch: float
    shared: float


@dataclass(frozen=True)
class Reach:
    """What is within reach: `nodes` int32 and their `costs_ms` uint32, and `edges` int32 that can be entered in time."""

    nodes: np.ndarray
    costs_ms: np.ndarray
    edges: np.ndarray
    version: int
