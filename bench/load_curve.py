"""Offered load against what still comes in time: a sweep over our server and others, and a picture of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import peers
from .client import drive, request_bytes
from .open_loop import drive_open
from .report import Options, Row

LOADS = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
COLOURS = ("#0b6e4f", "#8c2f39", "#1f4e8c", "#b8741a", "#6b4c9a", "#3d8b8b", "#777777")
WIDE, HIGH, LEFT, TOP, GAP = 420, 260, 56, 40, 90
SLOWEST = 20.0              # seconds at the top of the picture of p99


@dataclass(frozen=True)
class Point:
    """One load: offered, and answered within the deadline, both over the server's capacity; p99 of answers in s."""

    load: float
    goodput: float
    p99: float


def sweep(port: int, request: bytes, timed: bytes, deadline: float, seconds: float, name: str) -> list[Point]:
    """The points of one server. Its capacity is what it answers to `request`, unhurried; `timed` is what is offered."""
    capacity = drive(port, request, min(2.0, seconds), 16).rate
    found = []
    for load in tqdm(LOADS, desc=name, disable=None):
        seen = drive_open(port, timed, load * capacity, seconds)
        took = seen.took[seen.status == 200]
        found.append(Point(load, seen.goodput(deadline) / capacity, float(np.percentile(took, 99)) if len(took) else math.nan))
    return found


def curves(options: Options, ours: tuple[int, bytes, bytes], files: Path, deadline: float,
           body: bytes) -> tuple[dict[str, list[Point]], list[Row]]:
    """The sweeps by name, ours first, and a row for each peer. `ours` is port, request, and request with a deadline."""
    seconds = 1.0 if options.quick else 2.5
    found = {"Aisle": sweep(*ours, deadline, seconds, "Aisle")}
    rows: list[Row] = []
    for key, peer in peers.PEERS.items():
        missing = peers.prepare(key, options.quick)
        if missing or options.quick:
            rows.append(Row("curve", "goodput over capacity at 150 %", None, peer=peer.name,
                            note=missing or "left out of a quick run"))
            continue
        try:
            with peers.running(key, files) as server:
                asked = request_bytes("/net", body, {"Content-Type": "application/octet-stream"})
                found[peer.name] = sweep(server.port, asked, asked, deadline, seconds, peer.name)
        except RuntimeError as error:
            rows.append(Row("curve", "goodput over capacity at 150 %", None, peer=peer.name, note=str(error)))
    return found, [*rows_of(found, deadline), *rows]


def rows_of(found: Mapping[str, Sequence[Point]], deadline: float) -> Iterable[Row]:
    """Ours beside every peer at 150 % of each one's own capacity."""
    mine = next(p for p in found["Aisle"] if p.load == 1.5)
    for name, points in found.items():
        if name == "Aisle":
            continue
        theirs = next(p for p in points if p.load == 1.5)
        yield Row("curve", "goodput over capacity at 150 %", mine.goodput, "", peer=name, peer_value=theirs.goodput,
                  ratio=mine.goodput / max(theirs.goodput, 1e-3),
                  note=f"answers within {deadline * 1e3:.0f} ms; p99 of answers {mine.p99 * 1e3:.0f} ms, theirs "
                       f"{theirs.p99 * 1e3:.0f} ms")


def picture(found: Mapping[str, Sequence[Point]], deadline: float) -> str:
    """Two panels as SVG: goodput over capacity, and p99 on a logarithmic axis, against the offered load."""
    least = min(deadline / 4, 0.01)

    def up(seconds: float) -> float:
        return math.log(max(seconds, least) / least) / math.log(SLOWEST / least)
    good = [(name, [(p.load, p.goodput) for p in points]) for name, points in found.items()]
    late = [(name, [(p.load, min(1.0, up(p.p99))) for p in points if not math.isnan(p.p99)]) for name, points in found.items()]
    ticks = [(up(s), f"{s * 1e3:g} ms" if s < 1 else f"{s:g} s") for s in (0.01, 0.1, 1.0, 10.0)]
    parts = [panel(LEFT, "answered in time, share of capacity", good, [(v / 4, f"{v / 4:g}") for v in range(5)]),
             panel(LEFT + WIDE + GAP, "p99 of answers", late, [*ticks, (up(deadline), "deadline")])]
    for i, name in enumerate(found):
        x, y = LEFT + i % 4 * 220, TOP + HIGH + 56 + i // 4 * 20
        parts.append(f'<rect x="{x}" y="{y - 9}" width="14" height="4" fill="{COLOURS[i % len(COLOURS)]}"/>'
                     f'<text x="{x + 20}" y="{y}">{name}</text>')
    width, height = LEFT + 2 * WIDE + GAP + 20, TOP + HIGH + 90
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
            f'<rect width="{width}" height="{height}" fill="white"/>{"".join(parts)}</svg>\n')


def panel(left: float, title: str, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]],
          ticks: Sequence[tuple[float, str]]) -> str:
    """One panel; the values of `lines` and `ticks` are shares of its height."""
    def at(load: float, value: float) -> str:
        return f"{left + load / LOADS[-1] * WIDE:.1f},{TOP + HIGH * (1 - value):.1f}"
    made = [f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>']
    for value, text in ticks:
        y = TOP + HIGH * (1 - value)
        made.append(f'<path d="M{left} {y:.1f}h{WIDE}" stroke="#ddd"/><text x="{left - 6}" y="{y + 4:.1f}" '
                    f'text-anchor="end" font-size="10">{text}</text>')
    for load in (0.5, 1.0, 1.5, 2.0, 3.0):
        x = left + load / LOADS[-1] * WIDE
        made.append(f'<text x="{x:.1f}" y="{TOP + HIGH + 16}" text-anchor="middle" font-size="10">{load:.0%}</text>')
    made.append(f'<text x="{left + WIDE / 2}" y="{TOP + HIGH + 34}" text-anchor="middle">offered load over capacity</text>')
    for i, (_, points) in enumerate(lines):
        path = " ".join(at(*point) for point in points)
        made.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[i % len(COLOURS)]}" '
                    f'stroke-width="{3 if i == 0 else 1.5}"/>')
    return "".join(made)
