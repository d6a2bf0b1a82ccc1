"""A tour problem and its plan as plain data: stops with windows, robots with holds and batteries, and a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

FOREVER = 1 << 40        # a time that never comes
UNREACHABLE = 1 << 40    # a leg of the matrix that no road makes


@dataclass(frozen=True)
class Stop:
    """One visit. `place` is a row of the matrix; service begins within [early, late] and takes `service`.

    `unload` is what comes from the start of the tour and is left here, `load` what is taken here and brought to its end,
    an amount for each dimension of a hold; () is nothing. Ends of a shipment carry neither.
    """

    name: str
    place: int
    early: int = 0
    late: int = FOREVER
    service: int = 0
    unload: tuple[int, ...] = ()
    load: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shipment:
    """`amount` is taken at the stop `pickup` and left at the stop `delivery`, by one robot, in that order."""

    pickup: int
    delivery: int
    amount: tuple[int, ...] = ()


@dataclass(frozen=True)
class Robot:
    """A vehicle. `reach` is the distance of a full battery (0: without bound), `level` what of it there is at the start.

    `charge` is the distance won in one unit of time at a charger. `end` None: back to `start`.
    """

    name: str
    start: int
    end: int | None = None
    capacity: tuple[int, ...] = ()
    early: int = 0
    late: int = FOREVER
    reach: int = 0
    level: int | None = None
    charge: float = 1.0
    fixed_cost: int = 0

    @property
    def home(self) -> int:
        """The place where the tour ends."""
        return self.start if self.end is None else self.end

    @property
    def first_level(self) -> int:
        """Distance left in the battery at the start."""
        return self.reach if self.level is None else min(self.level, self.reach)


@dataclass(frozen=True)
class Charger:
    """A place where robots charge to the full; `setup` is the time to dock and leave. Any number at once."""

    name: str
    place: int
    setup: int = 0


@dataclass(frozen=True)
class Problem:
    """Everything a plan must obey. All numbers are whole and share one unit of time and one of distance.

    `distance` and `duration` int64 (n, n): from row to column; UNREACHABLE where there is no way. What is minimised is
    `per_distance` * distance + `per_duration` * travel time, plus the fixed cost of every robot that moves.
    """

    distance: np.ndarray
    duration: np.ndarray
    stops: tuple[Stop, ...]
    robots: tuple[Robot, ...]
    shipments: tuple[Shipment, ...] = ()
    chargers: tuple[Charger, ...] = ()
    per_distance: int = 1
    per_duration: int = 0
    second: int = 1          # units of time in a second, and of distance in a metre, for sentences; 1: bare numbers
    metre: int = 1

    def __post_init__(self) -> None:
        fault = mistake(self)
        if fault:
            raise ValueError(fault)

    @cached_property
    def cost(self) -> np.ndarray:
        """What each leg costs, int64 (n, n); UNREACHABLE stays so."""
        made = self.per_distance * self.distance + self.per_duration * self.duration
        made[(self.distance >= UNREACHABLE) | (self.duration >= UNREACHABLE)] = UNREACHABLE
        return made

    def time(self, value: int) -> str:
        """A time as people read it."""
        return f"{value / self.second:.6g} s" if self.second > 1 else str(value)

    def far(self, value: int) -> str:
        """A distance as people read it."""
        return f"{value / self.metre:.6g} m" if self.metre > 1 else str(value)

    @cached_property
    def dimensions(self) -> int:
        """How many amounts a hold has."""
        amounts = [r.capacity for r in self.robots] + [s.amount for s in self.shipments]
        amounts += [a for stop in self.stops for a in (stop.unload, stop.load)]
        return max((len(a) for a in amounts), default=0)

    @cached_property
    def partner(self) -> dict[int, tuple[Shipment, bool]]:
        """Stop -> (its shipment, True where it is the pick-up), for the ends of shipments."""
        ends = {s.pickup: (s, True) for s in self.shipments}
        return ends | {s.delivery: (s, False) for s in self.shipments}


@dataclass(frozen=True)
class Plan:
    """For every robot the stops in their order, chargers as -1 - c; `unserved`: stop -> the sentence why."""

    tours: tuple[tuple[int, ...], ...]
    unserved: dict[int, str] = field(default_factory=dict)

    def stops(self, robot: int) -> tuple[int, ...]:
        """The robot's stops without its visits to chargers."""
        return tuple(v for v in self.tours[robot] if v >= 0)


