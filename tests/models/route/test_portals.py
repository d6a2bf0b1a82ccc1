"""Streets and floors are one network where doors join them."""

import numpy as np
import pytest
from aisle.kernels.shortest_path import grid
from aisle.models.route import Floor, Router
from aisle.models.route.assemble import assemble
from aisle.models.route.floor_files import walled
from aisle.models.route.network import with_topology
from aisle.models.route.portals import Portal, route_across


@pytest.fixture
def maps() -> dict:
    case = grid(np.random.default_rng(0), 5, 5)
    town = with_topology(assemble(case["x"] * 100, case["y"] * 100, case["tail"], case["head"], case["weights"],
                                  case["weights"], frame="plane"))
    return {"town": Router(town), "shop": Floor(walled(np.ones((6, 8), bool))), "store": Floor(walled(np.ones((4, 4), bool)))}


def doors(maps: dict) -> list[Portal]:
    shop, store = maps["shop"], maps["store"]
    return [Portal("front", ("town", 2), ("shop", shop.nearest(0.5, 0.5)), 3000),
            Portal("back", ("town", 22), ("shop", shop.nearest(5.5, 7.5)), 1000),
            Portal("lift", ("shop", shop.nearest(0.5, 7.5)), ("store", store.nearest(0.5, 0.5)), 20_000, one_way=True)]


def test_the_better_door_is_taken_and_costs_add_up(maps: dict) -> None:
    shop, portals = maps["shop"], doors(maps)
    for node in range(25):
        for cell in (portals[0].b[1], portals[1].b[1], shop.nearest(2.5, 3.5)):
            way = route_across(maps, portals, ("town", node), ("shop", cell))
            want = min(maps["town"].cost(node, p.a[1]) + p.cost_ms + shop.cost(p.b[1], cell) for p in portals[:2])
            assert way.cost_ms == want
            passed = {leg.portal for leg in way.legs} - {""}
            assert len(passed) <= 1 and sum(leg.route.cost_ms for leg in way.legs) in {want - p.cost_ms for p in portals[:2]}


def test_lifts_lead_on_but_not_back(maps: dict) -> None:
    there = route_across(maps, doors(maps), ("town", 0), ("store", maps["store"].nearest(3.5, 3.5)))
    assert [leg.map for leg in there.legs] == ["town", "shop", "store"] and there.legs[2].portal == "lift"
    assert route_across(maps, doors(maps), ("store", maps["store"].nearest(3.5, 3.5)), ("town", 0)) is None


def test_a_shop_is_a_short_cut_between_its_doors(maps: dict) -> None:
    town = maps["town"]
    free = [Portal("front", ("town", 0), ("shop", maps["shop"].nearest(0.5, 0.5))),
            Portal("back", ("town", 24), ("shop", maps["shop"].nearest(5.5, 7.5)))]
    maps["shop"].speed_kmh = 500.0
    way = route_across(maps, free, ("town", 0), ("town", 24))
    assert way.cost_ms < town.cost(0, 24) and "shop" in [leg.map for leg in way.legs]
    maps["shop"].close([maps["shop"].nearest(y + 0.5, 4.5) for y in range(6)])
    assert route_across(maps, free, ("town", 0), ("town", 24)).cost_ms == town.cost(0, 24)


def test_a_map_that_is_not_there_is_said(maps: dict) -> None:
    with pytest.raises(ValueError, match="'attic'"):
        route_across(maps, [], ("attic", 0), ("town", 0))
