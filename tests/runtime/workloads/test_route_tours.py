"""Tours on a live map: planned by a process of its own, changed in place, refused with reasons."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from aisle.models.bundle_file import read_bundle
from aisle.models.make import blocks_map
from aisle.models.route import tour_solve
from aisle.models.route.tour_check import check
from aisle.runtime.app import allowed
from aisle.runtime.codec import Payload
from aisle.runtime.codec.route import answer, request
from aisle.runtime.config import RepositoryConfig
from aisle.runtime.deadline import within
from aisle.runtime.errors import AisleError, Busy, Forbidden, Invalid, Late, NotFound, Unsupported
from aisle.runtime.workloads import route, route_tours
from aisle.runtime.workloads.route import Asset, Verdict


class Engine:
    """What a workload gets, with threads of the loop's own."""

    threads, updates = 2, True

    def __init__(self, asset: Asset) -> None:
        self.asset = asset

    async def offload(self, fn: Any, *args: Any) -> Any:
        return await asyncio.to_thread(fn, *args)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blocks_map.make(tmp_path_factory.mktemp("map")).root


@pytest.fixture
def engine(folder: Path) -> Engine:
    return Engine(route.load(read_bundle(folder)))


async def verdict(engine: Engine, told: Any) -> Verdict:
    return await route.run(request(Payload(orjson.dumps(told)), lambda data: np.empty(0)), engine)


async def ask(engine: Engine, told: Any) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(answer(await verdict(engine, told))))


def tour(n: int = 12, **more: Any) -> dict[str, Any]:
    """Parcels to n places, two robots of ten each."""
    stops = [{"name": f"p{i}", "at": {"node": 17 * i % 400}, "service_s": 30, "unload": 1} for i in range(1, n + 1)]
    robots = [{"name": name, "start": {"node": 0}, "capacity": 10} for name in ("anna", "bert")]
    return {"type": "tour", "stops": stops, "robots": robots, "budget_s": 0.3, **more}


async def test_a_tour_is_planned_told_and_feasible(engine: Engine) -> None:
    done = await verdict(engine, tour(lines=True))
    found = done.found[0]
    assert check(found.problem, found.plan) == [] and not found.plan.unserved
    told = answer(done)
    visits = [v["stop"] for t in told["tours"] for v in t["visits"]]
    assert sorted(visits) == sorted(f"p{i}" for i in range(1, 13)) and told["unserved"] == []
    first = told["tours"][0]["visits"]
    assert all(a["leave_s"] <= b["arrive_s"] for a, b in pairwise(first))
    assert first[0]["leave_s"] - first[0]["begin_s"] == 30
    drive_s = sum(t["back_s"] for t in told["tours"]) - 12 * 30
    assert told["cost_s"] == pytest.approx(drive_s) and told["tours"][0]["geometry"]["type"] == "LineString"


async def test_a_stop_is_inserted_and_another_removed(engine: Engine) -> None:
    first = await ask(engine, tour())
    second = await ask(engine, {"type": "replan", "plan": first["plan"], "remove": ["p3"],
                                "add": [{"name": "late", "at": {"lat": 43.7303, "lon": 7.4155}, "unload": 1}]})
    before = [[v["stop"] for v in t["visits"]] for t in first["tours"]]
    after = [[v["stop"] for v in t["visits"]] for t in second["tours"]]
    assert [[s for s in t if s != "p3"] for t in before] == [[s for s in t if s != "late"] for t in after]
    assert sum("late" in t for t in after) == 1 and second["plan"] != first["plan"]
    third = await ask(engine, {"type": "replan", "plan": second["plan"], "budget_s": 0.3})
    assert third["in_place"] == 1.0


async def test_a_closed_road_changes_the_plan(engine: Engine) -> None:
    first = await verdict(engine, tour(lines=True))
    edge = int(first.found[0].ways[0][0])
    await ask(engine, {"type": "update", "changes": [{"do": "close", "edges": [edge, edge ^ 1]}]})
    again = await verdict(engine, {"type": "replan", "plan": first.found[0].ident, "budget_s": 0.3, "lines": True})
    found = again.found[0]
    assert check(found.problem, found.plan) == [] and not found.plan.unserved and found.in_place > 0.5
    assert edge not in np.concatenate(found.ways)


async def test_changes_can_be_switched_off(engine: Engine) -> None:
    engine.updates = False
    alone = {"type": "update", "changes": [{"do": "close", "edges": [1]}]}
    for told in (alone, {"batch": [{"type": "update", "drop": ["x"]}]}):
        if "batch" in told:
            assert (await ask(engine, told))["batch"][0]["code"] == "forbidden"
            continue
        with pytest.raises(Forbidden, match=r"switched off on this server; repository\.updates"):
            await verdict(engine, told)
    asked = route.from_tensors({"CLOSE": np.array([1], np.int32), "CHANGE": np.array([b"x"], object)}, lambda data: np.empty(0))
    with pytest.raises(Forbidden):
        await route.run(asked, engine)
    assert not engine.asset.live.changes and (await ask(engine, {"from": {"node": 1}, "to": {"node": 2}}))["cost_s"] > 0


@pytest.mark.parametrize(("control", "updates", "may"), [(True, "control", True), (False, "control", False),
                                                         (False, "yes", True), (True, "no", False)])
def test_who_forbids_control_forbids_changes_unless_they_are_allowed(control: bool, updates: str, may: bool) -> None:
    assert allowed(RepositoryConfig(control=control, updates=updates)) == may


