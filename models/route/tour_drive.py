"""Can a robot serve these stops in this order, and where must it charge on the way? Quick, for trying many orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .tour_check import after, charging_time, hold_fault
from .tour_problem import UNREACHABLE, Charger, Problem, Robot, padded

LABELS = 12      # ways kept to be at one stop: earlier with less in the battery, or later with more


class Way(NamedTuple):
    """One way to be at a place, ready to leave."""

    time: int
    level: int
    tour: tuple[int, ...]


def drive(problem: Problem, robot: int, stops: Sequence[int]) -> tuple[int, ...] | None:
    """The tour through `stops` in that order, with the chargers it needs (-1 - c), or None where it cannot be done."""
    if not carries(problem, robot, stops):
        return None
    if problem.robots[robot].reach:
        return driven_on_battery(problem, problem.robots[robot], stops)
    return tuple(stops) if in_time(problem, problem.robots[robot], stops) else None


def carries(problem: Problem, robot: int, stops: Sequence[int]) -> bool:
    """Whether the hold is never over its bound and shipments are picked up before they are delivered."""
    if not problem.dimensions and not problem.shipments:
        return True
    dims, aboard = problem.dimensions, set()
    unloads = [padded(problem.stops[s].unload, dims) for s in stops]
    carried = [sum(column) for column in zip(*unloads, strict=True)] or [0] * dims
    if hold_fault(problem, robot, carried, ""):
        return False
    for stop in stops:
        end = problem.partner.get(stop)
        if end is not None:
            if end[1]:
                aboard.add(end[0].delivery)
            elif stop not in aboard:
                return False
            else:
                aboard.remove(stop)
        carried = after(problem, stop, carried)
        if hold_fault(problem, robot, carried, ""):
            return False
    return not aboard


def in_time(problem: Problem, machine: Robot, stops: Sequence[int]) -> bool:
    """Whether every window and the shift are kept, driving as early as possible."""
    durations, here, now = problem.duration, machine.start, machine.early
    for index in stops:
        stop = problem.stops[index]
        now = max(now + int(durations[here, stop.place]), stop.early)
        if now > stop.late or now >= UNREACHABLE:
            return False
        now, here = now + stop.service, stop.place
    return now + int(durations[here, machine.home]) <= min(machine.late, UNREACHABLE - 1)


def driven_on_battery(problem: Problem, machine: Robot, stops: Sequence[int]) -> tuple[int, ...] | None:
    """As `drive`, by labels: at each leg go on, or charge to the full at any charger first."""
    ways, here = [Way(machine.early, machine.first_level, ())], machine.start
    for index in stops:
        stop = problem.stops[index]
        reached = []
        for way in legs(problem, machine, ways, here, stop.place):
            begin = max(way.time, stop.early)
            if begin <= stop.late:
                reached.append(Way(begin + stop.service, way.level, (*way.tour, index)))
        ways, here = best(reached), stop.place
        if not ways:
            return None
    home = [way for way in legs(problem, machine, ways, here, machine.home) if way.time <= machine.late]
    return min(home).tour if home else None


def legs(problem: Problem, machine: Robot, ways: Sequence[Way], here: int, there: int) -> list[Way]:
    """Every way to go from `here` to `there`: straight, or over one charger, or over two."""
    made = [way for one in ways if (way := hop(problem, one, here, there)) is not None]
    stations = [(i, c) for i, c in enumerate(problem.chargers)
                if problem.distance[c.place, there] <= machine.reach or len(problem.chargers) > 1]
    for i, charger in stations:
        full = [charged(machine, way, i, charger) for one in ways
                if (way := hop(problem, one, here, charger.place)) is not None]
        for way in best(full):
            if (on := hop(problem, way, charger.place, there)) is not None:
                made.append(on)
                continue
            for j, other in stations:    # too far from one charger: over a second
                between = hop(problem, way, charger.place, other.place) if j != i else None
                if between is not None:
                    on = hop(problem, charged(machine, between, j, other), other.place, there)
                    made += [on] if on is not None else []
    return made


def hop(problem: Problem, way: Way, here: int, there: int) -> Way | None:
    """One leg, where the battery allows."""
    leg, took = int(problem.distance[here, there]), int(problem.duration[here, there])
    if leg > way.level or took >= UNREACHABLE:
        return None
    return Way(way.time + took, way.level - leg, way.tour)


def charged(machine: Robot, way: Way, index: int, charger: Charger) -> Way:
    """After charging to the full."""
    time = way.time + charger.setup + charging_time(machine.reach - way.level, machine.charge)
    return Way(time, machine.reach, (*way.tour, -1 - index))


def best(ways: Sequence[Way]) -> list[Way]:
    """The ways that no other beats in both time and battery, the earliest first, at most LABELS."""
    kept: list[Way] = []
    for way in sorted(ways, key=lambda w: (w.time, -w.level)):
        if not kept or way.level > kept[-1].level:
            kept.append(way)
    return kept[:LABELS]
