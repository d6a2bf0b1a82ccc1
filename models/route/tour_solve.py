"""Tours through PyVRP (optional extra `routes`): anytime search, then charging and whatever else it does not know."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from .tour_check import check
from .tour_drive import drive
from .tour_insert import Tours, ends, hopeless, put, why_not
from .tour_problem import FOREVER, Plan, Problem, Robot, hold, padded, part

MISSING = ("tours need the solver PyVRP, which is not installed: pip install 'aisle[routes]' "
           "(1.2 MB itself; it draws in Matplotlib, which is never loaded)")
INFEASIBLE = 1 << 60       # PyVRP's cost of a plan that breaks a rule is larger
Clock = Callable[[], float]


def missing() -> str | None:
    """A sentence where tours cannot be solved here, else None."""
    return None if find_spec("pyvrp") else MISSING


def solve(problem: Problem, budget_s: float, *, seed: int = 0, start: Plan | None = None, cpu: bool = False) -> Plan:
    """The best plan found in `budget_s` seconds (of processor time where `cpu`); every stop served or given a reason.

    `start` is where the search begins. RuntimeError where PyVRP is missing, ValueError for data out of its range.
    The plan obeys `tour_check.check`. A budget of 0 gives a plan by insertion alone, without PyVRP.
    """
    clock = time.thread_time if cpu else time.perf_counter
    began = clock()
    given_up = {i: why for i in range(len(problem.stops)) if (why := hopeless(problem, i)) is not None}
    kept = [i for i in range(len(problem.stops)) if i not in given_up]
    rest = part(problem, kept, range(len(problem.robots)))
    orders: Sequence[Sequence[int]] = [()] * len(problem.robots)
    if start is not None:
        new = {old: i for i, old in enumerate(kept)}
        orders = [[new[s] for s in start.stops(r) if s in new] for r in range(len(problem.robots))]
    if kept and budget_s > 0:
        orders = searched(rest, began + budget_s, clock, seed, orders if start is not None else None)
    plan = settle(rest, orders)
    tours = tuple(tuple(kept[v] if v >= 0 else v for v in tour) for tour in plan.tours)
    done = Plan(tours, given_up | {kept[i]: why for i, why in plan.unserved.items()})
    faults = check(problem, done)
    assert not faults, faults    # a plan that breaks a promise must never leave here
    return done


def settle(problem: Problem, orders: Sequence[Sequence[int]]) -> Plan:
    """Feasible tours as close to `orders` as a pass of insertion makes them; charging is added on the way."""
    tours: Tours = []
    for robot, order in enumerate(orders):
        whole = drive(problem, robot, order)
        tours.append(whole if whole is not None else thinned(problem, robot, order))
    served = {v for tour in tours for v in tour}
    unserved: dict[int, str] = {}
    for stop in by_urgency(problem, [i for i in range(len(problem.stops)) if i not in served]):
        if stop not in served and stop not in unserved:
            if put(problem, tours, stop):
                served |= set(ends(problem, stop))
            else:
                reason = why_not(problem, tours, stop)
                unserved |= dict.fromkeys(ends(problem, stop), reason)
    return Plan(tuple(tours), unserved)


def by_urgency(problem: Problem, stops: Sequence[int]) -> list[int]:
    """Those that must be done first come first; then the large ones, which find room least easily."""
    size = {i: sum(problem.stops[i].unload) + sum(problem.stops[i].load) for i in stops}
    return sorted(stops, key=lambda i: (problem.stops[i].late, -size[i]))


def thinned(problem: Problem, robot: int, order: Sequence[int]) -> tuple[int, ...]:
    """The tour through as many stops of `order` as can be had in that order, taken from its beginning."""
    kept: list[int] = []
    for stop in order:
        whole = set(ends(problem, stop))
        if stop in kept:
            continue
        tried = [s for s in order if s in kept or s in whole]
        if drive(problem, robot, tried) is not None:
            kept = tried
    made = drive(problem, robot, kept)
    return made if made is not None else ()


# ---- PyVRP

def searched(problem: Problem, until: float, clock: Clock, seed: int,
             start: Sequence[Sequence[int]] | None) -> list[list[int]]:
    """The order of stops of every robot as PyVRP has it; perhaps over a bound that it does not know or could not keep."""
    if missing():
        raise RuntimeError(MISSING)
    groups = alike(problem)
    data = translated(problem, groups, optional=False)
    warm = None if start is None else solution(data, problem, groups, start)
    result = run(data, Stop(until, clock), seed, warm)
    if not result.is_feasible():    # not all stops can be served (in time): find out which may stay behind
        data = translated(problem, groups, optional=True)
        warm = solution(data, problem, groups, orders_of(problem, groups, result.best))
        result = run(data, Stop(until, clock), seed, warm)
    return orders_of(problem, groups, result.best)


def run(data: Any, stop: Stop, seed: int, warm: Any) -> Any:
    """PyVRP's result; its warning about plans that cannot be had is dropped, for they are dealt with."""
    import pyvrp
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pyvrp.exceptions.PenaltyBoundWarning)
        return pyvrp.solve(data, stop, seed=seed, collect_stats=False, initial_solution=warm)


