"""Floors are asked and changed as streets are: cells in place of nodes and edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from aisle.models.bundle_file import read_bundle
from aisle.models.route.build import build_map, save_map
from aisle.runtime.codec import Payload
from aisle.runtime.codec.route import answer, request
from aisle.runtime.errors import Invalid, NotFound, Unsupported
from aisle.runtime.workloads import route
from aisle.runtime.workloads.route import Asset

ROWS = ["..........", "..........", "...@@@@...", "..........", ".........."]


@pytest.fixture
def asset(tmp_path: Path) -> Asset:
    """Ten by five cells of a metre with a shelf in the middle."""
    text = f"type octile\nheight {len(ROWS)}\nwidth {len(ROWS[0])}\nmap\n" + "\n".join(ROWS) + "\n"
    (tmp_path / "shop.map").write_text(text)
    bundle = save_map(build_map(tmp_path / "shop.map"), tmp_path / "shop" / "1", "shop")
    made = route.load(read_bundle(bundle.root))
    route.canary(made)
    route.restore(made, tmp_path / "state")
    return made


def ask(asset: Asset, told: Any) -> dict[str, Any]:
    verdict = route.work(request(Payload(orjson.dumps(told)), lambda data: np.empty(0)), asset)
    return orjson.loads(orjson.dumps(answer(verdict)))


def at(x: float, y: float) -> dict[str, float]:
    return {"x": x, "y": y}


ACROSS = {"from": at(0.5, 2.5), "to": at(9.5, 2.5), "instructions": True}


def test_a_way_round_the_shelf(asset: Asset) -> None:
    got = ask(asset, ACROSS)
    # Round the end of the shelf in two slanting steps: no corner is cut.
    assert got["length_m"] == pytest.approx(7 + 2 * 2 ** 0.5, abs=0.06)
    line = got["geometry"]["coordinates"]
    assert line[0] == [0.5, 2.5] and line[-1] == [9.5, 2.5] and len(line) < 8 and len(got["nodes"]) == 10
    codes = [step["code"] for step in got["instructions"]]
    assert codes[0] == "depart" and codes[-1] == "arrive" and "slight_left" in codes and "slight_right" in codes
    assert sum(s["length_m"] for s in got["instructions"]) == pytest.approx(got["length_m"], abs=0.1)
    same = ask(asset, {"from": at(1, 1), "to": at(1, 1), "instructions": True})
    assert same["cost_s"] == 0 and len(same["geometry"]["coordinates"]) == 2
    assert [s["code"] for s in same["instructions"]] == ["arrive"]


def test_areas_close_cells_and_are_kept(asset: Asset, tmp_path: Path) -> None:
    upper = {"name": "spill", "do": "close", "area": [at(4, 2.9), at(4, 5.1), at(6, 5.1), at(6, 2.9)]}
    before = ask(asset, ACROSS)["cost_s"]
    ask(asset, {"type": "update", "changes": [upper]})
    assert ask(asset, {"type": "changes"})["changes"][0]["edges"] == 4
    assert ask(asset, ACROSS)["cost_s"] == before
    lower = {"name": "pallet", "do": "close", "area": [at(4, -0.1), at(4, 2), at(6, 2), at(6, -0.1)]}
    ask(asset, {"type": "update", "changes": [lower]})
    with pytest.raises(NotFound, match=r"no way from \(2.5, 0.5\) to \(2.5, 9.5\): edge \d+ .*closed by '(spill|pallet)'"):
        ask(asset, ACROSS)
    again = route.load(read_bundle(tmp_path / "shop" / "1"))
    route.restore(again, tmp_path / "state")
    assert again.live.closed().tolist() == asset.live.closed().tolist() and len(again.live.closed()) == 8
    drawn = ask(asset, {"type": "draw", "box": [0, 0, 5, 10]})
    assert drawn["closed"] and sum(drawn["counts"]) * 2 == len(drawn["points"])
    ask(asset, {"type": "update", "drop": ["spill", "pallet"]})
    assert ask(asset, ACROSS)["cost_s"] == before


def test_tables_reach_nearest_and_tours(asset: Asset) -> None:
    table = ask(asset, {"type": "table", "sources": [at(0.5, 0.5)], "targets": [at(0.5, 0.5), at(5.5, 0.5)]})["costs_s"]
    assert table[0][0] == 0 and table[0][1] == pytest.approx(3.6, abs=0.01)
    reach = ask(asset, {"type": "reach", "at": at(0.5, 0.5), "limits_s": [1.0]})["reach"][0]
    rings = reach["geometry"]["coordinates"][0]
    assert reach["nodes"] == 3 and min(x for x, _ in rings[0]) == pytest.approx(0.1, abs=0.15)
    near = ask(asset, {"type": "nearest", "at": at(4.5, 2.5)})
    assert (near["x"], near["y"]) in ((4.5, 1.5), (4.5, 3.5)) and near["twin"] == -1


def test_a_floor_says_that_it_has_no_alternatives(asset: Asset) -> None:
    with pytest.raises(Unsupported, match="alternatives: a floor has none"):
        ask(asset, {"from": at(0.5, 0.5), "to": at(5.5, 0.5), "alternatives": 1})


@pytest.mark.parametrize(("told", "words"), [
    ({"from": at(50, 2), "to": at(1, 1)}, "no free cell"),
    ({"from": {"x": None, "y": 1}, "to": at(1, 1)}, "expected finite coordinates"),
    ({"type": "update", "changes": [{"do": "speed", "kmh": 2, "edges": [14]}]}, "a floor has no ways and no speeds"),
    ({"type": "update", "changes": [{"do": "close", "ways": [1]}]}, "a floor has no ways"),
    ({"type": "update", "changes": [{"do": "close", "edges": [9999]}]}, "edge 9999 is unknown"),
    ({"from": {"node": 9999}, "to": at(1, 1)}, "node 9999 is unknown"),
])
def test_bad_questions_of_a_floor(asset: Asset, told: Any, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        ask(asset, told)
