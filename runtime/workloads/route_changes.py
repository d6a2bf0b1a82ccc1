"""Changes of a map as data: what is asked of which edges until when, and how that is kept over a restart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Invalid

NEVER = 1 << 62
MAX_FOR_S = 10 * 366 * 86_400
BOOT = Path("/proc/sys/kernel/random/boot_id")
CLOSE, OPEN, SPEED = "close", "open", "speed"


@dataclass(frozen=True)
class Change:
    """What is asked of some edges: CLOSE, OPEN (the map's own cost) or SPEED at `kmh`. The newest change of an edge holds.

    The edges are those named, those of the ways (ids of the source), and those that touch the area of (lat, lon) corners.
    `due_ns`: on time.monotonic_ns, when it ends by itself.
    """

    name: str
    do: str
    kmh: float = 0.0
    edges: tuple[int, ...] = ()
    ways: tuple[int, ...] = ()
    area: tuple[tuple[float, float], ...] = ()
    due_ns: int = NEVER


def stored(change: Change, ident: str) -> dict[str, Any]:
    """A change as it is kept."""
    return {"name": change.name, "do": change.do, "kmh": change.kmh, "edges": change.edges, "ways": change.ways,
            "area": change.area, "due_ns": change.due_ns, "map": ident}


def revived(item: dict[str, Any], record: dict[str, Any]) -> Change:
    """A kept change on this machine's clock as it runs now.

    Within one boot the monotonic clock goes on. After another boot the time that was left then counts, less what the
    clock on the wall says has passed, where that is not less than nothing: a closure rather stays too long.
    """
    due = item["due_ns"]
    if due < NEVER and record["boot"] != boot_id():
        passed = max(0, time.time_ns() - record["wall_ns"])
        due = time.monotonic_ns() + max(0, due - record["mono_ns"] - passed)
    return Change(item["name"], item["do"], item["kmh"], tuple(item["edges"]), tuple(item["ways"]),
                  tuple((lat, lon) for lat, lon in item["area"]), due)


def due_in(seconds: float) -> int:
    """The moment so many seconds from now; Invalid for what is no time."""
    if not 0 < seconds <= MAX_FOR_S:
        raise Invalid(f"for_s: expected more than 0 and at most {MAX_FOR_S} seconds, got {seconds:g}; leave it out for a "
                      "change without an end")
    return time.monotonic_ns() + round(seconds * 1e9)


def clocks() -> dict[str, Any]:
    """The labels of time that a record needs to be understood after a restart."""
    return {"boot": boot_id(), "mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}


def boot_id() -> str:
    """Differs after each boot of the machine; "" where the system has none."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""
