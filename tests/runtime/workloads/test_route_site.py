"""One request finds one way over streets and floors, over HTTP and the lane, with the closures of each map."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from aisle.models.make import blocks_map
from aisle.models.route.build import build_map, save_map
from aisle.models.route.network import INF
from aisle.runtime.client import Client
from aisle.runtime.errors import Invalid

HALL = "type octile\nheight 6\nwidth 9\nmap\n" + "...@.....\n" * 5 + ".........\n"
SITE = """
[[portals]]
name = "front door"
a = {map = "town", lat = 43.7200, lon = 7.4105}
b = {map = "hall", x = 0.5, y = 0.5}
cost_s = 5
[[portals]]
name = "back door"
a = {map = "town", lat = 43.7200, lon = 7.4145}
b = {map = "hall", x = 8.5, y = 0.5}
cost_s = 3
"""


@dataclass
class Campus:
    """A server with a town, a hall and the site that joins them."""

    url: str
    socket: str

    def ask(self, told: dict[str, Any], station: str = "campus") -> dict[str, Any]:
        body = json.dumps(told).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{self.url}/v1/routes/{station}", body), timeout=30) as reply:
                return dict(json.loads(reply.read()))
        except urllib.error.HTTPError as error:
            return {"status": error.code, **json.loads(error.read())}


@pytest.fixture(scope="module")
def campus(launch: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    folder = tmp_path_factory.mktemp("campus")
    blocks_map.make(folder / "models", "town")
    for name, text in (("hall.map", HALL), ("site.toml", SITE)):
        (folder / name).write_text(text)
        one = {"hall.map": "hall", "site.toml": "campus"}[name]
        save_map(build_map(folder / name), folder / "models" / one / "1", one)
    (folder / "aisle.toml").write_text(f'[lane]\nsocket = "{folder}/lane"\n')
    one = launch(folder / "models", "--config", str(folder / "aisle.toml"), "--log-level", "warning")
    yield Campus(f"http://127.0.0.1:{one.port}", str(folder / "lane"))


def on(name: str, y: float, x: float) -> dict[str, Any]:
    """A place on a map."""
    return {"map": name, **({"x": x, "y": y} if name == "hall" else {"lat": y, "lon": x})}


SHELF, CORNER = on("hall", 1.5, 1.5), on("town", 43.7225, 7.4103)


def test_one_request_from_a_shelf_to_a_street(campus: Campus) -> None:
    got = campus.ask({"from": SHELF, "to": CORNER, "instructions": True, "depart_at": "2026-11-25T08:00:00Z"})
    assert [leg["map"] for leg in got["legs"]] == ["hall", "town"] and got["portals"] == ["front door"]
    parts = campus.ask({"from": SHELF, "to": on("hall", 0.5, 0.5)})["cost_s"]
    assert got["cost_s"] == pytest.approx(sum(leg["cost_s"] for leg in got["legs"]) + 5) and got["legs"][0]["cost_s"] == parts
    assert got["length_m"] == pytest.approx(sum(leg["length_m"] for leg in got["legs"]))
    assert got["legs"][1]["portal"] == "front door" and got["legs"][1]["edges"] and got["legs"][0]["nodes"]
    assert got["legs"][1]["geometry"]["type"] == "LineString" and got["legs"][0]["instructions"][0]["code"] == "depart"
    assert got["arrive_at"].startswith("2026-11-25T08:") and "arrive_at" not in got["legs"][0]
    far = campus.ask({"from": SHELF, "to": on("town", 43.7225, 7.4147)})
    assert far["portals"] == ["back door"]
    assert campus.ask({"from": CORNER, "to": on("hall", 0.5, 7.5)})["legs"][-1]["map"] == "hall"


def test_closures_of_each_map_count_at_once(campus: Campus) -> None:
    before = campus.ask({"from": SHELF, "to": CORNER})
    door = [{"x": x, "y": y} for y, x in ((0, 0), (0, 0.9), (0.9, 0.9), (0.9, 0))]
    made = campus.ask({"type": "update", "changes": [{"name": "front", "do": "close", "area": door}]}, "hall")
    assert made["made"] == ["front"]
    after = campus.ask({"from": SHELF, "to": CORNER})
    assert after["portals"] == ["back door"] and after["cost_s"] > before["cost_s"]
    back = [{"x": x, "y": y} for y, x in ((0, 8), (0, 8.9), (0.9, 8.9), (0.9, 8))]
    campus.ask({"type": "update", "changes": [{"name": "back", "do": "close", "area": back}]}, "hall")
    none = campus.ask({"from": SHELF, "to": CORNER})
    assert none["status"] == 404 and "through any of the 2 portals of this site" in none["error"]
    campus.ask({"type": "update", "drop": ["front", "back"]}, "hall")
    assert campus.ask({"from": SHELF, "to": CORNER})["cost_s"] == before["cost_s"]


@pytest.mark.parametrize("way", ["socket", "url"])
def test_pairs_over_the_lane_and_over_oip(campus: Campus, way: str) -> None:
    alone = campus.ask({"from": SHELF, "to": CORNER})
    rows = np.array([[1.5, 1.5, CORNER["lat"], CORNER["lon"]], [0.5, 0.5, 50.5, 0.5], [np.nan, 0, 1, 1], [0.5, 0.5, 0.5, 1.5]])
    maps = np.array([[b"hall", b"town"], [b"hall", b"hall"], [b"hall", b"town"], [b"hall", b"hall"]], object)
    with Client(getattr(campus, way)) as client:
        got = client.infer("campus", {"PLACES": rows, "MAPS": maps})
        with pytest.raises(Invalid, match="MAPS: expected the map of both ends of each of the 4 rows"):
            client.infer("campus", {"PLACES": rows, "MAPS": maps[:2]})
        with pytest.raises(Invalid, match="MAPS: 'attic' is none of the maps of this site, town, hall"):
            client.infer("campus", {"PLACES": rows, "MAPS": np.where(maps == b"hall", b"attic", maps)})
        with pytest.raises(Invalid, match="for a site of several maps"):
            client.infer("hall", {"PLACES": rows, "MAPS": maps})
        with pytest.raises(Invalid, match="'campus' is a site"):
            client.infer("campus", {"NODES": np.zeros((1, 2), np.int32)})
    assert got["COST_MS"][0] == round(alone["cost_s"] * 1000) and got["COST_MS"][1:3].tolist() == [INF, INF]
    assert got["LEGS"][:, :2].tolist() == [[0, 1], [0, 0], [3, 1]] and got["FIRST"][-1] == len(got["EDGES"])
    legs = [got["EDGES"][a:b].tolist() for a, b in got["LEGS"][:, 2:].tolist()]
    assert legs[:2] == [alone["legs"][0]["nodes"], alone["legs"][1]["edges"]] and len(got["VERSION"]) == 2


@pytest.mark.parametrize(("told", "status", "words"), [
    ({"from": {"x": 1, "y": 1}, "to": CORNER}, 400, "from.map is missing"),
    ({"from": on("attic", 1, 1), "to": CORNER}, 400, "from.map: 'attic' is none of the maps of this site, town, hall"),
    ({"from": on("hall", 99, 1), "to": CORNER}, 400, "from: (99, 1) lies on no free cell"),
    ({"from": SHELF, "to": CORNER, "alternatives": 2}, 400, "there are none from map to map"),
    ({"from": {"node": 1}, "to": {"node": 2}}, 501, "'campus' is a site"),
    ({"type": "table", "sources": [{"node": 1}], "targets": [{"node": 2}]}, 501, "ask its maps for all else: town, hall"),
    ({"type": "update", "drop": ["x"]}, 501, "'campus' is a site"),
    ({"from": {"map": 5, "x": 1, "y": 1}, "to": CORNER}, 400, "from.map"),
])
def test_bad_questions_to_a_site(campus: Campus, told: dict[str, Any], status: int, words: str) -> None:
    got = campus.ask(told)
    assert got["status"] == status and words in got["error"], got


def test_a_site_says_what_it_joins_and_a_map_is_no_site(campus: Campus) -> None:
    with urllib.request.urlopen(f"{campus.url}/v1/routes/campus", timeout=30) as reply:
        about = json.loads(reply.read())
    assert about["maps"] == ["town", "hall"] and [p["name"] for p in about["portals"]] == ["front door", "back door"]
    got = campus.ask({"from": SHELF, "to": SHELF}, "hall")
    assert got["status"] == 400 and "for a site of several maps" in got["error"]
    batch = campus.ask({"batch": [{"from": SHELF, "to": CORNER}, {"type": "changes"}]})["batch"]
    assert batch[0]["cost_s"] > 0 and batch[1]["code"] == "unsupported"
