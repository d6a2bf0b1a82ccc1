"""What visitors did, kept in memory for as long as their visit lasts: bounded, by a name that only this process can tell."""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from .recommend_asks import Event

KEPT = 50                  # events of one visitor


@dataclass
class Visit:
    """Bytes rather than texts, so that they can be overwritten. `events` holds KEPT at most, oldest first."""

    events: list[bytearray] = field(default_factory=list)
    last_ns: int = 0

    def wipe(self) -> None:
        """Overwrite everything."""
        for one in self.events:
            one[:] = bytes(len(one))
        self.events.clear()


class Visits:
    """At most `most` visits; one that is idle for `idle_s` ends. Used on the event loop only."""

    where = "memory"

    def __init__(self, most: int, idle_s: float) -> None:
        self.most, self.idle_s = most, idle_s
        self._visits: OrderedDict[bytes, Visit] = OrderedDict()     # the longest idle first
        self._salt = os.urandom(32)

    def __len__(self) -> int:
        return len(self._visits)

    def read(self, visitor: str) -> tuple[Event, ...]:
        """The events kept, oldest first."""
        self.sweep()
        visit = self._visits.get(self._key(visitor))
        return () if visit is None else tuple(unpacked(one) for one in visit.events)

    def add(self, visitor: str, events: Sequence[Event]) -> None:
        """Keep more events. Where there are too many visits, the one that is idle longest ends."""
        self.sweep()
        key = self._key(visitor)
        visit = self._visits.setdefault(key, Visit())
        self._visits.move_to_end(key)
        visit.last_ns = time.monotonic_ns()
        visit.events.extend(packed(event) for event in events[-KEPT:])
        for one in visit.events[:-KEPT]:
            one[:] = bytes(len(one))
        del visit.events[:-KEPT]
        while len(self._visits) > self.most:
            self._visits.popitem(last=False)[1].wipe()

    def erase(self, visitor: str) -> tuple[Event, ...]:
        """End a visit; what was kept."""
        found = self.read(visitor)
        visit = self._visits.pop(self._key(visitor), None)
        if visit is not None:
            visit.wipe()
        return found

    def sweep(self) -> float | None:
        """End what is idle too long; seconds until the next one may be, None where there is none."""
        now, idle_ns = time.monotonic_ns(), int(self.idle_s * 1e9)
        while self._visits:
            key, oldest = next(iter(self._visits.items()))
            left = oldest.last_ns + idle_ns - now
            if left > 0:
                return left / 1e9
            del self._visits[key]
            oldest.wipe()
        return None

    def _key(self, visitor: str) -> bytes:
        return hashlib.blake2b(visitor.encode(), key=self._salt, digest_size=16).digest()


def packed(event: Event) -> bytearray:
    """An event without its time: the order tells it."""
    return bytearray(f"{event.kind} {event.item}".encode())


def unpacked(data: bytearray) -> Event:
    """The event again."""
    kind, _, item = bytes(data).decode().partition(" ")
    return Event(item, kind)
