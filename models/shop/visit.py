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
    known: list[Past] = []
    unknown: dict[str, None] = {}
    for ident, kind in reversed(events):
        row = snapshot.rows.get(ident)
        row = None if row is None or row >= len(snapshot) else row
        if row is None and (taste is None or ident not in taste.known):
            unknown[ident] = None
        elif len(known) < KEPT:
            known.append(Past(ident, kind, row))
    known.reverse()
    return Visit(known, np.zeros((len(known), 0), np.float32) if taste is None else vectors(known, taste), len(events),
                 tuple(unknown))


def vectors(events: Sequence[Past], taste: Taste) -> np.ndarray:
    """Where the items of the events lie, float32 (m, d)."""
    found: np.ndarray = taste.vectors.floats[[0 if event.row is None else event.row for event in events]]
    for at, event in enumerate(events):
        if event.row is None:
            found[at] = taste.fitted.vectors[taste.known[event.ident]]
    return found
