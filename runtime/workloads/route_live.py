"""A map as it is right now: closures and speeds with names and ends, kept over a restart, visible to the next query."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.route.floor_map import FloorFace, FloorMap
from ...models.route.network import INF
from ...models.route.router import Router
from ..errors import AisleError, Failed, Invalid, TooLarge
from ..journal_lines import Lines
from .route_changes import CLOSE, NEVER, OPEN, SPEED, Change, clocks, revived, stored
from .route_work import SHARED, Pace, shared_by

log = logging.getLogger("aisle.routes")

MAX_CHANGES = 10_000
MAX_EDGES = 2_000_000       # of all changes together
COMPACT = 512               # records beyond twice the changes that hold, before the file is written anew
Outcome = tuple[int, tuple[str, ...]] | AisleError      # version and names of the changes, or what was wrong


class LiveMap:
    """One map with its changes. All methods are safe from any thread; queries first call `now()`."""

    def __init__(self, router: Router | FloorMap, ident: str) -> None:
        self.router = router
        self.pace = Pace()
        self.ident = ident                            # of the map's files: numbers of edges mean nothing on another map
        self.changes: dict[str, Change] = {}          # the newest last
        self._edges: dict[str, np.ndarray] = {}
        self._on: dict[int, list[str]] = {}           # edge -> names of its changes, the newest last
        self._due = NEVER
        self._count = 0
        self._held = 0                                # edges of all changes
        self._records = 0
        self._lines: Lines | None = None
        self._writing = False
        self._lock = threading.Lock()

    def keep_in(self, path: Path) -> None:
        """Take up the changes kept in a file, and keep all later ones there. OSError as the disk says it."""
        self._lines = Lines(path)
        with self._lock, self._lines.locked():
            self._catch_up()
            self._compact()

    def now(self) -> Router | FloorMap:
        """The router with every change that holds at this moment and none that has ended."""
        if self._writing:        # its writer has just looked, and must not be waited for: it waits for the disk
            return self.router
        if time.monotonic_ns() >= self._due or (self._lines is not None and self._lines.stale()):
            with self._lock:
                self._catch_up()
        return self.router

    def update(self, changes: Sequence[Change], drop: Sequence[str] = ()) -> tuple[int, tuple[str, ...]]:
        """Drop changes by name and add others, all or none, on the disk before any query sees it.

        The new version, and the names of the changes added (those without one get one).

        Invalid for an unknown name, edge or way, or an area without edges; TooLarge; Failed where the disk fails.
        """
        outcome = self.update_all([(changes, drop)])[0]
        if isinstance(outcome, AisleError):
            raise outcome
        return outcome

    def update_all(self, updates: Sequence[tuple[Sequence[Change], Sequence[str]]], threads: int = 1) -> list[Outcome]:
        """Several updates with one flush of the disk; each is all or none by itself, and has its own outcome.

        Where they change a large part of the map, so many threads share the work.
        """
        with self._lock, self._lines.locked() if self._lines else nullcontext():
            self._catch_up()
            touched: set[int] = set()
            records: list[dict[str, Any]] = []
            outcomes: list[Outcome] = []
            for changes, drop in updates:
                try:
                    names, edges = self._noted(changes, drop, records)
                    touched |= edges
                    outcomes.append((0, names))
                except AisleError as error:
                    outcomes.append(error)
            failed = self._keep(records)
            if failed is not None:
                return [one if isinstance(one, AisleError) else failed for one in outcomes]
            version = self._apply(touched, threads)
            self._compact()
            return [one if isinstance(one, AisleError) else (version, one[1]) for one in outcomes]

    def closers(self, edges: Iterable[int]) -> list[Change]:
        """The changes that close any of these edges, each once."""
        with self._lock:
            names = {self._on[e][-1] for e in edges if self._on.get(e)}
            return [c for c in self.changes.values() if c.name in names and c.do == CLOSE]

    def closed(self) -> np.ndarray:
        """Every edge that a change closes, int32, rising."""
        with self._lock:
            return np.array(sorted(e for e, names in self._on.items() if self.changes[names[-1]].do == CLOSE), np.int32)

    def count(self, name: str) -> int:
        """How many edges a change holds."""
        edges = self._edges.get(name)
        return 0 if edges is None else len(edges)

    # ---- under the lock

    def _fresh_name(self, offset: int) -> str:
        number = self._count + offset + 1
        while f"change-{number}" in self.changes:
            number += 1
        return f"change-{number}"

    def _noted(self, changes: Sequence[Change], drop: Sequence[str],
               records: list[dict[str, Any]]) -> tuple[tuple[str, ...], set[int]]:
        """Check one update and note it, not yet for any query: the names of its changes, and the edges it touches."""
        changes = [c if c.name else replace(c, name=self._fresh_name(i)) for i, c in enumerate(changes)]
        unknown = [name for name in drop if name not in self.changes]
        if unknown:
            have = ", ".join(list(self.changes)[-10:]) or "none"
            raise Invalid(f"no change is called {unknown[0][:80]!r}; those that hold are {have}")
        names = tuple(c.name for c in changes)
        if len(set(names)) < len(names):
            raise Invalid("two changes of one update have the same name; expected a name of its own for each")
        edges = [self._resolve(change) for change in changes]
        self._bounded(changes, edges)
        records.append({"add": [stored(c, self.ident) for c in changes], "drop": list(drop), **clocks()})
        return names, self._put(changes, edges, drop)

    def _resolve(self, change: Change) -> np.ndarray:
        """The edges of a change, int32, each once."""
        network = self.router.network
        wrong = [e for e in change.edges if not 0 <= e < network.edges]
        if wrong:
            raise Invalid(f"edge {wrong[0]} is unknown: the map has the edges 0 to {network.edges - 1}")
        if isinstance(network, FloorFace) and (change.ways or change.do == SPEED):
            raise Invalid("a floor has no ways and no speeds: close or open areas or cells (edges) of it")
        found = [np.array(change.edges, np.int32)]
        if change.ways:
            ways = np.asarray(network.arrays["edge_way"])
            wanted = np.array(change.ways, np.int64)
            unknown = wanted[~np.isin(wanted, ways)]
            if len(unknown):
                raise Invalid(f"way {unknown[0]} is unknown: no edge of the map comes from it")
            found.append(np.flatnonzero(np.isin(ways, wanted)).astype(np.int32))
        if change.area:
            found.append(area_edges(self.router, change.area))
        return np.unique(np.concatenate(found))

    def _bounded(self, changes: Sequence[Change], edges: Sequence[np.ndarray]) -> None:
        fresh = sum(c.name not in self.changes for c in changes)
        total = sum(map(len, edges)) + self._held
        if len(self.changes) + fresh > MAX_CHANGES or total > MAX_EDGES:
            raise TooLarge(f"the map has {len(self.changes)} changes and holds at most {MAX_CHANGES} with {MAX_EDGES} edges "
                           "together; drop some by name, or give changes an end (for_s)")

    def _keep(self, records: Sequence[dict[str, Any]]) -> Failed | None:
        """Write records down; where the disk fails, everything is again as the file has it."""
        if self._lines is None or not records:
            return None
        self._writing = True
        try:
            self._lines.append(records)
            self._records += len(records)
        except OSError as error:
            self._lines.forget()
            self._catch_up()
            return Failed(f"the change was not made, because it could not be kept: {error.strerror}; free some space on the "
                          "disk of the server and send it again")
        finally:
            self._writing = False
        return None

    def _put(self, changes: Sequence[Change], edges: Sequence[np.ndarray], drop: Sequence[str]) -> set[int]:
        """Note the changes; the edges whose cost has to be applied."""
        touched: set[int] = set()
        for name in [*drop, *(c.name for c in changes if c.name in self.changes)]:
            touched |= self._forget(name)
        for change, some in zip(changes, edges, strict=True):
            self.changes[change.name], self._edges[change.name] = change, some
            self._count += 1
            self._held += len(some)
            for edge in some.tolist():
                self._on.setdefault(edge, []).append(change.name)
            touched.update(some.tolist())
        self._due = min((c.due_ns for c in self.changes.values()), default=NEVER)
        return touched

    def _apply(self, edges: Iterable[int], threads: int = 1) -> int:
        """Make it so for all queries, in one step."""
        run = shared_by(threads) if threads > 1 and self.router.network.edges >= SHARED else None
        return self.router.apply({edge: self._cost(edge) for edge in edges}, run)

    def _forget(self, name: str) -> set[int]:
        """Take a change away; the edges that it held."""
        if self.changes.pop(name, None) is None:
            return set()
        held = set(self._edges.pop(name).tolist())
        self._held -= len(held)
        for edge in held:
            self._on[edge].remove(name)
            if not self._on[edge]:
                del self._on[edge]
        return held

    def _cost(self, edge: int) -> int | None:
        names = self._on.get(edge)
        change = self.changes[names[-1]] if names else None
        if change is None or change.do == OPEN:
            return None
        if change.do == CLOSE:
            return INF
        length = int(self.router.network.arrays["edge_length"][edge])      # in dm: dm * 360 / (km/h) = ms
        return min(round(length * 360 / change.kmh), INF - 1)

    def _catch_up(self) -> None:
        """Read what others wrote, and end what is due."""
        touched: set[int] = set()
        if self._lines is not None and self._lines.stale():
            replaced, records = self._lines.new()
            if replaced:
                self._records = 0
                touched |= self._put([], [], list(self.changes))
            self._records += len(records)
            for record in records:
                touched |= self._replay(record)
        due = [c.name for c in self.changes.values() if c.due_ns <= time.monotonic_ns()]
        touched |= self._put([], [], due)
        if touched:
            self._apply(touched)

    def _replay(self, record: dict[str, Any]) -> set[int]:
        changes, edges = [], []
        for item in record["add"]:
            change = revived(item, record)
            try:
                if change.edges and item["map"] != self.ident:
                    raise Invalid("it names edges of another version of the map")
                edges.append(self._resolve(change))
                changes.append(change)
            except Invalid as error:
                log.warning("change %r is no longer in force: %s", change.name, error.sentence)
        return self._put(changes, edges, [name for name in record["drop"] if name in self.changes])

    def _compact(self) -> None:
        """Write the file anew where it is mostly history; no query waits for that."""
        lines = self._lines
        if lines is None or self._records <= 2 * len(self.changes) + COMPACT:
            return
        self._writing = True
        try:
            lines.rewrite([{"add": [stored(c, self.ident)], "drop": [], **clocks()} for c in self.changes.values()])
            self._records = len(self.changes)
        except OSError as error:
            log.error("%s could not be written anew: %s", lines.path, error.strerror)
        finally:
            self._writing = False


def area_edges(router: Router | FloorMap, area: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The edges that touch an area; Invalid where it has no edges or no corners."""
    try:
        edges = router.inside(area)
    except ValueError as error:
        raise Invalid(f"area: {error}") from None
    if not len(edges):
        raise Invalid("the area touches no edge of the map; expected corners as latitude and longitude"
                      + (", and these look exchanged" if all(router.swapped(*corner) for corner in area) else ""))
    return edges
