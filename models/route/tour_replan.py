"""A plan meets a closed road: change it as little as is needed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from .tour_problem import Plan, Problem, cost_of, part, place_of
from .tour_solve import missing, settle, solve

SLACK = 0.05     # a plan that costs this much more than the best found is taken where it moves fewer stops


@dataclass(frozen=True)
class Replanned:
    """The new plan, the robots whose roads changed, and the share of stops that keep their robot and their order."""

    plan: Plan
    touched: tuple[int, ...]
    in_place: float


def replan(before: Problem, old: Plan, now: Problem, budget_s: float, *, slack: float = SLACK, seed: int = 0) -> Replanned:
    """`old`, made for `before`, for the roads of `now`; both problems have the same stops and robots.

    Tours over unchanged legs stay as they are. Of the others the plan that moves the fewest stops is taken among those
    within `slack` of the cheapest one that `budget_s` seconds find; one that serves more stops is better in any case.
    """
    touched = tuple(r for r in range(len(now.robots)) if changed(before, now, r, old.tours[r]))
    if not touched and not old.unserved:
        return Replanned(old, (), 1.0)
    careful = settle(now, [old.stops(r) for r in range(len(now.robots))])
    plans = [careful]
    if budget_s > 0 and missing() is None:      # what waits for a place may go to any robot
        plans.append(searched(now, careful, range(len(now.robots)) if old.unserved else touched, budget_s, seed))
    most = min(len(plan.unserved) for plan in plans)
    plans = [plan for plan in plans if len(plan.unserved) == most]
    bound = (1 + slack) * min(cost_of(now, plan) for plan in plans)
    chosen = max((p for p in plans if cost_of(now, p) <= bound), key=lambda p: (in_place(old, p), -cost_of(now, p)))
    return Replanned(chosen, touched, in_place(old, chosen))


def changed(before: Problem, now: Problem, robot: int, tour: Sequence[int]) -> bool:
    """Whether any leg of the tour takes or costs something else than it did."""
    machine = now.robots[robot]
    places = [machine.start, *(place_of(now, v) for v in tour), machine.home] if tour else []
    rows, columns = places[:-1], places[1:]
    return any(bool((old[rows, columns] != new[rows, columns]).any())
               for old, new in ((before.distance, now.distance), (before.duration, now.duration)))


def searched(problem: Problem, plan: Plan, robots: Sequence[int], budget_s: float, seed: int) -> Plan:
    """Search anew among the touched tours only; the rest of the plan stands."""
    stops = [s for r in robots for s in plan.stops(r)] + list(plan.unserved)
    new = {old: i for i, old in enumerate(stops)}
    start = Plan(tuple(tuple(new[s] for s in plan.stops(r)) for r in robots), {new[s]: w for s, w in plan.unserved.items()})
    found = solve(part(problem, stops, robots), budget_s, seed=seed, start=start)
    tours = list(plan.tours)
    for robot, tour in zip(robots, found.tours, strict=True):
        tours[robot] = tuple(stops[v] if v >= 0 else v for v in tour)
    return Plan(tuple(tours), {stops[s]: why for s, why in found.unserved.items()})


def in_place(old: Plan, new: Plan) -> float:
    """Share of the stops served before that keep their robot and their order among those that stay; 1.0 for none."""
    total = sum(len(old.stops(r)) for r in range(len(old.tours)))
    kept = 0
    for robot in range(len(old.tours)):
        at = {stop: i for i, stop in enumerate(new.stops(robot))}
        kept += longest_rise([at[stop] for stop in old.stops(robot) if stop in at])
    return kept / total if total else 1.0


def longest_rise(numbers: Sequence[int]) -> int:
    """Length of the longest rising subsequence."""
    tails: list[int] = []
    for number in numbers:
        i = bisect_left(tails, number)
        tails[i:i + 1] = [number]
    return len(tails)
