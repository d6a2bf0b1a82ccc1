"""The last verdicts of every station, in memory and bounded in entries, bytes and stations."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One verdict as it was answered, and a small JPEG of what was seen (empty where it was too large to keep)."""

    verdict: dict[str, Any]
    thumbnail: bytes = b""


@dataclass
class Ring:
    """One station's entries, oldest first, and the bytes of their thumbnails."""

    entries: deque[Entry] = field(default_factory=deque)
    nbytes: int = 0


class History:
    """Keeps `per_station` verdicts and `max_bytes` of thumbnails for each of at most `stations` stations."""

    def __init__(self, per_station: int = 100, max_bytes: int = 1 << 20, stations: int = 256) -> None:
        self.per_station = per_station
        self.max_bytes = max_bytes
        self.stations = stations
        self._rings: OrderedDict[str, Ring] = OrderedDict()

    def add(self, station: str, entry: Entry) -> None:
        """Remember one verdict; what is over a bound is forgotten, oldest first."""
        ring = self._rings.setdefault(station, Ring())
        self._rings.move_to_end(station)
        ring.entries.append(entry)
        ring.nbytes += len(entry.thumbnail)
        while len(ring.entries) > self.per_station or ring.nbytes > self.max_bytes:
            ring.nbytes -= len(ring.entries.popleft().thumbnail)
        while len(self._rings) > self.stations:
            self._rings.popitem(last=False)

    def recent(self, station: str, limit: int) -> list[Entry]:
        """The newest `limit` entries, newest first; none for a station that has answered nothing yet."""
        ring = self._rings.get(station)
        if ring is None:
            return []
        return [ring.entries[-1 - i] for i in range(min(limit, len(ring.entries)))]
