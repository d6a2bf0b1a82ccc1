"""The plain version of `distance_field`: a heap, and neighbours looked up one by one."""

from __future__ import annotations

import heapq

import numpy as np

FREE = 65535
NONE = 0xFFFFFFFF
ROOT = 2.0 ** 0.5
HOLLOW = "expected a field that falls to its goal, got a hollow - at `field`; make it with steps or octile"


def steps(floor: np.ndarray, goal: int, out: np.ndarray) -> None:
    out[:] = floor
    flat, w, ring, away = out.reshape(-1), floor.shape[1], [goal], 0
    flat[goal] = 0
    while ring and away < 65533:
        away += 1
        near = {n for cell in ring for n in (cell - w, cell - 1, cell + 1, cell + w) if flat[n] == FREE}
        flat[list(near)] = away
        ring = sorted(near)


def octile(floor: np.ndarray, goal: int, out: np.ndarray) -> None:
    out[:] = NONE
    free, flat, w = floor.reshape(-1) == FREE, out.reshape(-1), floor.shape[1]
    best, done = {goal: 0.0}, set()
    heap = [(0.0, 0, 0, goal)]
    moves = [(s, 1, 0) for s in (-w, -1, 1, w)] + [(s, 0, 1) for s in (-w - 1, -w + 1, w - 1, w + 1)]
    while heap:
        _, straight, diagonal, cell = heapq.heappop(heap)
        if cell in done:
            continue
        done.add(cell)
        flat[cell] = straight << 16 | diagonal
        for step, a, b in moves:
            near = cell + step
            column = 1 if step in (1, -w + 1, w + 1) else -1
            if not free[near] or (b and not (free[cell + column] and free[near - column])):
                continue
            s, d = straight + a, diagonal + b
            if s + d * ROOT < best.get(near, np.inf) - 1e-9 and s < 65535 and d < 65535:
                best[near] = s + d * ROOT
                heapq.heappush(heap, (best[near], s, d, near))


def descend(field: np.ndarray, start: int, out: np.ndarray) -> int:
    flat, w, cell, count = field.reshape(-1), field.shape[1], start, 0
    octile_field = field.dtype == np.uint32
    if flat[cell] == NONE or (not octile_field and flat[cell] >= 65534):
        return 0
    if not octile_field and flat[cell] >= len(out):
        return -1
    last = -w
    while True:
        if count == len(out):
            return -1
        out[count] = cell
        count += 1
        here = int(flat[cell])
        if here == 0:
            return count
        if not octile_field:
            last = next((s for s in (last, -w, -1, 1, w) if flat[cell + s] == here - 1), 0)
            if not last:
                raise ValueError(HOLLOW)
            cell += last
        else:
            cell = _lower(flat, w, cell, here)


def _lower(flat: np.ndarray, w: int, cell: int, here: int) -> int:
    """The neighbour that is exactly one step nearer; straight steps first."""
    for step in (-w, -1, 1, w):
        if here >> 16 and flat[cell + step] == here - 65536:
            return cell + step
    for step, column in ((-w - 1, -1), (-w + 1, 1), (w - 1, -1), (w + 1, 1)):
        sides = flat[cell + column], flat[cell + step - column]
        if here & 0xFFFF and flat[cell + step] == here - 1 and NONE not in sides:
            return cell + step
    raise ValueError(HOLLOW)
