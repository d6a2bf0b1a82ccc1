"""How far every cell of a floor is from one goal, and the way down from a cell to it.

Robots share goals (stations, chargers, docks), so one field answers all who go there; a closure costs one field anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _check
from .._op import Op

FREE, WALL = 65535, 65534      # in a floor; in a field: not reached, and wall
TOLERANCE = 0                  # whole numbers: every variant gives the same bits
_steps = Op(__package__, "steps")
_octile = Op(__package__, "octile")
_descend = Op(__package__, "descend")


def steps(floor: np.ndarray, goal: int, *, out: np.ndarray) -> None:
    """Fewest steps to the goal for four neighbours: `floor` uint16 (h, w) of FREE and WALL -> `out` uint16 (h, w).

    The border of the floor must be WALL. `goal` is a free cell, row * w + column. Cells that are not reached, or are
    over 65533 steps away, stay as they are in the floor. ValueError says what does not fit.
    """
    _checked(floor, goal, out, "uint16")
    _steps(floor, goal, out)


def octile(floor: np.ndarray, goal: int, *, out: np.ndarray) -> None:
    """Shortest way to the goal for eight neighbours: `out` uint32 (h, w), straight steps * 65536 + diagonal steps.

    A diagonal step costs the root of 2 and needs both cells beside it to be free (MovingAI's rule). Pairs keep the sum
    exact. Not reached: 0xffffffff. Otherwise as `steps`; at most 65534 of each.
    """
    _checked(floor, goal, out, "uint32")
    _octile(floor, goal, out)


def descend(field: np.ndarray, start: int, *, out: np.ndarray) -> int:
    """The cells from `start` down to the goal of a field (of `steps` or `octile`), into `out` int32; how many there are.

    0 where no way leads; ValueError if `out` is too short or the start is not in the field.
    """
    kind = "uint32" if getattr(field, "dtype", None) == np.uint32 else "uint16"
    _check.array(field, "field", kind, ("h", "w"))
    _check.array(out, "out", "int32", ("cells",), writable=True)
    _check.apart(out, "out", field=field)
    _check.number(start, "start", 0, field.size - 1)
    count: int = _descend(field, start, out)
    if count < 0:
        raise ValueError(f"expected room for the whole way, got {len(out)} cells - at `out`")
    return count


def _checked(floor: np.ndarray, goal: int, out: np.ndarray, dtype: str) -> None:
    _check.array(floor, "floor", "uint16", ("h", "w"))
    _check.array(out, "out", dtype, floor.shape, writable=True)
    _check.apart(out, "out", floor=floor)
    if floor.size > 1 << 30:
        raise ValueError(f"expected at most {1 << 30} cells, got {floor.size} - at `floor`")
    height, width = floor.shape
    if (floor[::max(height - 1, 1)] == FREE).any() or (floor[:, ::max(width - 1, 1)] == FREE).any():
        raise ValueError("expected walls all around, got a free cell in the border - at `floor`")
    _check.number(goal, "goal", 0, floor.size - 1)
    if floor.flat[int(goal)] != FREE:
        raise ValueError(f"expected a free cell, got a wall at row {goal // width}, column {goal % width} - at `goal`")


def cases(rng: np.random.Generator) -> Iterator[dict]:
    """Floors with a goal: a single cell, corridors, random walls, open halls, two rooms without a door."""
    for h, w, walls in ((3, 3, 0.0), (3, 70, 0.0), (9, 9, 0.3), (17, 33, 0.2), (40, 40, 0.4), (50, 30, 0.05)):
        floor = np.full((h, w), WALL, np.uint16)
        floor[1:-1, 1:-1][rng.random((h - 2, w - 2)) >= walls] = FREE
        floor[h // 2, w // 2] = FREE
        yield {"floor": floor, "goal": int(h // 2 * w + w // 2)}
    split = np.full((7, 9), WALL, np.uint16)
    split[1:-1, 1:4] = split[1:-1, 5:-1] = FREE
    yield {"floor": split, "goal": 10}


__all__ = ["FREE", "TOLERANCE", "WALL", "cases", "descend", "octile", "steps"]
