"""Routes as JSON and numbers: what is read, what is refused and in which words, what is told."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from aisle.models.make import blocks_map
from aisle.models.route.network import INF
from aisle.runtime.codec import Payload
from aisle.runtime.codec.route import answer, numbers, request
from aisle.runtime.codec.route_lines import polyline
from aisle.runtime.errors import AisleError, Invalid, NotFound, TooLarge
from aisle.runtime.workloads import route
from aisle.runtime.workloads.route import Asset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blocks_map.make(tmp_path_factory.mktemp("map")).root


@pytest.fixture
def asset(folder: Path) -> Asset:
    from aisle.models.bundle_file import read_bundle
    made = route.load(read_bundle(folder))
    route.canary(made)
    return made


def ask(asset: Asset, told: Any, **options: str) -> dict[str, Any]:
    """The answer to a JSON question, through JSON."""
    body = told if isinstance(told, bytes) else orjson.dumps(told)
    verdict = route.work(request(Payload(body, options=options), lambda data: np.empty(0)), asset)
    return orjson.loads(orjson.dumps(answer(verdict)))


def node(number: int) -> dict[str, int]:
    return {"node": number}


def at(lat: float, lon: float) -> dict[str, float]:
    return {"lat": lat, "lon": lon}


def test_a_route_tells_cost_line_and_places(asset: Asset) -> None:
    got = ask(asset, {"from": at(43.7203, 7.4105), "to": at(43.7250, 7.4152), "instructions": True})
    assert got["cost_s"] == pytest.approx(746.728, abs=0.01) and got["geometry"]["type"] == "LineString"
    assert got["geometry"]["coordinates"][0] == [7.4105, 43.72]
    assert got["from"]["side"] == "left" and got["from"]["distance_m"] == pytest.approx(33.4, abs=0.1)
    assert got["instructions"][0]["code"] == "depart" and got["instructions"][-1]["code"] == "arrive"
    assert {"route"} == set(got["timings_ms"])


def test_the_known_polyline_of_the_format() -> None:
    points = np.array([[-120.2, 38.5], [-120.95, 40.7], [-126.453, 43.252]])
    assert polyline(points, 5) == "_p~iF~ps|U_ulLnnqC_mqNvxq`@"


def test_shapes_and_clocks(asset: Asset) -> None:
    both = {"from": node(0), "to": node(3)}
    assert "geometry" not in ask(asset, {**both, "geometry": "none"})
    assert ask(asset, {**both, "geometry": "polyline"})["polyline_digits"] == 6
    assert ask(asset, {**both, "arrive_by": "2026-11-25T08:00:00Z"})["depart_at"] == "2026-11-25T07:56:47+00:00"
    assert ask(asset, {**both, "depart_at": "2026-11-25T08:00:00+02:00"})["arrive_at"] == "2026-11-25T06:03:12+00:00"


def test_start_equals_end(asset: Asset) -> None:
    for place in (node(7), at(43.7203, 7.4105)):
        got = ask(asset, {"from": place, "to": place, "instructions": True})
        assert got["cost_s"] == 0 and got["length_m"] == 0 and len(got["geometry"]["coordinates"]) >= 2


def test_others_tables_reach_and_nearest(asset: Asset) -> None:
    got = ask(asset, {"from": node(0), "to": node(210), "alternatives": 2})
    assert all(other["stretch"] >= 1 and other["shared"] < 1 for other in got["alternatives"])
    table = ask(asset, {"type": "table", "sources": [node(0), node(1)], "targets": [node(0), node(1), node(2)]})
    assert table["costs_s"] == [[0, 64.24, 128.48], [64.24, 0, 64.24]]
    near = ask(asset, {"type": "nearest", "at": at(43.7203, 7.4105)})
    assert (near["name"], near["fraction"]) == ("Row 0", 0.5)
    reach = ask(asset, {"type": "reach", "at": node(0), "limits_s": [70, 200]})["reach"]
    assert [r["nodes"] for r in reach] == [2, 7] and reach[0]["geometry"]["type"] == "MultiPolygon"
    rings = reach[1]["geometry"]["coordinates"][0]
    assert all(ring[0] == ring[-1] for ring in rings)
    lines = ask(asset, {"type": "reach", "at": node(0), "limits_s": [70], "geometry": "lines", "arriving": True})
    assert len(lines["reach"][0]["geometry"]["coordinates"]) >= 1


def test_a_closure_is_told_as_the_reason(asset: Asset) -> None:
    wall = {"name": "wall", "do": "close", "for_s": 600, "area": [at(43.7195, 7.4145), at(43.7195, 7.4155), at(43.75, 7.4155),
                                                                 at(43.75, 7.4145)]}
    made = ask(asset, {"type": "update", "changes": [wall]})
    assert made["made"] == ["wall"] and made["map_version"] > 0
    with pytest.raises(NotFound, match=r"edge \d+ \(Row 0\) .*is closed by 'wall' for another (600|599) s"):
        ask(asset, {"from": node(0), "to": node(19)})
    listed = ask(asset, {"type": "changes"})["changes"]
    assert listed[0]["name"] == "wall" and 590 < listed[0]["left_s"] <= 600
    drawn = ask(asset, {"type": "draw", "box": [43, 7, 44, 8]})
    assert drawn["all"] and len(drawn["edges"]) == 760 and len(drawn["closed"]) == listed[0]["edges"] // 2
    assert sum(drawn["counts"]) * 2 == len(drawn["points"])
    some = ask(asset, {"type": "draw", "box": [43, 7, 44, 8], "most": 10})
    assert not some["all"] and len(some["edges"]) == 10 and len(some["closed"]) == 10
    ask(asset, {"type": "update", "drop": ["wall"]})
    assert ask(asset, {"from": node(0), "to": node(19)})["cost_s"] > 0


def test_a_batch_answers_each_by_itself(asset: Asset) -> None:
    got = ask(asset, {"batch": [{"from": node(0), "to": node(1)}, {"from": node(0), "to": at(0, 0)}, {"type": "changes"}]})
    assert got["batch"][0]["cost_s"] == 64.24 and "far off the map" in got["batch"][1]["error"]
    assert got["batch"][1]["code"] == "invalid" and got["batch"][2]["changes"] == []


def test_robots_are_seen_for_a_while(asset: Asset) -> None:
    ask(asset, {"type": "robots", "robots": [{"name": "r1", "lat": 43.72, "lon": 7.41}]})
    assert ask(asset, {"type": "robots"})["robots"][0]["name"] == "r1"
    ask(asset, {"type": "robots", "robots": [{"name": "r1", "lat": 43.72, "lon": 7.41}], "for_s": 0.1})
    import time
    time.sleep(0.15)
    assert ask(asset, {"type": "robots"})["robots"] == []


def test_pairs_go_in_and_out_as_numbers(asset: Asset) -> None:
    for kind, rows in (("nodes", np.array([[0, 3], [5, 5]], "<i4")),
                       ("places", np.array([[43.72, 7.41, 43.72, 7.413], [0, 0, 0, 0]], "<f8"))):
        asked = request(Payload(rows.tobytes(), "application/octet-stream", {"pairs": kind}), lambda data: np.empty(0))
        body, media = numbers(route.work(asked, asset), Payload(b""))
        version, count, total = struct.unpack_from("<qii", body)
        costs = np.frombuffer(body, "<u4", count, 16)
        first = np.frombuffer(body, "<i4", count + 1, 16 + 4 * count)
        edges = np.frombuffer(body, "<i4", total, 20 + 8 * count)
        assert media == "application/octet-stream" and version == 0 and first[-1] == total == len(edges)
        assert costs[0] == pytest.approx(192_720, abs=2) and costs[1] == (0 if kind == "nodes" else INF)
        assert edges[:3].tolist() == [0, 2, 4]


def test_tensors_carry_the_same(asset: Asset) -> None:
    asked = route.from_tensors({"NODES": np.array([[0, 3]], np.int32)}, lambda data: np.empty(0))
    got = route.to_tensors(route.work(asked, asset))
    assert got["COST_MS"].tolist() == [192_720] and got["EDGES"].tolist() == [0, 2, 4]
    shut = {"CLOSE": np.array([0, 1], np.int32), "CHANGE": np.array([b"jam"], object), "FOR_S": np.array([60.0])}
    got = route.to_tensors(route.work(route.from_tensors(shut, lambda data: np.empty(0)), asset))
    assert got["COST_MS"].size == 0 and got["VERSION"][0] == 1 and asset.live.closed().tolist() == [0, 1]
    both = {"CLOSE": np.empty(0, np.int32), "CHANGE": np.array([b"jam"], object), "NODES": np.array([[0, 1]], np.int32)}
    got = route.to_tensors(route.work(route.from_tensors(both, lambda data: np.empty(0)), asset))
    assert got["COST_MS"].tolist() == [64_240] and asset.live.changes == {}
    for wrong in ({}, {"CLOSE": np.array([0], np.int32)}, {"NODES": np.zeros((1, 2), np.int32), "PLACES": np.zeros((1, 4))}):
        with pytest.raises(Invalid, match="expected"):
            route.from_tensors(wrong, lambda data: np.empty(0))


@pytest.mark.parametrize(("told", "kind", "words"), [
    ({"from": {"lat": 7.4105, "lon": 43.7203}, "to": {"node": 1}}, Invalid, "latitude and longitude look exchanged"),
    ({"from": {"lat": 43.715, "lon": 7.42}, "to": {"node": 1}}, Invalid, "556 m from the nearest street; at most 500 m"),
    ({"from": {"lat": 40, "lon": 7.4}, "to": {"node": 1}}, Invalid, "far off the map"),
    ({"from": {"lat": None, "lon": 7.4}, "to": {"node": 1}}, Invalid, "expected finite coordinates, got (nan, 7.4)"),
    (b'{"from": {"lat": NaN, "lon": 7.4}, "to": {"node": 1}}', Invalid, "NaN is no JSON"),
    ({"from": {"lat": 1e300, "lon": 7.4}, "to": {"node": 1}}, Invalid, "latitude"),
    ({"from": {"node": 400}, "to": {"node": 1}}, Invalid, "node 400 is unknown: the map has the nodes 0 to 399"),
    ({"from": {"node": -1}, "to": {"node": 1}}, Invalid, "node -1 is unknown"),
    ({"from": {"node": 1}}, Invalid, "to is missing"),
    ({"from": [43.7, 7.4], "to": {"node": 1}}, Invalid, "from: expected a JSON object"),
    ({"from": {"lat": 43.7}, "to": {"node": 1}}, Invalid, "from.lon is missing"),
    ({"from": {"lat": "43.7", "lon": 7}, "to": {"node": 1}}, Invalid, "from.lat: expected a number, got '43.7'"),
    ({"from": {"node": 1}, "to": {"node": 2}, "fast": 1}, Invalid, "fast is unknown; the fields here are type, from, to"),
    ({"from": {"node": 1}, "to": {"node": 2}, "alternatives": 11}, Invalid, "from 0 to 10, got 11"),
    ({"from": {"node": 1}, "to": {"node": 2}, "arrive_by": "noon"}, Invalid, "arrive_by: expected a time such as"),
    ({"from": {"node": 1}, "to": {"node": 2}, "arrive_by": "2026-11-25T08:00:00"}, Invalid, "with its offset"),
    ({"from": {"node": 1}, "to": {"node": 2}, "depart_at": "9999-12-31T23:59:59Z"}, Invalid, "from 1970 to 2200"),
    ({"from": {"node": 1}, "to": {"node": 2}, "arrive_by": "0001-01-01T00:00:00+23:59"}, Invalid, "from 1970 to 2200"),
    ({"type": "tabel"}, Invalid, "type: expected one of route, table"),
    ({"type": "table", "sources": [], "targets": [{"node": 1}]}, Invalid, "sources: expected a list of 1"),
    ({"type": "table", "sources": [{"node": 1}] * 3000, "targets": [{"node": 1}] * 3000}, TooLarge, "9000000 cells"),
    ({"type": "reach", "at": {"node": 1}, "limits_s": [0]}, Invalid, "limits_s[0]: expected seconds over 0"),
    ({"type": "update"}, Invalid, "expected changes to make"),
    ({"type": "update", "changes": [{"do": "close", "edges": [9999]}]}, Invalid, "edge 9999 is unknown"),
    ({"type": "update", "changes": [{"do": "speed", "edges": [1]}]}, Invalid, "changes[0].kmh is missing"),
    ({"type": "update", "changes": [{"do": "close"}]}, Invalid, "expected one of edges, ways"),
    ({"type": "update", "changes": [{"do": "close", "edges": [1], "for_s": -1}]}, Invalid, "for_s: expected more than 0"),
    ({"type": "update", "changes": [{"do": "close", "area": [{"lat": 7.4, "lon": 43.72}, {"lat": 7.42, "lon": 43.72},
                                                             {"lat": 7.42, "lon": 43.73}]}]}, Invalid, "these look exchanged"),
    ({"type": "update", "drop": ["nobody"]}, Invalid, "no change is called 'nobody'"),
    ({"batch": []}, Invalid, "batch: expected a list of 1"),
    (b"", Invalid, "the body is empty"),
    (b"[1", Invalid, "the body is not JSON"),
    (b"[]", Invalid, "expected a JSON object"),
])
def test_bad_questions_get_sentences(asset: Asset, told: Any, kind: type[AisleError], words: str) -> None:
    with pytest.raises(kind) as said:
        ask(asset, told)
    assert words in said.value.sentence, said.value.sentence


@pytest.mark.parametrize(("body", "options", "words"), [
    (b"1234567", {"pairs": "nodes"}, "7 bytes; expected a multiple of 8"),
    (b"", {"pairs": "places"}, "0 bytes; expected a multiple of 32"),
    (b"12345678", {"pairs": "cities"}, "pairs='cities': expected pairs=nodes"),
    (bytes(8 * 10_001), {"pairs": "nodes"}, "at most 10000"),
])
def test_bad_numbers_get_sentences(body: bytes, options: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        request(Payload(body, "application/octet-stream", options), lambda data: np.empty(0))