def place_of(problem: Problem, visit: int) -> int:
    """The row of the matrix of a stop or charger of a tour."""
    return problem.stops[visit].place if visit >= 0 else problem.chargers[-1 - visit].place


def padded(amount: Sequence[int], dimensions: int) -> list[int]:
    """An amount with a number for each dimension."""
    return [*amount, *[0] * (dimensions - len(amount))]


def hold(problem: Problem, robot: Robot) -> list[int]:
    """What fits into the robot in each dimension; a dimension that it does not name has no bound."""
    return [*robot.capacity, *[FOREVER] * (problem.dimensions - len(robot.capacity))]


def cost_of(problem: Problem, plan: Plan) -> int:
    """What the plan costs; stops that are not served cost nothing here."""
    total = 0
    for robot, tour in zip(problem.robots, plan.tours, strict=True):
        if tour:
            places = [robot.start, *(place_of(problem, v) for v in tour), robot.home]
            total += robot.fixed_cost + sum(int(problem.cost[a, b]) for a, b in pairwise(places))
    return total


def with_matrix(problem: Problem, distance: np.ndarray, duration: np.ndarray) -> Problem:
    """The same problem on changed roads."""
    return replace(problem, distance=distance, duration=duration)


def part(problem: Problem, stops: Sequence[int], robots: Sequence[int]) -> Problem:
    """Only those stops (with whole shipments) and robots; indices count anew in the given order."""
    new = {old: i for i, old in enumerate(stops)}
    shipments = tuple(replace(s, pickup=new[s.pickup], delivery=new[s.delivery]) for s in problem.shipments
                      if s.pickup in new and s.delivery in new)
    return replace(problem, stops=tuple(problem.stops[i] for i in stops), shipments=shipments,
                   robots=tuple(problem.robots[i] for i in robots))


def mistake(problem: Problem) -> str | None:
    """What is wrong with the data itself, in a sentence, or None."""
    n = len(problem.distance)
    for name, matrix in (("distance", problem.distance), ("duration", problem.duration)):
        if matrix.shape != (n, n) or matrix.dtype != np.int64 or (matrix.size and matrix.min() < 0):
            return f"{name}: expected int64 ({n}, {n}) from 0, got {matrix.dtype} {matrix.shape}"
    if not problem.robots:
        return "a tour needs at least one robot"
    for kind, items in (("stop", problem.stops), ("charger", problem.chargers)):
        for item in items:
            if not 0 <= item.place < n:
                return f"{kind} {item.name!r}: place {item.place} is not a row of the matrix of {n}"
    for robot in problem.robots:
        if not (0 <= robot.start < n and 0 <= robot.home < n):
            return f"robot {robot.name!r}: start or end is not a row of the matrix of {n}"
        if robot.reach < 0 or robot.charge <= 0:
            return f"robot {robot.name!r}: expected reach from 0 and charge above 0, got {robot.reach} and {robot.charge}"
    return mistaken_stop(problem)


def mistaken_stop(problem: Problem) -> str | None:
    """What is wrong with a stop or shipment, or None."""
    for stop in problem.stops:
        if stop.early > stop.late:
            return f"stop {stop.name!r}: its window ends ({stop.late}) before it begins ({stop.early})"
        if stop.service < 0 or min(*stop.unload, *stop.load, 0, 0) < 0:
            return f"stop {stop.name!r}: service and amounts must not be below 0"
    ends = [end for s in problem.shipments for end in (s.pickup, s.delivery)]
    if len(ends) != len(set(ends)) or any(not 0 <= end < len(problem.stops) for end in ends):
        return "shipments: each end must be a stop of its own"
    for end in ends:
        if any(problem.stops[end].unload) or any(problem.stops[end].load):
            return f"stop {problem.stops[end].name!r} is the end of a shipment and must not unload or load on its own"
    return None
