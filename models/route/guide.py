"""A way as a line on the map and as instructions in codes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import hypot

import numpy as np

from .answers import Route
from .network import Network
from .shapes import line_of

TURN = 35.0            # degrees from which a bend at a crossing is a turn
CODES = ("depart", "straight", "slight_left", "left", "sharp_left", "slight_right", "right", "sharp_right", "uturn",
         "enter", "arrive")


@dataclass(frozen=True)
class Step:
    """One instruction: `code` of CODES at x, y, then `length_m` on a street of that name and kind.

    `heading` in degrees clockwise from north (up, on a plane). "enter" is the same direction into another kind of way,
    such as steps. `edge` is the first edge of the step.
    """

    code: str
    name: str
    kind: str
    length_m: float
    heading: int
    x: float
    y: float
    edge: int


def line(network: Network, route: Route) -> np.ndarray:
    """The way as float64 (points, 2) of x, y; at least two points, the same twice for a way of no length."""
    edges = route.edges
    if not len(edges):
        node = int(route.nodes[0]) if len(route.nodes) else 0
        return np.array([[network.arrays["node_x"][node], network.arrays["node_y"][node]]] * 2, np.float64)
    by = network.scale
    xy, counts = line_of(network, edges)
    if len(edges) == 1:
        return cut(xy, by, route.first, route.last)
    head, tail = cut(xy[:counts[0]], by, route.first, 1.0), cut(xy[len(xy) - counts[-1]:], by, 0.0, route.last)
    return np.concatenate([head, xy[counts[0]:len(xy) - counts[-1] + 1], tail[1:]])


def cut(points: np.ndarray, by: np.ndarray, begin: float, end: float) -> np.ndarray:
    """The part of a line between two fractions of its length. A handful of points: plain numbers are quickest."""
    if begin <= 0 and end >= 1:
        return points
    sx, sy = by.tolist()
    xy: list[list[float]] = points.tolist()
    run = [0.0, *accumulate(hypot((bx - ax) * sx, (dy - cy) * sy) for (ax, cy), (bx, dy) in pairwise(xy))]
    total = run[-1] if run[-1] > 0 else 1.0
    return np.array([_along(xy, run, begin * total),
                     *(place for place, at in zip(xy, run, strict=True) if begin * total < at < end * total),
                     _along(xy, run, end * total)])


def _along(xy: list[list[float]], run: list[float], at: float) -> list[float]:
    """The place on a line so far from its beginning."""
    i = min(max(bisect_right(run, at), 1), len(run) - 1)
    step = run[i] - run[i - 1]
    part = min(max((at - run[i - 1]) / step, 0.0), 1.0) if step > 0 else 0.0
    return [a + (b - a) * part for a, b in zip(xy[i - 1], xy[i], strict=True)]


def steps(network: Network, route: Route) -> list[Step]:
    """Instructions for the way, "depart" first and "arrive" last."""
    points = line(network, route)
    end = (float(points[-1, 0]), float(points[-1, 1]))
    if not len(route.edges):
        return [Step("arrive", "", "", 0.0, 0, *end, -1)]
    a, by = network.arrays, network.scale
    edges = route.edges.tolist()
    lengths = np.asarray(a["edge_length"])[route.edges] / 10
    ends = [headings(network, edge, by) for edge in edges]
    made: list[Step] = []
    begin, code = 0, "depart"
    for i in range(1, len(edges) + 1):
        then = "arrive" if i == len(edges) else turn_code(network, edges[i - 1], edges[i], ends[i - 1][1], ends[i][0])
        if then is None:
            continue
        length = float(lengths[begin:i].sum())
        if begin == 0:
            length -= float(lengths[0]) * route.first
        if i == len(edges):
            length -= float(lengths[-1]) * (1 - route.last)
        at = points[0] if begin == 0 else network.points(edges[begin])[0]
        made.append(Step(code, network.name(edges[begin]), network.kinds[int(a["edge_kind"][edges[begin]])], length,
                         round(ends[begin][0]) % 360, float(at[0]), float(at[1]), edges[begin]))
        begin, code = i, then
    return [*made, Step("arrive", made[-1].name, made[-1].kind, 0.0, round(ends[-1][1]) % 360, *end, edges[-1])]


def headings(network: Network, edge: int, by: np.ndarray) -> tuple[float, float]:
    """Degrees clockwise from north in which an edge begins and ends."""
    points = network.points(edge) * by
    return bearing(points[1] - points[0]), bearing(points[-1] - points[-2])


def bearing(step: np.ndarray) -> float:
    """Degrees clockwise from north of a step (x, y)."""
    return float(np.degrees(np.arctan2(step[0], step[1])))


def turn_code(network: Network, before: int, after: int, out: float, into: float) -> str | None:
    """What to tell between two edges, or None where one simply goes on."""
    if network.arrays["edge_twin"][before] == after:
        return "uturn"
    angle = (into - out + 180) % 360 - 180
    same = network.name(before) == network.name(after)
    kinds = network.arrays["edge_kind"]
    if abs(angle) < TURN:
        if not same:
            return "straight"
        return None if kinds[before] == kinds[after] else "enter"
    if same and only_way_on(network, before, after):
        return None
    side = "left" if angle < 0 else "right"
    size = abs(angle)
    return f"slight_{side}" if size < 60 else side if size < 120 else f"sharp_{side}" if size < 170 else "uturn"


def only_way_on(network: Network, before: int, after: int) -> bool:
    """Whether a bend is none to speak of: nothing else leaves there but the way back."""
    a = network.arrays
    node = int(a["edge_head"][before])
    leaving = leavers(network, node)
    return all(e in (after, int(a["edge_twin"][before])) for e in leaving)


def leavers(network: Network, node: int) -> list[int]:
    """The edges that leave a node."""
    order, first = by_tail(network)
    return [int(e) for e in order[first[node]:first[node + 1]]]


def by_tail(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Edges sorted by their tails, and where those of each node begin; made once for a map."""
    kept = network.__dict__.get("_by_tail")
    if kept is None:
        tails = np.asarray(network.arrays["edge_tail"])
        order = np.argsort(tails, kind="stable").astype(np.int32)
        kept = (order, np.searchsorted(tails[order], np.arange(network.nodes + 1)))
        object.__setattr__(network, "_by_tail", kept)
    return kept