async def test_batteries_count_metres(engine: Engine) -> None:
    told = tour(6, chargers=[{"name": "dock", "at": {"node": 10}, "setup_s": 10}])
    for robot in told["robots"]:
        robot |= {"reach_m": 2000, "charge_m_per_s": 5}
    done = await verdict(engine, told)
    assert check(done.found[0].problem, done.found[0].plan) == []
    visits = [v for t in answer(done)["tours"] for v in t["visits"]]
    assert any(v.get("charger") == "dock" for v in visits) and all(0 <= v["level_m"] <= 2000 for v in visits)


async def test_metres_of_hundreds_of_places_are_those_of_their_ways(engine: Engine) -> None:
    told = tour(320, budget_s=0)
    for robot in told["robots"]:
        robot |= {"reach_m": 50_000, "capacity": 200}
    done = await verdict(engine, told)
    problem, router = done.found[0].problem, engine.asset.live.router
    assert check(problem, done.found[0].plan) == [] and not done.found[0].plan.unserved
    places = engine.asset.planner.plans[done.found[0].ident].places
    for i, j in np.random.default_rng(2).integers(0, len(problem.distance), (60, 2)).tolist():
        way = router.route(places[i], places[j])
        assert problem.duration[i, j] == way.cost_ms and abs(problem.distance[i, j] - way.length_m * 10) <= 1


async def test_shipments_and_windows(engine: Engine) -> None:
    sent = [{"name": f"s{i}", "from": {"at": {"node": 10 * i}}, "to": {"at": {"node": 399 - 10 * i}, "window_s": [0, 9000]},
             "amount": 2} for i in range(1, 5)]
    robots = [{"name": "anna", "start": {"node": 0}, "capacity": 4}]
    done = await verdict(engine, {"type": "tour", "shipments": sent, "robots": robots, "budget_s": 0.3})
    assert check(done.found[0].problem, done.found[0].plan) == [] and not done.found[0].plan.unserved


@pytest.mark.parametrize(("change", "words"), [
    ({"window_s": [0, 60]}, "'p1' cannot be served even alone: robot 'anna' reaches stop 'p1' at"),
    ({"unload": 11}, "carries 11 at its start and holds 10"),
])
async def test_what_cannot_be_served_is_named(engine: Engine, change: dict[str, Any], words: str) -> None:
    told = tour(4)
    told["stops"][0] |= change
    got = await ask(engine, told)
    assert [u["stop"] for u in got["unserved"]] == ["p1"] and words in got["unserved"][0]["why"], got["unserved"]


async def test_a_stop_cut_off_by_a_closure_is_named(engine: Engine) -> None:
    shut = [{"name": "wall", "do": "close", "area": [{"lat": 43.7195, "lon": 7.4145}, {"lat": 43.7195, "lon": 7.4155},
                                                     {"lat": 43.75, "lon": 7.4155}, {"lat": 43.75, "lon": 7.4145}]}]
    await ask(engine, {"type": "update", "changes": shut})
    got = await ask(engine, {**tour(2), "budget_s": 0})
    assert [u["stop"] for u in got["unserved"]] == ["p1", "p2"] and "there is no way to 'p1'" in got["unserved"][0]["why"]


@pytest.mark.parametrize(("told", "kind", "words"), [
    ({"type": "tour", "robots": [{"name": "a", "start": {"node": 0}}]}, Invalid, "expected stops or shipments"),
    ({"type": "tour", "stops": [{"name": "x", "at": {"node": 1}}]}, Invalid, "robots is missing"),
    ({"type": "replan", "plan": "nothing"}, NotFound, "plan 'nothing' is not known"),
])
async def test_bad_tours_get_sentences(engine: Engine, told: dict[str, Any], kind: type[AisleError], words: str) -> None:
    with pytest.raises(kind, match=words):
        await ask(engine, told)


async def test_names_windows_and_places_are_checked(engine: Engine) -> None:
    for change, words in (({"name": "p2"}, "the name of another stop"), ({"window_s": [5, 1]}, "the earlier first"),
                          ({"at": {"lat": 7.41, "lon": 43.72}}, "look exchanged"), ({"unload": -1}, "whole number from 0")):
        told = tour(3)
        told["stops"][0] |= change
        with pytest.raises(Invalid, match=words):
            await ask(engine, told)


async def test_the_missing_solver_is_said(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour_solve, "find_spec", lambda name: None)
    with pytest.raises(Unsupported, match=r"pip install 'aisle\[routes\]'"):
        await ask(engine, tour())
    assert (await ask(engine, {**tour(), "budget_s": 0}))["unserved"] == []


async def test_too_many_searches_and_too_little_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_tours, "AT_ONCE", 0)
    with pytest.raises(Busy, match="being planned"):
        await ask(engine, tour())
    with within(100_000), pytest.raises(Late, match="ask with budget_s 0"):
        await ask(engine, tour())


async def test_a_search_that_dies_is_said(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_tours.sys, "executable", "/bin/false")
    with pytest.raises(AisleError, match="ended with code 1"):
        await ask(engine, tour())


@pytest.mark.parametrize(("bound", "value"), [("KEPT", 1), ("KEPT_BYTES", 2000)])
async def test_old_plans_are_forgotten(engine: Engine, monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    monkeypatch.setattr(route_tours, bound, value)
    first = await ask(engine, {**tour(), "budget_s": 0})
    await ask(engine, {**tour(), "budget_s": 0})
    with pytest.raises(NotFound, match="is not known"):
        await ask(engine, {"type": "replan", "plan": first["plan"]})
