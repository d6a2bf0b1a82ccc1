"""Reads plain lists of edges: a CSV of edges and one of nodes beside it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .assemble import assemble
from .network import INF, Network

NEEDED = ("from", "to", "length_m")


class ListError(ValueError):
    """A list of edges that cannot be read; the sentence says in which line and why."""


def build_list(path: Path, speed_kmh: float = 5.0) -> Network:
    """The network of EDGES.csv (from, to, length_m, and maybe seconds, oneway) and EDGES.nodes.csv (id, lat, lon or id, x, y).

    Names of nodes are texts. A row without `seconds` is travelled at `speed_kmh`; with `oneway` 1 or yes only from -> to.
    Edges with an unknown node are dropped and counted; ListError for a number that is none.
    """
    nodes_path = path.with_suffix(".nodes.csv")
    if not nodes_path.is_file():
        raise ListError(f"expected the places of the nodes in {nodes_path} (id, lat, lon or id, x, y), found no such file")
    rows = list(_rows(nodes_path))
    plane = "x" in (rows[0][1] if rows else {})
    keys = ("id", "x", "y") if plane else ("id", "lon", "lat")
    index = {row.get("id", ""): i for i, (_, row) in enumerate(rows)}
    x, y = (np.array([_number(nodes_path, line, row, key, -1e9, 1e9) for line, row in rows]) for key in keys[1:])
    edges, unknown = [], 0
    for line, row in _rows(path):
        if any(key not in row for key in NEEDED):
            raise ListError(f"{path}: expected columns {', '.join(NEEDED)}, got {', '.join(row)}")
        if row["from"] not in index or row["to"] not in index:
            unknown += 1
            continue
        length = _number(path, line, row, "length_m", 0, 1e6)
        ms = _number(path, line, row, "seconds", 0, 2e6) * 1000 if row.get("seconds") else length * 3600 / speed_kmh
        ends = index[row["from"]], index[row["to"]]
        for a, b in (ends,) if row.get("oneway", "").lower() in ("1", "yes", "true") else (ends, ends[::-1]):
            edges.append((a, b, min(round(ms), INF - 1), round(length * 10), line))
    if not edges:
        raise ListError(f"{path} holds no edge between known nodes ({unknown} rows name unknown ones)")
    tail, head, cost, dm, line_of = (np.array(column) for column in zip(*edges, strict=True))
    return assemble(x, y, tail.astype(np.int32), head.astype(np.int32), cost, dm, way=line_of,
                    frame="plane" if plane else "wgs84", source=path.name, report={
                        "nodes": len(x), "edges": len(edges), "dropped": {"edge: unknown node": unknown} if unknown else {}})


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in (reader := csv.DictReader(file)):
                yield reader.line_num, {str(k).strip(): str(v or "").strip() for k, v in row.items()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise ListError(f"{path} is not CSV: {error}") from error


def _number(path: Path, line: int, row: dict[str, str], key: str, low: float, high: float) -> float:
    try:
        value = float(row[key])
    except (KeyError, ValueError):
        value = np.nan
    if not low <= value <= high:
        raise ListError(f"{path} line {line}: expected a number from {low:g} to {high:g}, got {row.get(key)!r} - at `{key}`")
    return value
