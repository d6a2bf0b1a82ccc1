"""A visit as the shop understands it: its newest events by row and vector, and what of them is not known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .past import BUY, Past
from .snapshot import Snapshot
from .taste import Taste

KEPT = 50                  # events that count


@dataclass(frozen=True)
class Visit:
    """`events` oldest first, at most KEPT; `vectors` float32 (m, d) of them, zeros where there is none (d 0 without a fit).
    `given` events, of which `unknown` ids (each once) are not of this shop and the last KEPT of the others count."""

    events: Sequence[Past]
    vectors: np.ndarray
    given: int
    unknown: Sequence[str]

    def hidden(self, hide: str) -> set[int]:
        """The rows that are not to be shown again: of all events ("seen"), of those bought, or of none."""
        if hide == "none":
            return set()
        return {event.row for event in self.events if event.row is not None and (hide == "seen" or event.kind == BUY)}


def understood(events: Sequence[tuple[str, str]], snapshot: Snapshot, taste: Taste | None) -> Visit:
    """The visit of (id, kind), oldest first. An item no longer sold still tells what the visitor likes."""
    rows = [snapshot.rows.get(ident) for ident, _ in events]
    there = [row for row in rows if row is not None]
    if len(there) == len(events) <= KEPT and max(there, default=-1) < len(snapshot):     # as nearly all visits are
        known = [Past(ident, kind, row) for (ident, kind), row in zip(events, rows, strict=True)]
        return Visit(known, vectors(known, taste), len(events), ())
    known = []
    unknown: dict[str, None] = {}
    for (ident, kind), row in zip(reversed(events), reversed(rows), strict=True):
        if row is not None and row >= len(snapshot):
            row = None
        if row is None and (taste is None or ident not in taste.known):
            unknown[ident] = None
        elif len(known) < KEPT:
            known.append(Past(ident, kind, row))
    known.reverse()
    return Visit(known, vectors(known, taste), len(events), tuple(unknown))


def vectors(events: Sequence[Past], taste: Taste | None) -> np.ndarray:
    """Where the items of the events lie, float32 (m, d)."""
    if taste is None:
        return np.zeros((len(events), 0), np.float32)
    rows = [event.row for event in events]
    found: np.ndarray = taste.vectors.floats[[0 if row is None else row for row in rows]]
    if None in rows:
        for at, event in enumerate(events):
            if event.row is None:
                found[at] = taste.fitted.vectors[taste.known[event.ident]]
    return found
