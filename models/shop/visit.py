"""A visit as the shop understands it: its newest events by row and vector, and what of them is not known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .reasons import BUY, Past
from .snapshot import Snapshot
from .taste import Taste

KEPT = 50                  # events that count


@dataclass(frozen=True)
class Visit:
    """`events` oldest first, at most KEPT; `vectors` float32 (m, d) of those that have one. `given` events, of which
    `unknown` ids (each once) are not of this shop and the last KEPT of the others count."""

    events: Sequence[Past]
    vectors: np.ndarray
    given: int
    unknown: Sequence[str]

    def hidden(self, hide: str) -> set[int]:
        """The rows that are not to be shown again: of all events ("seen"), of those bought, or of none."""
        some = [e for e in self.events if hide == "seen" or (hide == "bought" and e.kind == BUY)]
        return {e.row for e in some if e.row is not None}


def understood(events: Sequence[tuple[str, str]], snapshot: Snapshot, taste: Taste | None) -> Visit:
    """The visit of (id, kind), oldest first. An item no longer sold still tells what the visitor likes."""
    known: list[Past] = []
    unknown: dict[str, None] = {}
    for ident, kind in reversed(events):
        row = snapshot.rows.get(ident)
        row = row if row is not None and row < len(snapshot) else None
        vector = None if taste is None else taste.vector(ident, row)
        if row is None and vector is None:
            unknown[ident] = None
        elif len(known) < KEPT:
            known.append(Past(ident, kind, row, ident if row is None else snapshot.items[row].title, vector))
    known.reverse()
    found = [event.vector for event in known if event.vector is not None]
    depth = 0 if taste is None else taste.fitted.depth
    vectors = np.stack(found) if found else np.zeros((0, depth), np.float32)
    return Visit(known, vectors, len(events), tuple(unknown))
