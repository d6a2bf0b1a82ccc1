"""How fast a warehouse floor answers: a field for a goal, ways down it, a closure; beside A* and the hierarchy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from ...kernels import distance_field, shortest_path
from ...kernels.distance_field import FREE, WALL
from ...models.route.floor import Floor
from ...models.route.floor_files import read_movingai, walled
from ..report import Options, Row
from .maps import member
from .peers import peers

MEMBER = "warehouse.domain/maps/warehouse_long_corridor_large.map"


def run(options: Options) -> Iterable[Row]:
    """A made warehouse of 140 x 500 cells, and that of the robot runners where the data folder has it."""
    floors = {"made warehouse 140 x 500": warehouse(140, 500)}
    path = (options.data or Path("nowhere")) / "routes" / "robot_runners_examples.zip"
    if path.is_file():
        cells = read_movingai(member(path, MEMBER))
        floors[f"warehouse of the robot runners {cells.shape[0] - 2} x {cells.shape[1] - 2}"] = cells
    for name, cells in floors.items():
        yield from measure(f"indoors {name}", cells, options)


def warehouse(height: int, width: int) -> np.ndarray:
    """Blocks of shelves of 2 x 10 cells with aisles of one cell between them, and a way of four cells around."""
    row, column = np.indices((height, width))
    shelf = (row % 3 != 0) & (column % 11 != 0)
    border = (row < 4) | (row >= height - 4) | (column < 4) | (column >= width - 4)
    return walled(~shelf | border)


def measure(case: str, cells: np.ndarray, options: Options) -> Iterable[Row]:
    """Field, ways and closure on one floor; the hierarchy and A* answer the same pairs."""
    rng = np.random.default_rng(3)
    free = np.flatnonzero(cells.reshape(-1) == FREE)
    goals, starts = rng.choice(free, 50), rng.choice(free, 500)
    field, way = np.empty_like(cells), np.empty(1 << 16, np.int32)
    fields = [_us(partial(distance_field.steps, cells, int(g), out=field)) for g in (*goals, *goals)]
    length = [distance_field.descend(field, int(s), out=way) for s in starts]
    ways = [_us(partial(distance_field.descend, field, s, out=way)) for s in starts.tolist()]
    kernel = _kernel_only(field, starts.tolist(), way)
    note = f"{len(free)} free cells, 4 neighbours"
    yield Row(case, "distance field p50", statistics.median(fields) / 1000, "ms", spread=min(fields) / 1000,
              goal="field <= 0.1 ms", met=statistics.median(fields) <= 100, note=note + "; spread is the least")
    yield Row(case, "path from a field p50", kernel, "us", goal="path from a field <= 1 us", met=kernel <= 1,
              note=f"{statistics.median(length):.0f} cells, as the worker calls the kernel; with all checks of arguments "
                   f"{statistics.median(ways):.2f} us")
    yield closure(case, cells, goals.tolist(), starts.tolist())
    yield from others(case, cells, free, field, int(goals[-1]), options)


def _kernel_only(field: np.ndarray, starts: list[int], out: np.ndarray) -> float:
    run = distance_field._descend           # the compiled function itself: what checking costs is told beside it
    return statistics.median(_us(run, field, s, out) for s in starts)


def closure(case: str, cells: np.ndarray, goals: list[int], starts: list[int]) -> Row:
    """From closing a cell to the next answer for a goal in use, on a `Floor`."""
    floor = Floor(cells)
    times, wrong, fresh = [], 0, np.empty_like(cells)
    for goal, start, cell in zip(goals, starts, starts[::-1], strict=False):
        floor.cost(start, goal)
        begin = time.perf_counter()
        floor.close([cell])
        floor.cost(start, goal)
        times.append((time.perf_counter() - begin) * 1e6)
        changed = cells.copy()
        changed.reshape(-1)[cell] = WALL
        if changed.reshape(-1)[goal] == FREE:
            distance_field.steps(changed, goal, out=fresh)
            wrong += floor.cost(start, goal) != floor._ms(floor._metres(fresh, start))
        floor.reopen([cell])
    return Row(case, "cell closed and goal asked again p50", statistics.median(times) / 1000, "ms",
               goal="closure = recompute of the fields in use", met=wrong == 0,
               note=f"one goal in use; {wrong} of {len(times)} answers differ from a field made anew")


def others(case: str, cells: np.ndarray, free: np.ndarray, field: np.ndarray, goal: int, options: Options) -> Iterable[Row]:
    """The hierarchy on the same floor, and A* of rustworkx; both must give the lengths of the field."""
    number = np.full(cells.size, -1, np.int32)
    number[free] = np.arange(len(free))
    near = [(a, number[free + step]) for step in (-cells.shape[1], -1, 1, cells.shape[1]) for a in [np.arange(len(free))]]
    tail, head = (np.concatenate([part[i] for part in near]) for i in (0, 1))
    tail, head = (v[head >= 0].astype(np.int32) for v in (tail, head))
    y, x = (v.astype(np.float64) for v in np.divmod(free, cells.shape[1]))
    weights = np.ones(len(tail), np.uint32)
    engine = shortest_path.engine(shortest_path.build(tail, head, x, y), len(free), weights)
    starts = np.random.default_rng(9).integers(0, len(free), 200)
    reached = starts[field.reshape(-1)[free[starts]] < WALL]
    pairs = np.stack([reached, np.full(len(reached), number[goal])], 1).astype(np.int32)
    own = [_us(engine.distance, s, int(number[goal])) for s in starts.tolist()]
    same = all(engine.distance(int(s), int(number[goal])) == int(field.reshape(-1)[free[s]])
               for s in reached)
    yield Row(case, "the hierarchy on the same floor, distance p50", statistics.median(own), "us", met=None,
              note="lengths agree with the field" if same else "LENGTHS DIFFER FROM THE FIELD")
    graph: dict[str, np.ndarray] = {"tail": tail, "head": head, "x": x, "y": y, "weights": weights, "random": pairs}
    graph["bound"] = np.array(0.7)             # of the straight line: A* may not overestimate on four neighbours
    with peers(graph, options.quick) as peer:
        answer = peer.ask(do="timed", peer="rustworkx", what="path", pairs="random", start=0, count=20)
    theirs = statistics.median(answer["times"]) if "times" in answer else None
    yield Row(case, "A* on the same floor, p50", theirs, "us", peer="rustworkx", peer_value=theirs, note=answer.get("error"))


def _us(work: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - begin) * 1e6
