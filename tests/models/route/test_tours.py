"""Tours: what the checker sees, what insertion, search and re-planning make, and why a stop is given up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aisle.models.route import tour_solve
from aisle.models.route.tour_check import check, walk
from aisle.models.route.tour_drive import drive
from aisle.models.route.tour_insert import insert
from aisle.models.route.tour_problem import UNREACHABLE, Charger, Plan, Problem, Robot, Shipment, Stop, cost_of, with_matrix
from aisle.models.route.tour_replan import in_place, replan
from aisle.models.route.tour_solve import solve


def field(seed: int, n: int, size: int = 1000) -> np.ndarray:
    """Distances between n places in a square, rounded up so that no detour is shorter."""
    points = np.random.default_rng(seed).uniform(0, size, (n, 2))
    return np.ceil(np.hypot(*(points[:, None] - points[None]).T)).astype(np.int64).T.copy()


def line(n: int, step: int = 10) -> np.ndarray:
    """Places on a line, `step` apart."""
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(np.int64) * step


def city(seed: int, n: int, robots: int, **robot: object) -> Problem:
    """n - 1 parcels from one depot."""
    rng, distance = np.random.default_rng(seed), field(seed, n)
    stops = tuple(Stop(f"s{i}", i, unload=(int(rng.integers(1, 9)),), service=20) for i in range(1, n))
    machines = tuple(Robot(f"r{i}", 0, **{"capacity": (60,), **robot}) for i in range(robots))
    return Problem(distance, distance.copy(), stops, machines)


# ---- the checker

@pytest.mark.parametrize(("change", "tour", "words"), [
    ({}, (0, 1, 2), None),
    ({"late": 25}, (0, 1, 2), "stop 'b' at 30, 5 after its window ends"),
    ({"unload": (9,)}, (0, 1, 2), "carries 9 at its start and holds 5"),
    ({"load": (6,)}, (0, 1, 2), "carries 6 after stop 'b' and holds 5"),
    ({}, (0, 0, 1, 2), "'a' is visited 2 times"),
    ({}, (0, 1), "'c' is forgotten"),
    ({}, (0, 1, 2, 7), "visit 7 is neither a stop nor a charger"),
])
def test_the_checker_sees_what_is_broken(change: dict, tour: tuple, words: str | None) -> None:
    stops = (Stop("a", 1), replace(Stop("b", 3), **change), Stop("c", 2))
    problem = Problem(line(4), line(4), stops, (Robot("r", 0, capacity=(5,)),))
    faults = check(problem, Plan((tour,)))
    assert (faults == []) if words is None else (words in " ".join(faults)), faults


def test_the_checker_counts_shift_battery_and_ways() -> None:
    stops = (Stop("a", 1), Stop("b", 3))
    for robot, words in ((Robot("r", 0, late=59), "back at 60, 1 after its shift ends"),
                         (Robot("r", 0, reach=50), "battery is empty 10 before the end"),
                         (Robot("r", 0, reach=60, level=20), "battery is empty 10 before 'b'")):
        problem = Problem(line(4), line(4), stops, (robot,))
        assert words in " ".join(check(problem, Plan(((0, 1),)))), words
    torn = line(4)
    torn[1, 3] = UNREACHABLE
    problem = Problem(torn, line(4), stops, (Robot("r", 0),))
    assert "no way to 'b'" in check(problem, Plan(((0, 1),)))[0]
    assert check(problem, Plan(((1, 0),))) == []


def test_the_checker_holds_shipments_together() -> None:
    stops = (Stop("take", 1), Stop("leave", 3))
    problem = Problem(line(4), line(4), stops, (Robot("r", 0, capacity=(5,)), Robot("q", 0, capacity=(2,))),
                      shipments=(Shipment(0, 1, (4,)),))
    assert check(problem, Plan(((0, 1), ()))) == []
    assert "before it picks up" in check(problem, Plan(((1, 0), ())))[0]
    assert "only one end" in check(problem, Plan(((0,), (1,))))[0]
    assert "carries 4 after stop 'take' and holds 2" in check(problem, Plan(((), (0, 1))))[0]


@pytest.mark.parametrize(("change", "words"), [
    ({"stops": (Stop("a", 9),)}, "place 9 is not a row"),
    ({"stops": (Stop("a", 1, early=5, late=4),)}, "ends (4) before it begins (5)"),
    ({"stops": (Stop("a", 1, unload=(-1,)),)}, "must not be below 0"),
    ({"robots": ()}, "at least one robot"),
    ({"distance": np.zeros((3, 4), np.int64)}, "expected int64"),
    ({"shipments": (Shipment(0, 0),)}, "a stop of its own"),
])
def test_wrong_data_is_refused(change: dict, words: str) -> None:
    good = {"distance": line(4), "duration": line(4), "stops": (Stop("a", 1),), "robots": (Robot("r", 0),)}
    with pytest.raises(ValueError) as said:
        Problem(**{**good, **change})
    assert words in str(said.value)


# ---- driving and charging

def test_charging_stops_are_put_where_they_are_needed() -> None:
    problem = Problem(line(11), line(11), (Stop("far", 10), Stop("near", 2)), (Robot("r", 0, reach=120, charge=2.0),),
                      chargers=(Charger("dock", 5, setup=3),))
    tour = drive(problem, 0, (0, 1))
    assert tour is not None and check(problem, Plan((tour,))) == [] and -1 in tour
    assert drive(replace(problem, chargers=()), 0, (0, 1)) is None
    moments = walk(problem, 0, tour).moments
    dock = next(m for m in moments if m.visit == -1)
    assert (dock.arrive, dock.begin, dock.leave, dock.level) == (50, 53, 53 + 50 // 2, 120)


def test_battery_plans_obey_the_checker() -> None:
    charged = 0
    for seed in range(5):
        problem = replace(city(seed, 30, 8, reach=2200, charge=20.0), chargers=(Charger("dock", 0), Charger("mid", 7, 5)))
        plan = solve(problem, 0.1, seed=seed, cpu=True)      # a busy machine must not change what is found
        assert check(problem, plan) == [] and not plan.unserved
        charged += any(v < 0 for tour in plan.tours for v in tour)
    assert charged       # not every plan needs to, with eight robots


# ---- searching

def test_search_beats_insertion_and_serves_all() -> None:
    problem = city(3, 60, 8)
    quick, better = solve(problem, 0), solve(problem, 0.5)
    assert check(problem, quick) == [] and check(problem, better) == []
    assert not quick.unserved and not better.unserved
    assert cost_of(problem, better) <= cost_of(problem, quick)


def test_pick_up_and_delivery_with_windows() -> None:
    rng, distance = np.random.default_rng(5), field(5, 21)
    stops = tuple(Stop(f"s{i}", i, early=int(rng.integers(0, 500)), late=6000, service=10) for i in range(1, 21))
    shipments = tuple(Shipment(i, i + 1, (3,)) for i in range(0, 20, 2))
    problem = Problem(distance, distance.copy(), stops, tuple(Robot(f"r{i}", 0, capacity=(6,)) for i in range(4)), shipments)
    for budget in (0, 0.3):
        plan = solve(problem, budget)
        assert check(problem, plan) == [] and not plan.unserved


def test_durations_can_be_what_is_minimised() -> None:
    slow = line(4)
    slow[0, 1] = 500      # jammed, but no longer
    problem = Problem(line(4), slow, (Stop("a", 1), Stop("b", 2)), (Robot("r", 0),), per_distance=0, per_duration=1)
    plan = solve(problem, 0.05)
    assert cost_of(problem, plan) == 40 and check(problem, plan) == []


@pytest.mark.parametrize(("stops", "robot", "words"), [
    ((Stop("x", 3, late=5),), {}, "'x' cannot be served even alone: robot 'r' reaches stop 'x' at 30, 25 after its window"),
    ((Stop("x", 3, unload=(9,)),), {}, "'x' cannot be served even alone: robot 'r' carries 9"),
    ((Stop("x", 3),), {"reach": 40}, "battery is empty 20 before the end"),
    ((Stop("x", 3),), {"late": 50}, "after its shift ends"),
    ((Stop("a", 1, unload=(4,)), Stop("x", 3, unload=(4,))), {}, "their holds are full"),
    ((Stop("a", 1, late=10), Stop("x", 3, late=35, service=5), Stop("b", 2, late=20, service=50)), {}, "window"),
])
def test_what_cannot_be_served_says_why(stops: tuple, robot: dict, words: str) -> None:
    problem = Problem(line(4), line(4), stops, (Robot("r", 0, **{"capacity": (5,), **robot}),))
    for budget in (0, 0.1):
        plan = solve(problem, budget)
        assert check(problem, plan) == [] and len(plan.unserved) == 1
        assert words in next(iter(plan.unserved.values())), plan.unserved


def test_the_missing_solver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour_solve, "find_spec", lambda name: None)
    problem = city(1, 10, 3)
    with pytest.raises(RuntimeError, match=r"pip install 'aisle\[routes\]'"):
        solve(problem, 0.1)
    assert check(problem, solve(problem, 0)) == []     # insertion needs no solver


# ---- changing

def test_a_new_stop_moves_nothing_else() -> None:
    problem = city(4, 60, 8)
    plan = solve(problem, 0.3)
    gone = max(plan.tours, key=len)[1]
    less = Plan(tuple(tuple(v for v in tour if v != gone) for tour in plan.tours), {gone: "not asked for yet"})
    more = insert(problem, less, gone)
    assert check(problem, more) == [] and not more.unserved and in_place(less, more) == 1.0
    assert cost_of(problem, more) <= cost_of(problem, plan)


def test_a_closed_road_changes_only_what_it_must() -> None:
    problem = city(6, 50, 6)
    plan = solve(problem, 0.5)
    robot = max(range(6), key=lambda r: len(plan.tours[r]))
    a, b = (problem.stops[s].place for s in plan.stops(robot)[:2])
    longer = problem.distance.copy()
    longer[a, b] = longer[b, a] = longer[a, b] * 4
    now = with_matrix(problem, longer, longer.copy())
    done = replan(problem, plan, now, 0.3)
    assert check(now, done.plan) == [] and not done.plan.unserved and done.touched == (robot,)
    assert all(done.plan.tours[r] == plan.tours[r] for r in range(6) if r != robot)
    assert done.in_place >= 0.8
    assert replan(problem, plan, problem, 0.1).plan is plan


def test_stops_cut_off_are_named() -> None:
    problem = city(7, 20, 4)
    plan = solve(problem, 0.2)
    island = problem.distance.copy()
    island[:, 5] = island[5, :] = UNREACHABLE
    island[5, 5] = 0
    done = replan(problem, plan, with_matrix(problem, island, island.copy()), 0.2)
    assert list(done.plan.unserved) == [4] and "there is no way to 's5'" in done.plan.unserved[4]
    assert check(with_matrix(problem, island, island.copy()), done.plan) == []


def test_in_place_counts_robots_and_order() -> None:
    old = Plan(((0, 1, 2), (3,)))
    assert in_place(old, old) == 1.0
    assert in_place(old, Plan(((1, 0, 2), (3,)))) == 0.75
    assert in_place(old, Plan(((0, 1, 2, 3), ()))) == 0.75
    assert in_place(Plan(((),)), Plan(((5,),))) == 1.0
