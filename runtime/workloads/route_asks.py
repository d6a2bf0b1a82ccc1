"""What a map can be asked, and what it answers, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...models.route.router import Alternative, Place, Reach
from .route_changes import Change

Where = int | tuple[float, float]      # a node, or (latitude, longitude); on a plane map (y, x) in metres


@dataclass(frozen=True)
class AskRoute:
    """The best way and up to `count` - 1 others. `shape`: "geojson", "polyline" or "none"; `guide`: instructions too.

    `arrive_by` and `depart_at` are seconds on the caller's own clock (or None): the other end of the trip is told on it.
    """

    source: Where
    target: Where
    count: int = 1
    shape: str = "geojson"
    guide: bool = False
    arrive_by: float | None = None
    depart_at: float | None = None
    limit_m: float = 500.0


@dataclass(frozen=True)
class AskTable:
    """Costs between all sources and targets."""

    sources: tuple[Where, ...]
    targets: tuple[Where, ...]
    limit_m: float = 500.0


@dataclass(frozen=True)
class AskPairs:
    """Many ways in one go: `rows` int32 (n, 2) nodes, or float64 (n, 4) latitude and longitude from and to."""

    rows: np.ndarray
    paths: bool = True
    limit_m: float = 500.0


@dataclass(frozen=True)
class AskNearest:
    """The nearest place on the network."""

    place: Where
    limit_m: float = 500.0


@dataclass(frozen=True)
class AskReach:
    """What can be reached within each limit; with `arriving`, what can reach the place. `shape`: "area", "lines", "none"."""

    place: Where
    limits_ms: tuple[int, ...]
    arriving: bool = False
    shape: str = "area"
    limit_m: float = 500.0


@dataclass(frozen=True)
class AskUpdate:
    """Changes to make and names of changes to end, all or none."""

    changes: tuple[Change, ...]
    drop: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskChanges:
    """Which changes hold now."""


@dataclass(frozen=True)
class AskDraw:
    """The lines of the map within a box (south, west, north, east), at most `most` edges, the main ones first."""

    box: tuple[float, float, float, float]
    most: int = 20_000


@dataclass(frozen=True)
class AskRobots:
    """Where robots are, to be drawn on the map page for `for_s` seconds; none: only tell those known."""

    robots: tuple[tuple[str, float, float], ...] = ()
    for_s: float = 60.0


Ask = AskRoute | AskTable | AskPairs | AskNearest | AskReach | AskUpdate | AskChanges | AskDraw | AskRobots


@dataclass(frozen=True)
class FoundRoute:
    """The ways, the best first, and where they begin and end on the network."""

    ask: AskRoute
    ways: tuple[Alternative, ...]
    source: Place
    target: Place


@dataclass(frozen=True)
class FoundTable:
    """Costs in milliseconds, uint32 (sources, targets); INF (2**31 - 1) without a way."""

    costs_ms: np.ndarray
    version: int


@dataclass(frozen=True)
class FoundPairs:
    """uint32 `costs_ms` (n) with INF where there is no way or no such place; the edges of way i are
    `edges[first[i]:first[i + 1]]`, int32 (on a floor its cells). Every way was found on `version` or a later one."""

    costs_ms: np.ndarray
    first: np.ndarray
    edges: np.ndarray
    version: int


@dataclass(frozen=True)
class FoundNearest:
    """The place on the network; on a floor a cell."""

    snap: Place


@dataclass(frozen=True)
class FoundReach:
    """One reach for each limit."""

    ask: AskReach
    reaches: tuple[Reach, ...]


@dataclass(frozen=True)
class FoundChanges:
    """The changes that hold, the number of edges of each, and those just made."""

    version: int
    changes: tuple[tuple[Change, int], ...]
    made: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundDraw:
    """Edges of one direction each, int32, and whether each is closed; `all_shown` false where some were left out."""

    edges: np.ndarray
    closed: np.ndarray
    all_shown: bool
    version: int


@dataclass(frozen=True)
class FoundRobots:
    """Name -> latitude, longitude and seconds since it was told."""

    robots: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Refused:
    """One question of a batch that has no answer: the code and sentence of its error."""

    code: str
    sentence: str


Found = (FoundRoute | FoundTable | FoundPairs | FoundNearest | FoundReach | FoundChanges | FoundDraw | FoundRobots
         | Refused)
