"""The independent checker: walks every tour of a plan by itself and says in sentences what is broken."""

from __future__ import annotations

from dataclasses import dataclass

from .tour_problem import FOREVER, UNREACHABLE, Plan, Problem, padded


@dataclass(frozen=True)
class Moment:
    """One visit as it will be: times, what is aboard on leaving, distance left in the battery (None without bound)."""

    visit: int               # stop, or -1 - charger
    arrive: int
    begin: int
    leave: int
    load: tuple[int, ...]
    level: int | None


@dataclass(frozen=True)
class Walked:
    """One robot's tour as it will be; `faults` are sentences, none for a feasible tour."""

    moments: tuple[Moment, ...]
    back: int                # arrival at the end
    distance: int
    faults: tuple[str, ...]


def check(problem: Problem, plan: Plan) -> list[str]:
    """Every fault of a plan, as sentences; [] for a feasible one. Unserved stops with a reason are no fault."""
    faults = [] if len(plan.tours) == len(problem.robots) else [
        f"the plan has {len(plan.tours)} tours for {len(problem.robots)} robots"]
    seen: dict[int, int] = {}
    for tour in plan.tours:
        for stop in tour:
            if stop >= len(problem.stops) or stop < -len(problem.chargers):
                return [*faults, f"visit {stop} is neither a stop nor a charger"]
            if stop >= 0:
                seen[stop] = seen.get(stop, 0) + 1
    for i, stop_ in enumerate(problem.stops):
        times = seen.get(i, 0)
        if times > 1:
            faults.append(f"stop {stop_.name!r} is visited {times} times")
        elif times == (i in plan.unserved):
            faults.append(f"stop {stop_.name!r} is {'both served and given up' if times else 'forgotten'}")
    if not faults:
        for robot in range(len(problem.robots)):
            faults += walk(problem, robot, plan.tours[robot]).faults
    return faults


def walk(problem: Problem, robot: int, tour: tuple[int, ...]) -> Walked:
    """Drive one tour as early as possible; windows, hold, battery, order of shipments and the shift are looked at."""
    machine, dims = problem.robots[robot], problem.dimensions
    who = f"robot {machine.name!r}"
    faults: list[str] = order_faults(problem, tour, who)
    carried = [0] * dims
    for visit in tour:
        if visit >= 0:
            carried = [a + b for a, b in zip(carried, padded(problem.stops[visit].unload, dims), strict=True)]
    faults += hold_fault(problem, robot, carried, "at its start")
    here, now, level, total = machine.start, machine.early, machine.first_level, 0
    moments: list[Moment] = []
    for visit in tour:
        item = problem.stops[visit] if visit >= 0 else problem.chargers[-1 - visit]
        leg, took = int(problem.distance[here, item.place]), int(problem.duration[here, item.place])
        if leg >= UNREACHABLE or took >= UNREACHABLE:
            faults.append(f"{who}: there is no way to {item.name!r} from the place before it")
            break
        total, arrive, level, here = total + leg, now + took, level - leg, item.place
        if machine.reach and level < 0:
            faults.append(f"{who}: its battery is empty {problem.far(-level)} before {item.name!r}")
        if visit >= 0:
            stop = problem.stops[visit]
            begin = max(arrive, stop.early)
            if begin > stop.late:
                faults.append(f"{who} reaches stop {stop.name!r} at {problem.time(begin)}, "
                              f"{problem.time(begin - stop.late)} after its window ends")
            now = begin + stop.service
            carried = after(problem, visit, carried)
            faults += hold_fault(problem, robot, carried, f"after stop {stop.name!r}")
        else:
            begin = arrive + problem.chargers[-1 - visit].setup
            now = begin + charging_time(machine.reach - level, machine.charge)
            level = machine.reach
        moments.append(Moment(visit, arrive, begin, now, tuple(carried), level if machine.reach else None))
    back = now
    if tour:
        back, faults = homeward(problem, robot, here, now, level, faults)
        total += min(int(problem.distance[here, machine.home]), UNREACHABLE)
    return Walked(tuple(moments), back, total, tuple(faults))


def homeward(problem: Problem, robot: int, here: int, now: int, level: int,
             faults: list[str]) -> tuple[int, list[str]]:
    """The last leg: (arrival at the end, all faults)."""
    machine = problem.robots[robot]
    leg, back = int(problem.distance[here, machine.home]), now + int(problem.duration[here, machine.home])
    if leg >= UNREACHABLE or back >= UNREACHABLE:
        return back, [*faults, f"robot {machine.name!r}: there is no way to the end of its tour"]
    if machine.reach and level < leg:
        faults = [*faults, f"robot {machine.name!r}: its battery is empty {problem.far(leg - level)} before the end "
                           "of its tour"]
    if back > machine.late:
        faults = [*faults, f"robot {machine.name!r} is back at {problem.time(back)}, "
                           f"{problem.time(back - machine.late)} after its shift ends"]
    return back, faults


def charging_time(missing: int, rate: float) -> int:
    """Whole units of time to win back `missing` distance, rounded up."""
    return int(-(-missing // rate))


def after(problem: Problem, visit: int, carried: list[int]) -> list[int]:
    """What is aboard after a stop."""
    stop, dims = problem.stops[visit], problem.dimensions
    change = [b - a for a, b in zip(padded(stop.unload, dims), padded(stop.load, dims), strict=True)]
    end = problem.partner.get(visit)
    if end is not None:
        sign = 1 if end[1] else -1
        change = [c + sign * a for c, a in zip(change, padded(end[0].amount, dims), strict=True)]
    return [a + b for a, b in zip(carried, change, strict=True)]


def hold_fault(problem: Problem, robot: int, carried: list[int], where: str) -> list[str]:
    """A sentence where the robot carries more than it can."""
    machine = problem.robots[robot]
    bounds = [*machine.capacity, *[FOREVER] * (len(carried) - len(machine.capacity))]
    over = [i for i, (amount, most) in enumerate(zip(carried, bounds, strict=False)) if amount > most]
    return [f"robot {machine.name!r} carries {carried[i]} {where} and holds {bounds[i]}" for i in over[:1]]


def order_faults(problem: Problem, tour: tuple[int, ...], who: str) -> list[str]:
    """Shipments that this tour tears apart or delivers before it picks them up."""
    at, faults = {visit: i for i, visit in enumerate(tour)}, []
    for shipment in problem.shipments:
        taken, left = at.get(shipment.pickup), at.get(shipment.delivery)
        if (taken is None) != (left is None):
            faults.append(f"{who} serves only one end of the shipment from {problem.stops[shipment.pickup].name!r} to "
                          f"{problem.stops[shipment.delivery].name!r}")
        elif taken is not None and left is not None and left < taken:
            faults.append(f"{who} visits {problem.stops[shipment.delivery].name!r} before it picks up at "
                          f"{problem.stops[shipment.pickup].name!r}")
    return faults
