"""A small made town of square blocks as a map, so that tests and trials need no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..bundle import Bundle
from ..route.assemble import assemble
from ..route.network import Network, save, with_topology

SOUTH, WEST, BLOCK = 43.72, 7.41, 0.001     # degrees
ALONG_DM, UP_DM = 803, 1112                 # one block to the east, one to the north
MS_PER_DM = 80                              # 4.5 km/h


def blocks(rows: int = 20, columns: int = 20) -> Network:
    """Node r * columns + c lies c blocks east and r north of the corner; every street goes both ways at 4.5 km/h.

    A street along a row is called "Row r", one across "Column c". Edges 2i and 2i + 1 are twins, of way i.
    """
    y, x = np.divmod(np.arange(rows * columns), columns)
    at = np.arange(rows * columns).reshape(rows, columns)
    pairs = np.concatenate([np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], 1),
                            np.stack([at[:-1].ravel(), at[1:].ravel()], 1)])
    tail, head = np.stack([pairs, pairs[:, ::-1]], 1).reshape(-1, 2).T
    along = y[tail] == y[head]
    length = np.where(along, ALONG_DM, UP_DM)
    return with_topology(assemble(
        WEST + x * BLOCK, SOUTH + y * BLOCK, tail, head, length * MS_PER_DM, length, way=np.repeat(np.arange(len(pairs)), 2),
        name=np.where(along, y[tail], rows + x[tail]),
        names=(*(f"Row {r}" for r in range(rows)), *(f"Column {c}" for c in range(columns))),
        kinds=("street",), profile="made", source="models/make/blocks_map.py", attribution="made for Aisle"))


def make(folder: Path, name: str = "blocks", rows: int = 20, columns: int = 20, version: str = "1") -> Bundle:
    """The town as the bundle `folder`/name/version."""
    return save(blocks(rows, columns), folder / name / version, name, version)