class Stop:
    """PyVRP's stopping rule: at `until`, or half-way where nothing feasible was found by then."""

    def __init__(self, until: float, clock: Clock) -> None:
        self.until, self.clock, self.half_way = until, clock, (clock() + until) / 2

    def __call__(self, best_cost: float) -> bool:
        """True when the search shall end; PyVRP gives an infeasible best a cost beyond all others."""
        now = self.clock()
        return now >= self.until or (now >= self.half_way and best_cost >= INFEASIBLE)


def alike(problem: Problem) -> list[list[int]]:
    """Robots that differ only by name, together: the search is quicker where it need not tell them apart."""
    groups: dict[Robot, list[int]] = {}
    for i, robot in enumerate(problem.robots):
        groups.setdefault(replace(robot, name=""), []).append(i)
    return list(groups.values())


def translated(problem: Problem, groups: Sequence[Sequence[int]], optional: bool) -> Any:
    """The problem as PyVRP's; `optional` lets every stop stay behind at a price far above any detour."""
    import pyvrp
    dims, by_cost = problem.dimensions, problem.per_duration > 0
    finite = problem.cost[problem.cost < FOREVER]
    prize = {"required": False, "prize": int(finite.max(initial=1)) * 10 + 1000} if optional else {}
    clients = [pyvrp.Client(s.place, delivery=padded(s.unload, dims), pickup=padded(s.load, dims), service_duration=s.service,
                            tw_early=s.early, tw_late=bounded(s.late), **prize)
               for i, s in enumerate(problem.stops) if i not in problem.partner]
    shipments = [shipment(problem, s.pickup, s.delivery, padded(s.amount, dims), prize) for s in problem.shipments]
    places = depots(problem)
    types = []
    for group in groups:
        robot = problem.robots[group[0]]
        reach = {"max_distance": robot.first_level} if robot.reach and not problem.chargers and not by_cost else {}
        types.append(pyvrp.VehicleType(
            len(group), hold(problem, robot), places.index(robot.start), places.index(robot.home), robot.fixed_cost,
            robot.early, bounded(robot.late), unit_distance_cost=1 if by_cost else problem.per_distance, **reach))
    return pyvrp.ProblemData([pyvrp.Location(0, 0)] * len(problem.cost), clients, [pyvrp.Depot(p) for p in places], types,
                             [problem.cost if by_cost else problem.distance], [problem.duration], shipments=shipments)


def shipment(problem: Problem, pickup: int, delivery: int, amount: list[int], prize: dict[str, Any]) -> Any:
    """A pick-up and its delivery as PyVRP's."""
    import pyvrp
    a, b = problem.stops[pickup], problem.stops[delivery]
    return pyvrp.Shipment(a.place, b.place, a.early, bounded(a.late), a.service, b.early, bounded(b.late), b.service,
                          amount, **prize)


def bounded(late: int) -> int:
    """A deadline that no leg without a way can keep."""
    return min(late, FOREVER - 1)


def depots(problem: Problem) -> list[int]:
    """Every place where a tour begins or ends."""
    return sorted({place for robot in problem.robots for place in (robot.start, robot.home)})


def clients(problem: Problem) -> list[int]:
    """PyVRP's clients as our stops."""
    return [i for i in range(len(problem.stops)) if i not in problem.partner]


def orders_of(problem: Problem, groups: Sequence[Sequence[int]], best: Any) -> list[list[int]]:
    """A solution of PyVRP as the stops of every robot."""
    orders: list[list[int]] = [[] for _ in problem.robots]
    used = [0] * len(groups)
    numbers = clients(problem)
    for route in best.routes():
        kind = route.vehicle_type()
        order = orders[groups[kind][used[kind]]]
        used[kind] += 1
        for activity in route.schedule():
            if activity.is_client():
                order.append(numbers[activity.idx])
            elif activity.is_pickup():
                order.append(problem.shipments[activity.idx].pickup)
            elif activity.is_delivery():
                order.append(problem.shipments[activity.idx].delivery)
    return orders


def solution(data: Any, problem: Problem, groups: Sequence[Sequence[int]], orders: Sequence[Sequence[int]]) -> Any:
    """Orders of stops as a solution to begin with."""
    import pyvrp
    kind = pyvrp.ActivityType
    number = {stop: pyvrp.Activity(kind.CLIENT, i) for i, stop in enumerate(clients(problem))}
    for i, one in enumerate(problem.shipments):
        number |= {one.pickup: pyvrp.Activity(kind.PICKUP, i), one.delivery: pyvrp.Activity(kind.DELIVERY, i)}
    routes = []
    for type_, group in enumerate(groups):
        for robot in group:
            if len(orders[robot]):
                routes.append(pyvrp.Route(data, [number[s] for s in orders[robot]], type_))
    return pyvrp.Solution(data, routes)
