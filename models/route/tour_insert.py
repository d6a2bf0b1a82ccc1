"""A stop into a running plan, at its cheapest place and in milliseconds; and why a stop fits nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .tour_check import walk
from .tour_drive import drive
from .tour_problem import FOREVER, UNREACHABLE, Plan, Problem, cost_of, place_of

COMPARED = 8     # feasible places whose cost with charging is compared

Tours = list[tuple[int, ...]]


def insert(problem: Problem, plan: Plan, stop: int) -> Plan:
    """The plan with `stop` (and the other end of its shipment) at its cheapest feasible place, nothing else moved.

    Where it fits nowhere, it stands in `unserved` with the constraint that keeps it out.
    """
    tours = list(plan.tours)
    unserved = {s: why for s, why in plan.unserved.items() if s not in ends(problem, stop)}
    if put(problem, tours, stop):
        return Plan(tuple(tours), unserved)
    reason = why_not(problem, tours, stop)
    return Plan(tuple(tours), unserved | dict.fromkeys(ends(problem, stop), reason))


def ends(problem: Problem, stop: int) -> tuple[int, ...]:
    """The stop, or both ends of its shipment, the pick-up first."""
    partner = problem.partner.get(stop)
    return (stop,) if partner is None else (partner[0].pickup, partner[0].delivery)


def put(problem: Problem, tours: Tours, stop: int) -> bool:
    """Insert into the cheapest tour that can take it; False and nothing changed where none can."""
    found = []
    for _, robot, order in sorted(candidates(problem, tours, ends(problem, stop))):
        tour = drive(problem, robot, order)
        if tour is None:
            continue
        if not problem.chargers:
            tours[robot] = tour
            return True
        found.append((price(problem, robot, tour) - price(problem, robot, tours[robot]), robot, tour))
        if len(found) == COMPARED:
            break
    if found:
        _, robot, tour = min(found)
        tours[robot] = tour
    return bool(found)


def price(problem: Problem, robot: int, tour: tuple[int, ...]) -> int:
    """What one robot's tour costs."""
    alone: Tours = [()] * len(problem.robots)
    alone[robot] = tour
    return cost_of(problem, Plan(tuple(alone)))


def candidates(problem: Problem, tours: Sequence[tuple[int, ...]],
               new: tuple[int, ...]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(added cost without charging, robot, order of stops) for every place; one empty robot of each kind is tried."""
    tried = set()
    for robot, tour in enumerate(tours):
        kind = replace(problem.robots[robot], name="")
        if not tour and kind in tried:
            continue
        tried |= set() if tour else {kind}
        order = tuple(v for v in tour if v >= 0)
        fixed = 0 if tour else problem.robots[robot].fixed_cost
        places = np.array([problem.robots[robot].start, *(place_of(problem, v) for v in order), problem.robots[robot].home])
        if len(new) == 1:
            detour = around(problem, places, problem.stops[new[0]].place)
            for i in np.flatnonzero(detour < UNREACHABLE // 2).tolist():
                yield int(detour[i]) + fixed, robot, (*order[:i], new[0], *order[i:])
        else:
            yield from pairs(problem, places, order, new, robot, fixed)


def around(problem: Problem, places: np.ndarray, place: int) -> np.ndarray:
    """Cost of going over `place` between each two neighbours of `places`."""
    a, b = places[:-1], places[1:]
    cost = problem.cost
    return np.asarray(cost[a, place] + cost[place, b] - cost[a, b])


def pairs(problem: Problem, places: np.ndarray, order: tuple[int, ...], new: tuple[int, ...], robot: int,
          fixed: int) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Every pair of places for a pick-up and its delivery."""
    first, second = (problem.stops[s].place for s in new)
    take, leave = around(problem, places, first), around(problem, places, second)
    cost = problem.cost
    a, b = places[:-1], places[1:]
    both = cost[a, first] + cost[first, second] + cost[second, b] - cost[a, b]
    for i in range(len(order) + 1):
        for j in range(i, len(order) + 1):
            added = int(both[i] if i == j else take[i] + leave[j])
            if added < UNREACHABLE // 2:
                yield added + fixed, robot, (*order[:i], new[0], *order[i:j], new[1], *order[j:])


def why_not(problem: Problem, tours: Sequence[tuple[int, ...]], stop: int) -> str:
    """Which constraint keeps a stop out, in a sentence: the first one whose absence lets it in."""
    names = " and ".join(repr(problem.stops[end].name) for end in ends(problem, stop))
    alone = hopeless(problem, stop)
    if alone is not None:
        return alone
    reliefs = (
        ("their holds are full", relaxed(problem, capacity=())),
        ("their batteries would not last", relaxed(problem, reach=0)),
        ("its window is too early or too narrow beside the other stops", opened(problem, stop)),
        ("their shifts are too short", relaxed(problem, late=FOREVER)),
    )
    for reason, relief in reliefs:
        if put(relief, list(tours), stop):
            return f"stop {names} fits into no tour: {reason}; add a robot or give up another stop"
    return f"stop {names} fits into no tour: the windows of the other stops leave no time for it; add a robot"


def hopeless(problem: Problem, stop: int) -> str | None:
    """Why no robot could serve this stop even with nothing else to do, or None."""
    new = ends(problem, stop)
    tours = []
    for robot in range(len(problem.robots)):
        if drive(problem, robot, new) is not None:
            return None
        tours.append(walk(problem, robot, new).faults)
    name = " and ".join(repr(problem.stops[end].name) for end in new)
    reason = min(tours, key=len)[0]
    least = "" if len(problem.robots) == 1 else f", and none of the {len(problem.robots)} robots can do better"
    return f"stop {name} cannot be served even alone: {reason}{least}"


def relaxed(problem: Problem, **change: object) -> Problem:
    """The problem with every robot freed of one constraint."""
    return replace(problem, robots=tuple(replace(r, **change) for r in problem.robots))  # type: ignore[arg-type]


def opened(problem: Problem, stop: int) -> Problem:
    """The problem with the window of that stop (and the other end of its shipment) wide open."""
    open_ends = ends(problem, stop)
    return replace(problem, stops=tuple(replace(s, early=0, late=FOREVER) if i in open_ends else s
                                        for i, s in enumerate(problem.stops)))
